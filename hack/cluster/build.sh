#!/usr/bin/env bash
# Builds the cluster's programs from Go modules into the cache (env.sh: BIN).
#
#   build.sh [all|envtest]   envtest: only what envtest needs: etcd, kube-apiserver, kubectl
#
# A program is built again only if the go.mod or go.sum that pins it, or its own
# source here, has changed.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
export CGO_ENABLED=0 GOFLAGS=-buildvcs=false
mkdir -p "$BIN" "$STATE/stamp"
exec 9>"$STATE/build.lock"
flock 9

# program NAME MODULE PACKAGE builds $BIN/NAME in modules/MODULE.
program() {
  local name=$1 dir=$HERE/modules/$2 package=$3 stamp=$STATE/stamp/$1 key
  key=$(cd "$dir" && find . -type f -exec sha256sum {} + | sort | sha256sum)
  [[ -x $BIN/$name && -f $stamp && $(<"$stamp") == "$key" ]] && return
  say "building $name"
  local version
  version=$(awk '$1 == "k8s.io/kubernetes" {print $2}' "$dir/go.mod")
  (cd "$dir" && go build -trimpath -o "$BIN/$name.new" \
    -ldflags "-s -w -X k8s.io/component-base/version.gitVersion=$version" "$package")
  mv "$BIN/$name.new" "$BIN/$name"
  echo "$key" >"$stamp"
}

# ours NAME builds cmd/NAME; Go's build cache says whether anything is to be done.
ours() { (cd "$ROOT" && go build -trimpath -ldflags '-s -w' -o "$BIN/$1" "./hack/cluster/cmd/$1"); }

program etcd kubernetes go.etcd.io/etcd/server/v3
program kube-apiserver kubernetes k8s.io/kubernetes/cmd/kube-apiserver
program kubectl kubernetes k8s.io/kubernetes/cmd/kubectl
[[ ${1:-all} == envtest ]] && exit

for name in kube-controller-manager kube-scheduler kube-proxy kubelet; do
  program "$name" kubernetes "k8s.io/kubernetes/cmd/$name"
done
program coredns coredns .
program echo-basic echo-basic sigs.k8s.io/gateway-api-conformance-images/echo-basic
program echo-server echo-advanced istio.io/istio/pkg/test/echo/cmd/server
program echo-client echo-advanced istio.io/istio/pkg/test/echo/cmd/client
for name in image lb pause pki; do ours "$name"; done
