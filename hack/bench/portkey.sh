#!/usr/bin/env bash
# Measures chat completions through our proxy and through Portkey's gateway, the
# npm package, with the same backend and load on this machine. Needs node and npm.
# Arguments go to the program: see main.go.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=1.15.2
cache=${XDG_CACHE_HOME:-$HOME/.cache}/citoroute/portkey-$version
gateway=$cache/node_modules/@portkey-ai/gateway/build/start-server.js
if [[ ! -f $gateway ]]; then
  command -v npm >/dev/null || { echo 'portkey.sh: npm is not installed' >&2; exit 1; }
  npm install --prefix "$cache" --silent --no-audit --no-fund "@portkey-ai/gateway@$version"
fi
exec "$here/run.sh" -suite portkey -portkey "$gateway" "$@"
