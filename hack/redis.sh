#!/usr/bin/env bash
# Installs Debian's redis-server and valkey-server where they are missing, for the
# tests of limits. Bookworm has Valkey in its backports only, which are used for
# that package alone. Needs root.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

missing=()
for server in redis-server valkey-server; do command -v "$server" >/dev/null || missing+=("$server"); done
((${#missing[@]})) || exit 0

apt-get update -qq
options=()
if ! apt-get install -s "${missing[@]}" >/dev/null 2>&1; then
  list=$(mktemp --suffix=.list)
  trap 'rm "$list"' EXIT
  # shellcheck source=/dev/null
  echo "deb http://deb.debian.org/debian $(source /etc/os-release && echo "$VERSION_CODENAME")-backports main" >"$list"
  options=(-o "Dir::Etc::sourcelist=$list")
  apt-get update -qq "${options[@]}" -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0
fi
apt-get install -y -qq --no-install-recommends "${options[@]}" "${missing[@]}"
