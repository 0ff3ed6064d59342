#!/usr/bin/env bash
# Installs the Gateway API (experimental channel), this tree's CRDs and its controller,
# with the images that load.sh made, and waits until the controller is ready.
#
#   deploy.sh [crds]   crds: only the CRDs
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
NAMESPACE=citoroute-system

gateway_api=$(cd "$ROOT" && go list -m -f '{{.Dir}}' sigs.k8s.io/gateway-api)
apply() { kubectl apply --server-side --force-conflicts "$@" >/dev/null; }

say "installing the CRDs"
apply -k "$gateway_api/config/crd/experimental"
apply -f "$ROOT/config/crd/bases"
kubectl wait --for=condition=Established --timeout=60s crd --all >/dev/null
[[ ${1:-} != crds ]] || exit 0

say "installing the controller"
apply -k "$ROOT/config/default"
kubectl -n "$NAMESPACE" rollout restart deployment >/dev/null # the images of the last load.sh, under the same name
kubectl -n "$NAMESPACE" rollout status deployment --timeout=120s >/dev/null
kubectl wait --for=condition=Accepted --timeout=60s gatewayclass/citoroute >/dev/null
apply -k "$ROOT/config/mesh"
kubectl wait --for=condition=Accepted --timeout=60s xmesh/citoroute >/dev/null
kubectl wait --for=jsonpath='{.webhooks[0].clientConfig.caBundle}' --timeout=60s mutatingwebhookconfiguration/citoroute-webhook >/dev/null
say "deployed"
