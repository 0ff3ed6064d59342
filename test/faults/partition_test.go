package faults

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/h1"
)

// network is that of an isolated test, in which every address is its own.
const network = "address add 10.1.0.0/16 dev lo"

// drop has the network lose what iptables matches, without a word to anybody, until
// it is mended.
func drop(t *testing.T, match ...string) (mend func()) {
	t.Helper()
	if _, err := exec.LookPath("iptables"); err != nil {
		t.Skip("losing packets needs the program iptables")
	}
	run := func(command string) {
		words := append([]string{"--wait", command, "INPUT"}, append(match, "--jump", "DROP")...)
		if out, err := exec.CommandContext(t.Context(), "iptables", words...).CombinedOutput(); err != nil {
			t.Fatalf("iptables %q: %v: %s", words, err, out)
		}
	}
	run("--append")
	return func() { run("--delete") }
}

// TestFT016_Partition: a backend that cannot be reached any more, or cannot be heard,
// costs the requests that it has, once for each connection that there was, and its
// part of the others a moment. It has its share again when it is back.
func TestFT016_Partition(t *testing.T) {
	if !isolated(t, network) {
		return
	}
	subnet := 0
	for name, direction := range map[string]string{"ToTheBackend": "--destination", "FromTheBackend": "--source"} {
		for version, protocol := range map[string]ir.Protocol{"HTTP1": ir.ProtocolHTTP, "HTTP2": ir.ProtocolH2C} {
			subnet++
			address := fmt.Sprintf("10.1.%d.2", subnet)
			t.Run(name+version, func(t *testing.T) {
				t.Parallel()
				partition(t, address, direction, protocol)
			})
		}
	}
}

func partition(t *testing.T, address, direction string, protocol ir.Protocol) {
	t.Helper()
	lost, other := serve(t, address+":0", nil), serve(t, "", nil)
	rule := ir.Rule{Timeouts: ir.Timeouts{Backend: 500 * time.Millisecond}}
	resources := route("r", "/", rule, protocol, lost.address(), other.address())
	resources[1].(*ir.Backend).ConnectTimeout = 300 * time.Millisecond
	p := start(t, settings{}, resources...)
	l := putWith(t, "POST", p.url("/"), 10*time.Millisecond)
	eventually(t, "requests at both backends", func() bool { return len(lost.seen()) > 50 && len(other.seen()) > 50 })
	mend := drop(t, direction, address)
	calm(t, l)
	all := l.failures()
	for _, a := range all {
		if a.status != http.StatusGatewayTimeout {
			t.Errorf("got %+v", a)
		}
	}
	if len(all) > 2*workers {
		t.Errorf("%d requests failed, of %d that were in flight", len(all), workers)
	}
	mend()
	before := len(lost.seen())
	eventually(t, "requests at the backend that is back", func() bool { return len(lost.seen()) > before+50 })
	if again := failed(l.stop()); len(again) > len(all) {
		t.Errorf("afterwards %d requests failed: %+v", len(again)-len(all), again[len(all)])
	}
	onceOnly(t, lost, other)
}

// calm waits until requests have not failed for a while.
func calm(t *testing.T, l *load) {
	t.Helper()
	failures, since := len(l.failures()), time.Now()
	eventually(t, "requests to go well", func() bool {
		if n := len(l.failures()); n != failures {
			failures, since = n, time.Now()
		}
		return time.Since(since) > time.Second
	})
}

// TestFT016_InFlight: who waits for a backend without a limit is told when the
// network to it was cut.
func TestFT016_InFlight(t *testing.T) {
	if !isolated(t, network) {
		return
	}
	const address, patience = "10.1.0.2", 500 * time.Millisecond // of the proxy: 30 s
	b := serve(t, address+":0", nil)
	transport := h1.NewTransport(h1.Options{WriteTimeout: patience})
	ask := func() error {
		// Its answers have no body.
		ex := &exchange.Exchange{Request: exchange.Request{Method: "POST", Path: "/", Authority: "a"}}
		return transport.RoundTrip(ex, &exchange.Target{Addr: b.address(), ConnectTimeout: timeout, Deadline: time.Now().Add(timeout)})
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	drop(t, "--destination", address)
	began := time.Now()
	if err := ask(); !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took < patience || took > patience+5*time.Second {
		t.Errorf("it took %s", took)
	}
}
