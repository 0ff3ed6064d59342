package faults

import (
	"context"
	"crypto/tls"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/certtest"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/porttest"
	"github.com/citoroute/citoroute/internal/push"
)

// controller is what proxies get their configuration from. Each time that it is
// started it knows nothing, as one that has not asked the API server yet.
type controller struct {
	*push.Server
	t      *testing.T
	stream bootstrap.Stream
	tls    *tls.Config
	stop   func()
}

// newController returns one that is away.
func newController(t *testing.T) *controller {
	t.Helper()
	cert := certtest.Server(t, "controller.test")
	dir := t.TempDir()
	c := &controller{t: t, stop: func() {}, stream: bootstrap.Stream{
		Servers: []string{porttest.Address(t)}, ServerName: "controller.test",
		CAFile: filepath.Join(dir, "ca.pem"), TokenFile: filepath.Join(dir, "token"),
	}}
	c.tls = &tls.Config{Certificates: []tls.Certificate{cert.TLS()}, MinVersion: tls.VersionTLS13}
	for path, content := range map[string][]byte{
		c.stream.CAFile:    cert.PEM(),
		c.stream.TokenFile: []byte("token\n"),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { c.stop() })
	return c
}

// run has it answer.
func (c *controller) run() {
	c.t.Helper()
	l := listen(c.t, c.stream.Servers[0])
	c.Server = push.NewServer(push.ServerOptions{TLS: c.tls})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	server := c.Server
	go func() {
		defer close(done)
		_ = server.Serve(ctx, l)
	}()
	c.stop = func() {
		cancel()
		<-done
	}
}

// know has it know what the proxies are to serve.
func (c *controller) know(resources ...ir.Resource) {
	c.t.Helper()
	if err := c.Update(node, ir.Update{Upserts: resources, Complete: true}); err != nil {
		c.t.Fatal(err)
	}
}

// body is what a path is answered with; "404" and the like where it is not.
func (p *proxy) body(path string) string {
	p.t.Helper()
	status, body := ask(p.t, new(http.Transport), "GET", p.url(path), "")
	if status != http.StatusOK {
		return http.StatusText(status)
	}
	return body
}

// TestFT010_ControllerAway: proxies go on with what they have, do without a backend
// that has gone, and get what is new when a controller is back, which may have to
// begin by finding out what there is.
func TestFT010_ControllerAway(t *testing.T) {
	stays, goes := serve(t, "", nil), serve(t, "", nil)
	c := newController(t)
	c.run()
	p := prepare(t, settings{follow: c})
	resources := p.with(append(route("r", "/r", ir.Rule{}, ir.ProtocolHTTP, stays.address(), goes.address()), direct("/direct", "one"))...)
	c.know(resources...)
	p.launch()
	eventually(t, "the proxy to be ready", p.ready)
	l := put(t, "GET", p.url("/r"))
	l.more(200)
	c.stop()
	l.more(200)
	goes.kill()
	l.more(100)
	settled := l.answered()
	l.more(500)
	c.run() // and knows nothing yet
	eventually(t, "the proxy to be back", func() bool { return c.Streams() == 1 })
	l.more(200)
	resources[4] = direct("/direct", "two")
	c.know(resources...)
	eventually(t, "what is new", func() bool { return p.body("/direct") == "two" })
	all := l.stop()
	for _, a := range failed(all[settled:]) {
		t.Errorf("%+v", a)
	}
	if lost := failed(all[:settled]); len(lost) > workers {
		t.Errorf("%d requests failed, of %d that were in flight when a backend was killed", len(lost), workers)
	}
	if !p.ready() {
		t.Error("it is not ready")
	}
}

