package faults

import (
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
)

// limited has a proxy with so many file descriptors at most.
func limited(files int) settings {
	n := strconv.Itoa(files)
	return settings{wrap: []string{"prlimit", "--nofile=" + n + ":" + n}}
}

// TestFT028_BackendsHoldTheFiles: one client's connection carries many requests,
// and each of them may need a connection to a backend. When those are as many as
// there may be the next requests wait or are told so, and everybody else is served.
func TestFT028_BackendsHoldTheFiles(t *testing.T) {
	release := make(chan struct{})
	slow := serve(t, "", func(w http.ResponseWriter, r *http.Request) {
		<-release
		_, _ = io.WriteString(w, r.Header.Get("X-Id"))
	})
	free := sync.OnceFunc(func() { close(release) })
	t.Cleanup(free)
	const files, asked = 256, 600
	resources := append(route("slow", "/slow", ir.Rule{}, ir.ProtocolHTTP, slow.address()), direct("/direct", "one"))
	resources[1].(*ir.Backend).ConnectTimeout = time.Second // which is how long requests wait
	p := start(t, limited(files), resources...)
	client := &http.Transport{Protocols: new(http.Protocols)}
	client.Protocols.SetUnencryptedHTTP2(true)
	defer client.CloseIdleConnections()
	answers := make(chan answer, asked)
	for i := range asked {
		go func() {
			id := strconv.Itoa(i)
			status, body := ask(t, client, "POST", p.url("/slow"), id)
			answers <- answer{id, body, status}
		}()
	}
	const few = 40
	eventually(t, "many requests at the backend", func() bool { return len(slow.seen()) >= few })
	first := <-answers // somebody has been told that there is no room
	if first.status != http.StatusServiceUnavailable {
		t.Errorf("got %+v", first)
	}
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		if status, body := ask(t, new(http.Transport), "GET", "http://"+p.metrics+path, ""); status != http.StatusOK {
			t.Errorf("%s: %d %.100q", path, status, body)
		}
	}
	for range few { // each over a connection of its own
		if status, body := ask(t, new(http.Transport), "GET", p.url("/direct"), ""); status != http.StatusOK || body != "one" {
			t.Fatalf("another client got %d %q", status, body)
		}
	}
	p.configure(append(slices.Clone(resources[:3]), direct("/direct", "two"))...)
	eventually(t, "the new configuration", func() bool {
		_, body := ask(t, new(http.Transport), "GET", p.url("/direct"), "")
		return body == "two"
	})
	free()
	served := 0
	for range asked - 1 {
		switch a := <-answers; {
		case a.status == http.StatusOK && a.body == a.id:
			served++
		case a.status != http.StatusServiceUnavailable:
			t.Errorf("got %+v", a)
		}
	}
	if served < few {
		t.Errorf("%d requests were served", served)
	}
	if status, body := ask(t, new(http.Transport), "POST", p.url("/slow"), "after"); status != http.StatusOK {
		t.Errorf("afterwards: %d %q", status, body)
	}
	onceOnly(t, slow)
}

// direct is a route that the proxy answers itself.
func direct(path, body string) ir.Resource {
	return &ir.Route{Name: "HTTPRoute/ns/direct@" + listener, Listener: listener, Rules: []ir.Rule{{
		Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: path}}}, Direct: &ir.Direct{Status: 200, Body: body},
	}}}
}
