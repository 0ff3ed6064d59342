#!/usr/bin/env bash
# Takes the cluster down, also one whose up.sh or machine was cut off: ends its
# processes and removes its mounts, bridges, packet filter rules and state.
# The builds stay.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# started lists this cluster's processes: the programs that up.sh starts from its
# state folder, and what runs in their containers.
started() {
  local file pid ids
  for file in $(grep -lzF "$RUN/" /proc/[0-9]*/cmdline 2>/dev/null); do
    pid=$(cut -d/ -f3 <<<"$file")
    case $(readlink "/proc/$pid/exe") in
      "$BIN"/* | */containerd | */containerd-shim-runc-v2) echo "$pid" ;;
    esac
  done
  ids=$(ls "$RUN"/containerd-state/io.containerd.runtime.v2.task/k8s.io 2>/dev/null)
  [[ -z $ids ]] || grep -lF "$ids" /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3
}

end() {
  local pids
  pids=$(started | sort -un)
  # shellcheck disable=SC2086
  [[ -z $pids ]] || kill "-$1" $pids 2>/dev/null
}

remove_rules() {
  local version rules
  for version in iptables ip6tables; do
    rules=$("$version-save" 2>/dev/null)
    if grep -q -e KUBE- -e CNI- -e "$RULE_COMMENT" <<<"$rules"; then
      grep -v -e KUBE- -e CNI- -e "$RULE_COMMENT" <<<"$rules" | "$version-restore"
    fi
  done
}

unmount() { awk -v run=" $RUN/" 'index(" " $2, run) == 1 {print $2}' /proc/mounts | sort -r | xargs -r umount -l; }

if [[ -d $RUN ]]; then
  say "taking the cluster down"
  for _ in $(seq 20); do # a shim that was about to start a container may still do so
    end KILL
    [[ -z $(started) ]] && break
    sleep 0.1
  done
  unmount
  find /sys/fs/cgroup -depth -type d -path '*/kubepods*' -exec rmdir {} + 2>/dev/null
fi
remove_rules
for bridge in "$NODE_BRIDGE" "$POD_BRIDGE"; do ip link delete "$bridge" 2>/dev/null; done
rm -rf "$RUN"
[[ ! -e $RUN ]] || die "cannot remove $RUN"
