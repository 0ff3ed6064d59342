#!/usr/bin/env bash
# Puts images of static programs into the cluster:
#
#   load.sh                     builds this tree's controller, proxy and fake LLM provider, and
#                               puts Debian's redis-server beside them
#   load.sh IMAGE=PROGRAM...    e.g. citoroute/proxy:dev=bin/proxy
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# load IMAGE DESTINATION=SOURCE... makes an image of files, the first its program.
load() {
  local image=$1 archive
  shift
  archive=$(mktemp -p "$RUN")
  image -name "$image" -out "$archive" "$@"
  ctr_ images import "$archive" >/dev/null
  rm "$archive"
  say "loaded $image"
}

# redis loads Debian's server, with the libraries that it is linked to.
redis() {
  local program=/usr/bin/redis-server libraries
  ! ctr_ images ls -q | grep -qx docker.io/testbed/redis:1 || return 0
  mapfile -t libraries < <(ldd "$program" | grep -o '/[^ ]*' | sed 's/.*/&=&/')
  load testbed/redis:1 "$program=$program" "${libraries[@]}"
}

if (($# == 0)); then
  out=$STATE/ours
  mkdir -p "$out"
  (cd "$ROOT" && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$out/" ./cmd/controller ./cmd/proxy ./cmd/citoroute)
  redis
  set -- "citoroute/controller:dev=$out/controller" "citoroute/proxy:dev=$out/proxy" "citoroute/citoroute:dev=$out/citoroute"
fi
for pair in "$@"; do
  load "${pair%%=*}" "/$(basename "${pair#*=}")=${pair#*=}"
done
