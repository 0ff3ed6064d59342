package runtime

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// transport answers 200 for every address, or what answer says.
type transport struct {
	answer func(ex *exchange.Exchange, to *exchange.Target) error
	// seen are the addresses in order, and the last request.
	seen []string
	last exchange.Request
	body string
}

func (f *transport) RoundTrip(ex *exchange.Exchange, to *exchange.Target) error {
	f.seen = append(f.seen, to.Addr)
	f.last = ex.Request
	f.last.Header = exchange.Header{}
	for h := range ex.Request.Header.All() {
		f.last.Header.Add(strings.Clone(h.Name), strings.Clone(h.Value))
	}
	f.last.Path, f.last.Authority = strings.Clone(ex.Request.Path), strings.Clone(ex.Request.Authority)
	ex.Response.Status = 200
	if f.answer != nil {
		ex.Response.Status = 0
		if err := f.answer(ex, to); err != nil {
			return err // before any of the body was read
		}
	}
	if ex.Request.Body == nil {
		return nil
	}
	b, err := io.ReadAll(ex.Request.Body)
	if err != nil {
		return &exchange.Failure{Stage: exchange.StageClient, Err: err}
	}
	f.body = string(b)
	return nil
}

func connectFailure() error {
	return &exchange.Failure{Stage: exchange.StageConnect, Err: errors.New("refused")}
}

// fixture is a runtime with one listener on port 80 and a fake transport.
type fixture struct {
	*Runtime
	t    *testing.T
	to   *transport
	done []Record
}

func (f *fixture) Series(_ *ir.Route, _ *ir.Rule, backend string) any { return "series " + backend }
func (f *fixture) Done(r *Record) {
	kept := *r
	if r.LLM != nil {
		of := *r.LLM
		of.Attempts = slices.Clone(of.Attempts)
		kept.LLM = &of
	}
	f.done = append(f.done, kept)
}

func newFixture(t *testing.T, resources ...ir.Resource) *fixture {
	t.Helper()
	f := &fixture{t: t, to: &transport{}}
	f.Runtime = New(Options{HTTP1: f.to, HTTP2: f.to, Observer: f})
	f.apply(ir.Update{Complete: true, Upserts: append([]ir.Resource{
		&ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP},
	}, resources...)})
	return f
}

func (f *fixture) apply(u ir.Update) {
	f.t.Helper()
	if err := f.Apply(u); err != nil {
		f.t.Fatal(err)
	}
}

// backend returns a backend with endpoints at these hosts, all on port 8080.
func backend(name string, hosts ...string) []ir.Resource {
	e := &ir.Endpoints{Name: name}
	for _, h := range hosts {
		e.Addresses = append(e.Addresses, ir.Endpoint{Host: h, Port: 8080})
	}
	return []ir.Resource{&ir.Backend{Name: name, Protocol: ir.ProtocolHTTP, Endpoints: name}, e}
}

func routeOf(name string, rules ...ir.Rule) *ir.Route {
	return &ir.Route{
		Name: name, Listener: "gw/http", Rules: rules,
		Source: ir.Source{Kind: "HTTPRoute", Namespace: "default", Name: name},
	}
}

func to(backends ...string) []ir.WeightedBackend {
	var out []ir.WeightedBackend
	for _, b := range backends {
		out = append(out, ir.WeightedBackend{Backend: b, Weight: 1})
	}
	return out
}

// get sends "METHOD target" with "Name: value" fields to port 80 of host
// example.com.
func (f *fixture) get(request string, fields ...string) *exchange.Exchange {
	f.t.Helper()
	ex := request80(request, fields...)
	f.serve(f.Handler(80, ""), ex)
	return ex
}

func (f *fixture) serve(h exchange.Handler, ex *exchange.Exchange) {
	h.Serve(ex)
	var sent exchange.Header // the strings of the exchange are gone with its end
	for field := range ex.Response.Header.All() {
		sent.Add(strings.Clone(field.Name), strings.Clone(field.Value))
	}
	h.Finish(ex, exchange.End{})
	ex.Response.Header = sent
}

func request80(request string, fields ...string) *exchange.Exchange {
	method, target, ok := strings.Cut(request, " ")
	if !ok {
		method, target = "GET", request
	}
	path, query, hasQuery := strings.Cut(target, "?")
	ex := &exchange.Exchange{Client: nobody{}, Request: exchange.Request{
		Proto: exchange.HTTP11, Method: method, Scheme: "http", Authority: "example.com",
		Path: path, Query: query, HasQuery: hasQuery, Remote: netip.MustParseAddrPort("192.0.2.1:1234"),
	}}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		if strings.EqualFold(name, "Host") {
			ex.Request.Authority = value
			continue
		}
		ex.Request.Header.Add(name, value)
	}
	return ex
}

func (f *fixture) wantStatus(ex *exchange.Exchange, want int) {
	f.t.Helper()
	if ex.Response.Status != want {
		f.t.Errorf("status %d, want %d (%v)", ex.Response.Status, want, f.done[len(f.done)-1].Err)
	}
}

func text(ex *exchange.Exchange) string {
	if ex.Response.Body == nil {
		return ""
	}
	b, err := io.ReadAll(ex.Response.Body)
	if err != nil {
		return fmt.Sprint("error: ", err)
	}
	return string(b)
}

func withBody(ex *exchange.Exchange, body string) *exchange.Exchange {
	ex.Request.Body, ex.Request.ContentLength = upstream.NewBody([]byte(body)), int64(len(body))
	return ex
}

// setClock makes now the only clock of a runtime.
func setClock(rt *Runtime, now func() time.Time) {
	rt.opts.Now, rt.since = now, func(start time.Time) time.Duration { return now().Sub(start) }
}
