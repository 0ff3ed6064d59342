# Sourced by the scripts here: sees to it that there is a cluster with this tree
# deployed, and exports KUBECONFIG. A KUBECONFIG that is given is used as it is;
# otherwise the cluster is kind's where Docker is, else that of hack/cluster.
# DEPLOY=no leaves the cluster as it is.
# shellcheck shell=bash
export GOTOOLCHAIN=auto
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [[ -z ${KUBECONFIG:-} ]]; then
  cluster=$root/hack/cluster
  if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
    [[ ${DEPLOY:-} == no ]] || "$cluster/kind.sh" up
    KUBECONFIG=$("$cluster/kind.sh" kubeconfig)
  else
    if [[ ${DEPLOY:-} != no ]]; then
      "$cluster/up.sh" && "$cluster/load.sh" && "$cluster/deploy.sh" || exit 1
    fi
    KUBECONFIG=$("$cluster/up.sh" --kubeconfig)
  fi
  export KUBECONFIG
fi
