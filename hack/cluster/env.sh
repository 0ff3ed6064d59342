# Sourced by every script here: where things are, and what they share.
# shellcheck shell=bash disable=SC2034
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
STATE=${CLUSTER_STATE:-${XDG_CACHE_HOME:-$HOME/.cache}/citoroute/cluster}
BIN=$STATE/bin # builds, kept from run to run
RUN=$STATE/run # everything of one run; removed by down.sh
LOG=$RUN/log
PKI=$RUN/pki

NODE=citoroute-node
NODE_IP=10.250.0.1
NODE_CIDR=10.250.0.0/16 # the node's bridge; 10.250.1.0/24 of it is for LoadBalancer Services
POD_CIDR=10.244.0.0/16
SERVICE_CIDR=10.96.0.0/16
SERVICE_IP=10.96.0.1
DNS_IP=10.96.0.10
NODE_BRIDGE=citonode0
POD_BRIDGE=citopod0
RULE_COMMENT=citoroute-cluster

export GOTOOLCHAIN=auto
export KUBECONFIG=${CLUSTER_KUBECONFIG:-$RUN/kubeconfig}
export PATH=$BIN:/usr/sbin:/sbin:$PATH

say() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }
die() { say "error: $*"; exit 1; }

ctr_() { ctr -a "$RUN/containerd.sock" -n k8s.io "$@"; }

# wait_for SECONDS WHAT COMMAND... retries until the command succeeds.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || die "gave up waiting for $what"
    sleep 0.2
  done
}
