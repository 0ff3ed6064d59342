#!/usr/bin/env bash
# Measures our proxy on this machine, which should do nothing else meanwhile:
# against others, or the LLM path against a plain one. Arguments go to the
# program: see main.go.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export GOTOOLCHAIN=auto PATH=/usr/sbin:$PATH
missing=()
[[ " $* " == *' -suite '[sp]* ]] || command -v nginx >/dev/null || missing+=(nginx-light)
command -v wrk >/dev/null || missing+=(wrk)
[[ " $* " != *' -rate '* ]] || command -v h2load >/dev/null || missing+=(nghttp2-client)
command -v taskset >/dev/null || missing+=(util-linux)
if ((${#missing[@]})); then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# As in the image. The profile is not called default.pgo, because the compiler
# would then do everything twice for each `go build ./...` of every day.
CGO_ENABLED=0 go build -trimpath -pgo cmd/proxy/load.pgo -o "$dir/" ./cmd/proxy ./hack/bench
"$dir/bench" -proxy "$dir/proxy" "$@"
