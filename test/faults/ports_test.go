package faults

import (
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

// TestFT027_NoPorts: when no port is left for connections to a backend, its next
// requests are told so at once, those to others are served, and it is again as soon
// as there are some.
func TestFT027_NoPorts(t *testing.T) {
	if !isolated(t) {
		return
	}
	release := make(chan struct{})
	slow := serve(t, "", func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = io.WriteString(w, r.Header.Get("X-Id"))
	})
	quick := serve(t, "", nil)
	p := start(t, settings{}, slices.Concat(
		route("slow", "/slow", ir.Rule{}, ir.ProtocolHTTP, slow.address()),
		route("quick", "/quick", ir.Rule{}, ir.ProtocolHTTP, quick.address()))...)
	client := &http.Transport{Protocols: new(http.Protocols)}
	client.Protocols.SetUnencryptedHTTP2(true)
	defer client.CloseIdleConnections()
	if status, body := ask(t, client, "POST", p.url("/quick"), "q"); status != http.StatusOK { // its one connection
		t.Fatalf("got %d %q", status, body)
	}
	const ports, asked, first = 20, 60, 40000
	few := strconv.Itoa(first) + " " + strconv.Itoa(first+ports-1)
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte(few), 0o600); err != nil {
		t.Skipf("the kernel has ports as it likes: %v", err)
	}
	answers := make(chan answer, asked)
	for i := range asked {
		go func() {
			id := strconv.Itoa(i)
			status, body := ask(t, client, "POST", p.url("/slow"), id)
			answers <- answer{id, body, status}
		}()
	}
	for range asked - ports {
		if a := <-answers; a.status != http.StatusServiceUnavailable {
			t.Errorf("got %+v", a)
		}
	}
	eventually(t, "a request on each port", func() bool { return len(slow.seen()) == ports })
	for range 100 {
		if status, body := ask(t, client, "POST", p.url("/quick"), "q"); status != http.StatusOK || body != "q" {
			t.Fatalf("another backend: got %d %q", status, body)
		}
	}
	close(release)
	for range ports {
		if a := <-answers; len(failed([]answer{a})) > 0 {
			t.Errorf("got %+v", a)
		}
	}
	if status, body := ask(t, client, "POST", p.url("/slow"), "after"); status != http.StatusOK || body != "after" {
		t.Errorf("afterwards: got %d %q", status, body)
	}
	onceOnly(t, slow)
}
