#!/usr/bin/env bash
# Prints the folder with the kube-apiserver and etcd that envtest starts. They
# are those of KUBEBUILDER_ASSETS, or builds of an earlier run, or downloaded;
# where that fails they are built from Go modules, which takes minutes once.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
built=${XDG_CACHE_HOME:-$HOME/.cache}/citoroute/cluster/bin

if [[ -n ${KUBEBUILDER_ASSETS:-} ]]; then
  echo "$KUBEBUILDER_ASSETS"
  exit
fi
if [[ ! -x $built/kube-apiserver || ! -x $built/etcd ]]; then
  version=$(go list -m -f '{{.Version}}' k8s.io/api | sed -E 's/^v0\.([0-9]+)\..*/1.\1/')
  if timeout 120 go tool -modfile=tools/go.mod setup-envtest use "$version" -p path 2>/dev/null; then
    exit
  fi
  echo 'envtest: no download, building kube-apiserver and etcd instead' >&2
  hack/cluster/build.sh envtest >&2
fi
echo "$built"
