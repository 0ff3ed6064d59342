#!/usr/bin/env bash
# The test cluster where Docker is: kind, with this tree deployed, and addresses
# for LoadBalancer Services that this machine reaches (on Linux).
#
#   kind.sh up | down | kubeconfig
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
NAME=citoroute
RUN=$STATE/kind # beside the state of the cluster without Docker
export KUBECONFIG=$RUN/kubeconfig

kind() { go run sigs.k8s.io/kind@v0.33.0 "$@"; }

# reach makes the node answer for 250 addresses of its network, and gives them to
# LoadBalancer Services. kube-proxy on the node does the rest.
reach() {
  local ip range
  ip=$(docker inspect -f '{{.NetworkSettings.Networks.kind.IPAddress}}' "$NAME-control-plane")
  range=${ip%.*.*}.250.0/24
  docker exec "$NAME-control-plane" ip route replace local "$range" dev lo
  [[ ! -f $RUN/lb.pid ]] || kill "$(<"$RUN/lb.pid")" 2>/dev/null || true
  setsid nohup "$BIN/lb" -kubeconfig "$KUBECONFIG" -range "$range" >"$RUN/lb.log" 2>&1 </dev/null &
  echo $! >"$RUN/lb.pid"
}

load() {
  local name
  (cd "$ROOT" && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$RUN/" ./cmd/controller ./cmd/proxy ./cmd/citoroute)
  for name in controller proxy citoroute; do
    image -name "citoroute/$name:dev" -out "$RUN/$name.tar" "/$name=$RUN/$name"
    kind load image-archive --name "$NAME" "$RUN/$name.tar"
  done
  docker pull -q redis:7-alpine >/dev/null
  docker tag redis:7-alpine testbed/redis:1
  kind load docker-image --name "$NAME" testbed/redis:1
}

case ${1:-} in
  up)
    mkdir -p "$RUN" "$BIN"
    (cd "$ROOT" && CGO_ENABLED=0 go build -o "$BIN/" ./hack/cluster/cmd/lb ./hack/cluster/cmd/image)
    kind get clusters | grep -qx "$NAME" || kind create cluster --name "$NAME" --wait 2m
    kind export kubeconfig --name "$NAME"
    reach
    load
    CLUSTER_KUBECONFIG=$KUBECONFIG "$HERE/deploy.sh"
    ;;
  down)
    [[ ! -f $RUN/lb.pid ]] || kill "$(<"$RUN/lb.pid")" 2>/dev/null || true
    kind delete cluster --name "$NAME"
    rm -rf "$RUN"
    ;;
  kubeconfig) echo "$KUBECONFIG" ;;
  *) die "usage: kind.sh up | down | kubeconfig" ;;
esac
