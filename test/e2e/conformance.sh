#!/usr/bin/env bash
# Deploys this tree (see target.sh), runs the upstream Gateway API conformance suite
# and prints one line per test.
#
#   PROFILES=GATEWAY-HTTP,GATEWAY-GRPC   profiles to run (default: all that are served)
#   TEST=HTTPRouteWeight                 that test alone; no report is written
#   FLAGS='--debug ...'                  more flags of the suite
#   LOG=FILE                             where the whole output goes
#
# A whole run writes docs/conformance/<channel>-<version>-default-report.yaml.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/target.sh"
cd "$root/test/e2e/conformance" || exit 1
log=${LOG:-$(mktemp -t conformance-XXXXXX.log)}

binary=$(mktemp -d)/conformance.test
trap 'rm -rf "$(dirname "$binary")"' EXIT
go test -c -o "$binary" . || exit 1

args=(--usable-address=10.250.1.250 --unusable-address=203.0.113.1
  --conformance-profiles="${PROFILES:-GATEWAY-HTTP,GATEWAY-GRPC,GATEWAY-TLS,GATEWAY-TCP,GATEWAY-UDP}" --allow-crds-mismatch=false)
if [[ -n ${TEST:-} ]]; then
  args+=(--run-test="$TEST")
else
  args+=(--report-output="$root/docs/conformance/experimental-v1.7.0-default-report.yaml")
fi
# shellcheck disable=SC2086
"$binary" -test.v -test.parallel=4 -test.timeout=40m "${args[@]}" ${FLAGS:-} >"$log" 2>&1 </dev/null
status=$?

grep -E '^    --- (PASS|FAIL|SKIP)' "$log" | sed 's/^ *//'
passed=$(grep -cE '^    --- PASS' "$log") failed=$(grep -cE '^    --- FAIL' "$log") skipped=$(grep -cE '^    --- SKIP' "$log")
((status == 0)) || grep -E '^(panic|---|FAIL|\s+Error( Trace)?:|.*(suite|error).*: )' "$log" | tail -40
echo "conformance: $passed passed, $failed failed, $skipped skipped (output: $log)"
exit $status
