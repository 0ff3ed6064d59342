package faults

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// isolatedTest is the variable with the name of the test that a process is for.
const isolatedTest = "CITOROUTE_TEST_ISOLATED"

// isolated says whether the test may go on: in a process of its own, whose network
// is its own and empty but for what the commands make with the program ip, and whose
// mounts may be changed. In the process of the other tests it only waits for that
// one.
func isolated(t *testing.T, commands ...string) bool {
	t.Helper()
	if os.Getenv(isolatedTest) == t.Name() {
		ip := exec.CommandContext(t.Context(), "ip", "-batch", "-")
		ip.Stdin = strings.NewReader(strings.Join(append([]string{"link set lo up"}, commands...), "\n"))
		if out, err := ip.CombinedOutput(); err != nil {
			t.Fatalf("ip %q: %v: %s", commands, err, out)
		}
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("a network of its own needs root")
	}
	for _, program := range []string{"ip", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("a network of its own needs the program %s (packages iproute2 and util-linux)", program)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "unshare", "--net", "--mount", "true").CombinedOutput(); err != nil {
		t.Skipf("no network of its own can be made: %s", out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "unshare", "--net", "--mount", self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.parallel=16")
	cmd.Env = append(os.Environ(), isolatedTest+"="+t.Name())
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("\n%s", out)
	}
	return false
}
