#!/usr/bin/env bash
# Puts images of static programs into the cluster:
#
#   load.sh                     builds this tree's controller, proxy and fake LLM provider
#   load.sh IMAGE=PROGRAM...    e.g. citoroute/proxy:dev=bin/proxy
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

load() {
  local image=$1 program=$2 archive
  archive=$(mktemp -p "$RUN")
  image -name "$image" -out "$archive" "/$(basename "$program")=$program"
  ctr_ images import "$archive" >/dev/null
  rm "$archive"
}

if (($# == 0)); then
  out=$STATE/ours
  mkdir -p "$out"
  (cd "$ROOT" && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/" ./cmd/controller ./cmd/proxy ./cmd/citoroute)
  set -- "citoroute/controller:dev=$out/controller" "citoroute/proxy:dev=$out/proxy" "citoroute/citoroute:dev=$out/citoroute"
fi
for pair in "$@"; do
  load "${pair%%=*}" "${pair#*=}"
  say "loaded ${pair%%=*}"
done
