// Package redirecttest gives a test a network of its own, so that it can redirect
// connections as in a pod and listen at addresses of its choice. It needs root and
// the program ip; where those are missing the test is skipped.
package redirecttest

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Namespace puts the goroutine of a test, on a thread of its own, into a new network
// namespace, in which the program ip runs commands such as "link set lo up". The
// programs that the goroutine starts are in the namespace as well, other goroutines
// are not. It goes with the last of them.
func Namespace(t *testing.T, commands ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a network namespace needs root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("setting up a network namespace needs the program ip (package iproute2)")
	}
	runtime.LockOSThread() // and never unlock: the thread is of no use to others
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("no network namespace can be made: %v", err)
	}
	ip := exec.CommandContext(t.Context(), "ip", "-batch", "-")
	ip.Stdin = strings.NewReader(strings.Join(commands, "\n"))
	if out, err := ip.CombinedOutput(); err != nil {
		t.Fatalf("ip %q: %v: %s", commands, err, out)
	}
}
