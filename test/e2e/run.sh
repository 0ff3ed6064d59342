#!/usr/bin/env bash
# Runs the end-to-end tests against the cluster of KUBECONFIG (default: the one
# of hack/cluster), where hack/cluster/deploy.sh has deployed this tree.
# Arguments go to Ginkgo: run.sh --focus='LLMRoute'
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export GOTOOLCHAIN=auto KUBECONFIG=${KUBECONFIG:-$(../../hack/cluster/up.sh --kubeconfig)}
flags=()
for flag in "$@"; do flags+=("-ginkgo.${flag#--}"); done
exec go test -count=1 -timeout 20m . -ginkgo.v "${flags[@]}"