// TestFT011_ProxyRestartsAlone: a proxy that starts while no controller is there
// serves what the last one kept, and is not ready where there is nothing of it or
// it is damaged.
func TestFT011_ProxyRestartsAlone(t *testing.T) {
	c := newController(t)
	p := prepare(t, settings{follow: c})
	p.launch()
	unready := func(when string) {
		t.Helper()
		live := func() bool {
			status, _ := ask(t, new(http.Transport), "GET", "http://"+p.metrics+"/livez", "")
			return status == http.StatusOK
		}
		eventually(t, "the proxy to live", live)
		if p.ready() {
			t.Errorf("%s it is ready", when)
		}
		if status, body := ask(t, new(http.Transport), "GET", p.url("/direct"), ""); status != 0 {
			t.Errorf("%s it answers %d %q", when, status, body)
		}
	}
	unready("without a configuration")
	c.run()
	eventually(t, "the proxy to come", func() bool { return c.Streams() == 1 })
	unready("before the controller knows what there is")
	c.know(p.with(direct("/direct", "one"))...)
	eventually(t, "the proxy to be ready", p.ready)
	eventually(t, "the configuration to be kept", p.kept("one"))
	c.stop()
	p.kill()
	p.launch()
	eventually(t, "the proxy to be ready without a controller", p.ready)
	if got := p.body("/direct"); got != "one" {
		t.Errorf("got %q", got)
	}
	p.kill()
	content, err := os.ReadFile(p.state())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.state(), content[:len(content)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	p.launch()
	unready("with half a configuration")
	c.run()
	c.know(p.with(direct("/direct", "two"))...)
	eventually(t, "the proxy to mend", func() bool { return p.ready() && p.body("/direct") == "two" })
}

// TestFT007_BadConfiguration: what cannot be served is refused by name, all else is
// served, and of what was bad the last that was good: also by a proxy that starts
// with it.
func TestFT007_BadConfiguration(t *testing.T) {
	c := newController(t)
	c.run()
	p := prepare(t, settings{follow: c})
	other := func(match ir.PathMatch) *ir.Route {
		return &ir.Route{Name: "HTTPRoute/ns/other@" + listener, Listener: listener, Rules: []ir.Rule{{
			Matches: []ir.Match{{Path: match}}, Direct: &ir.Direct{Status: 200, Body: "other"},
		}}}
	}
	c.know(p.with(direct("/direct", "one"), other(ir.PathMatch{Type: ir.MatchPrefix, Value: "/other"}))...)
	p.launch()
	eventually(t, "the proxy to be ready", p.ready)
	bad := other(ir.PathMatch{Type: ir.MatchRegex, Value: "("})
	c.know(p.with(direct("/direct", "two"), bad)...)
	for _, when := range []string{"refused", "restarted"} {
		eventually(t, "the proxy to refuse", func() bool { return strings.Contains(c.State(node).Rejected, bad.Name) })
		eventually(t, "what is good", func() bool { return p.body("/direct") == "two" })
		if got := p.body("/other"); got != "other" || !p.ready() {
			t.Errorf("%s: got %q, ready %v", when, got, p.ready())
		}
		eventually(t, "what is good to be kept", p.kept("two"))
		p.kill()
		eventually(t, "the proxy to be gone", func() bool { return c.Streams() == 0 })
		p.launch()
		eventually(t, "the proxy to be ready", p.ready)
	}
	c.know(p.with(direct("/direct", "three"))...)
	eventually(t, "what was mended", func() bool { return p.body("/direct") == "three" && c.State(node).Rejected == "" })
}

// kept says that the proxy has written down a configuration that answers body.
func (p *proxy) kept(body string) func() bool {
	return func() bool {
		b, err := os.ReadFile(p.state())
		return err == nil && strings.Contains(string(b), `"`+body+`"`)
	}
}

func (p *proxy) state() string { return filepath.Join(p.dir, "last-good.json") }

// TestFT044_AllAtOnce: proxies, controller and backend are killed together and come
// back in any order. Whoever is ready serves: no route is ever missing.
func TestFT044_AllAtOnce(t *testing.T) {
	c := newController(t)
	c.run()
	address := porttest.Address(t)
	proxies := []*proxy{prepare(t, settings{follow: c}), prepare(t, settings{follow: c})}
	b := serve(t, address, nil)
	resources := func(p *proxy) []ir.Resource {
		return p.with(append(route("r", "/r", ir.Rule{}, ir.ProtocolHTTP, address), direct("/direct", "one"))...)
	}
	proxies[1].port = proxies[0].port // that of the node: one runs at a time
	for round := range 8 {
		p := proxies[round%2]
		seed := mathrand.Perm(3)
		for _, what := range seed {
			switch what {
			case 0:
				p.launch()
			case 1:
				c.stop()
				c.run()
				c.know(resources(p)...)
			case 2:
				b.kill()
				b = serve(t, address, nil)
			}
			if p.command == nil || !p.listening() {
				continue
			}
			if got := p.body("/direct"); got != "one" {
				t.Errorf("round %d, order %v: got %q", round, seed, got)
			}
		}
		eventually(t, "the proxy to be ready", p.ready)
		eventually(t, "an answer of the backend", func() bool {
			status, body := ask(t, new(http.Transport), "GET", p.url("/r"), "1")
			if status != http.StatusOK && status < 502 {
				t.Fatalf("round %d, order %v: got %d %q", round, seed, status, body)
			}
			return status == http.StatusOK
		})
		p.kill()
		c.stop()
	}
}

// listening says that somebody takes connections on the proxy's port.
func (p *proxy) listening() bool {
	status, _ := ask(p.t, new(http.Transport), "GET", p.url("/direct"), "")
	return status != 0
}
