#!/usr/bin/env bash
# Deploys this tree (see target.sh), runs the upstream Gateway API conformance suite
# and prints one line per test. Profiles of Gateways and of the mesh run one after
# the other: the suite puts every namespace that it makes into the mesh, or none.
#
#   PROFILES=GATEWAY-HTTP,MESH-HTTP      profiles to run (default: all seven)
#   TEST=HTTPRouteWeight                 that test alone; no report is written
#   FLAGS='--debug ...'                  more flags of the suite
#   LOG=FILE                             where the whole output goes
#
# A whole run writes docs/conformance/<channel>-<version>-<mode>-report.yaml, the mode
# being default for Gateways and mesh for the mesh.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/target.sh"
cd "$root/test/e2e/conformance" || exit 1
log=${LOG:-$(mktemp -t conformance-XXXXXX.log)}
profiles=${PROFILES:-GATEWAY-HTTP,GATEWAY-GRPC,GATEWAY-TLS,GATEWAY-TCP,GATEWAY-UDP,MESH-HTTP,MESH-GRPC}

binary=$(mktemp -d)/conformance.test
trap 'rm -rf "$(dirname "$binary")"' EXIT
go test -c -o "$binary" . || exit 1
: >"$log"

# run MODE PROFILES FLAG... runs the suite in one mode.
run() {
  local mode=$1 args=(--conformance-profiles="$2" --mode="$1" --allow-crds-mismatch=false "${@:3}")
  [[ -n $2 ]] || return 0
  if [[ -n ${TEST:-} ]]; then
    args+=(--run-test="$TEST")
  else
    args+=(--report-output="$root/docs/conformance/experimental-v1.7.0-$mode-report.yaml")
  fi
  # shellcheck disable=SC2086
  "$binary" -test.v -test.parallel=4 -test.timeout=40m "${args[@]}" ${FLAGS:-} >>"$log" 2>&1 </dev/null
}

# of PREFIX prints the profiles that begin with it, but none that cannot have TEST.
of() {
  case ${TEST:-} in
    '') ;;
    Mesh*) [[ $1 == MESH ]] || return 0 ;;
    *) [[ $1 == GATEWAY ]] || return 0 ;;
  esac
  tr , '\n' <<<"$profiles" | grep "^$1-" | paste -sd,
}

status=0
run default "$(of GATEWAY)" --usable-address=10.250.1.250 --unusable-address=203.0.113.1 || status=$?
run mesh "$(of MESH)" --gateway-class= --mesh-name=citoroute --namespace-labels=citoroute.io/injection=enabled || status=$?

# A test of Gateways is skipped for the mesh, and the other way round: what ran once did run.
results=$(grep -oE '^    --- (PASS|FAIL|SKIP).*' "$log" | sed 's/^ *//' |
  awk '!/SKIP/ {print; ran[$3]} /SKIP/ {skipped[$3] = $0} END {for (t in skipped) if (!(t in ran)) print skipped[t]}')
echo "$results"
count() { grep -c "^--- $1" <<<"$results"; }
((status == 0)) || grep -E '^(panic|---|FAIL|\s+Error( Trace)?:|.*(suite|error).*: )' "$log" | tail -40
echo "conformance: $(count PASS) passed, $(count FAIL) failed, $(count SKIP) skipped (output: $log)"
exit $status
