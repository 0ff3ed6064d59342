package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/h1"
	"github.com/citoroute/citoroute/internal/proxy/observe"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// faultyTransport panics on the way to a backend, or where that sends the body.
type faultyTransport struct {
	exchange.Transport
	roundTrip, body string // addresses of backends
}

func (f *faultyTransport) RoundTrip(ex *exchange.Exchange, to *exchange.Target) error {
	switch to.Addr {
	case f.roundTrip:
		panic("on the way")
	case f.body:
		ex.Request.Body = &faultyBody{ex.Request.Body}
	}
	return f.Transport.RoundTrip(ex, to)
}

type faultyBody struct{ exchange.Body }

func (b *faultyBody) Buffered() int            { return 0 }
func (b *faultyBody) Read([]byte) (int, error) { panic("in the body") }

// faultyObserver panics over what is compiled for a route.
type faultyObserver struct {
	*observe.Observer
	route string
}

func (f *faultyObserver) Series(route *ir.Route, rule *ir.Rule, backend string) any {
	if route.Name == f.route {
		panic("over a route")
	}
	return f.Observer.Series(route, rule, backend)
}

// journal is a log that is read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

// count says how often the text is there.
func (j *journal) count(text string) int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return strings.Count(j.buf.String(), text)
}

const (
	faultyAddress = "127.0.0.1:1"
	faultyRoute   = "HTTPRoute/ns/faulty"
)

// faulty runs a server with faults: requests below /way panic on their way, those
// below /body while their body is sent, and those below /copy in their copy.
// Those below /fine do not.
func faulty(t *testing.T) (srv *Server, told *journal) {
	t.Helper()
	echo := func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }
	fine, body := serve(t, echo), serve(t, echo)
	told = &journal{}
	opts := Options{Observe: observe.New(observe.Options{}), Log: slog.New(slog.NewTextHandler(told, nil))}
	opts.Runtime = runtime.New(runtime.Options{
		HTTP1:    &faultyTransport{h1.NewTransport(h1.Options{Dial: upstream.Dialer{}.DialContext}), faultyAddress, body},
		Observer: &faultyObserver{opts.Observe, faultyRoute},
		Panicked: panicked(opts.Observe, opts.Log),
	})
	srv, _ = start(t, opts)
	l := httpListener(80)
	resources := []ir.Resource{l}
	route := &ir.Route{Name: "HTTPRoute/ns/r", Listener: l.Name}
	for name, address := range map[string]string{"fine": fine, "body": body, "way": faultyAddress} {
		at := netip.MustParseAddrPort(address)
		resources = append(resources,
			&ir.Endpoints{Name: name, Addresses: []ir.Endpoint{{Host: at.Addr().String(), Port: at.Port()}}},
			&ir.Backend{Name: name, Protocol: ir.ProtocolHTTP, Endpoints: name})
		route.Rules = append(route.Rules, below(name, name))
	}
	copied := below("copy", "fine")
	copied.Filters = []ir.Filter{{Mirror: &ir.Mirror{Backend: "way", Numerator: 1, Denominator: 1}}}
	route.Rules = append(route.Rules, copied)
	apply(t, srv, append(resources, route)...)
	return srv, told
}

// below sends what is below a path to a backend.
func below(path, backend string) ir.Rule {
	return ir.Rule{
		Matches:  []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: "/" + path}}},
		Backends: []ir.WeightedBackend{{Backend: backend, Weight: 1}},
	}
}

// TestFT004_Panic: a fault in the code costs the connection or the stream that has
// come upon it. It is told, and all that is else served goes on.
func TestFT004_Panic(t *testing.T) {
	for name, protocol := range map[string]func(*http.Protocols){"HTTP1": http1, "HTTP2": h2c} {
		t.Run(name, func(t *testing.T) {
			srv, told := faulty(t)
			url := "http://" + addr(t, srv, 80)
			post := func(c *http.Transport, path string) error {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+path, io.MultiReader(strings.NewReader("hello")))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := c.RoundTrip(req)
				if err != nil {
					return err
				}
				got, err := io.ReadAll(resp.Body)
				if err == nil && (resp.StatusCode != http.StatusOK || string(got) != "hello") {
					t.Errorf("%s: %d %q", path, resp.StatusCode, got)
				}
				return errors.Join(err, resp.Body.Close())
			}
			bystander := client(t, nil, "", protocol)
			if err := post(bystander, "/fine"); err != nil {
				t.Fatal(err)
			}
			for i, c := range []struct {
				path, cause string
				served      bool
			}{
				{"/way", "on the way", false},
				{"/body", "in the body", false},
				{"/copy", "on the way", true},
			} {
				before := told.count(c.cause)
				if err := post(client(t, nil, "", protocol), c.path); (err == nil) != c.served {
					t.Errorf("%s: got %v, want served: %v", c.path, err, c.served)
				}
				eventually(t, func() bool { return told.count(c.cause) > before && panics(t, srv) == i+1 })
				if err := post(bystander, "/fine"); err != nil {
					t.Errorf("after %s: %v", c.path, err)
				}
			}
		})
	}
}

// TestFT004_Configuration: what the proxy panics over is refused by its name, and
// the rest is served.
func TestFT004_Configuration(t *testing.T) {
	srv, told := faulty(t)
	l := httpListener(80)
	bad := answer(l, http.StatusOK, "bad")
	bad.Name = faultyRoute
	err := srv.Apply(ir.Update{Upserts: []ir.Resource{bad}})
	if refused, ok := errors.AsType[*ir.ResourceError](err); !ok || refused.Resource != ir.RefOf(bad) {
		t.Errorf("got %v", err)
	}
	if told.count("over a route") == 0 || panics(t, srv) != 1 {
		t.Error("nobody is told")
	}
	if status, _, err := get(t, client(t, nil, "", http1), "http://"+addr(t, srv, 80)+"/fine"); status != http.StatusOK {
		t.Errorf("what was served before: %d, %v", status, err)
	}
}

// panics is how many the metrics tell of.
func panics(t *testing.T, srv *Server) int {
	t.Helper()
	families, err := srv.opts.Observe.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "citoroute_panics_total" {
			return int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return 0
}
