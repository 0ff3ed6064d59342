#!/usr/bin/env bash
# Deploys this tree (see target.sh) and runs the end-to-end tests. Arguments go to
# Ginkgo: run.sh --focus='LLMRoute'
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/target.sh"
cd "$root/test/e2e"
flags=()
for flag in "$@"; do flags+=("-ginkgo.${flag#--}"); done
exec go test -v -count=1 -timeout 20m . -ginkgo.v "${flags[@]}"
