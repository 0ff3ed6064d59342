package runtime

import (
	"fmt"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// instant answers without keeping anything.
type instant struct{}

func (instant) RoundTrip(ex *exchange.Exchange, _ *exchange.Target) error {
	ex.Response.Status = 200
	ex.Response.Header.Add("Content-Type", "text/plain")
	return nil
}

// counter is an Observer that costs nothing.
type counter struct{}

func (*counter) Series(*ir.Route, *ir.Rule, string) any { return nil }
func (*counter) Done(*Record)                           {}

// busy is a runtime with n routes, and a plain GET of the last.
func busy(tb testing.TB, n int, filters ...ir.Filter) (exchange.Handler, func(*exchange.Exchange)) {
	tb.Helper()
	rt := New(Options{HTTP1: instant{}, HTTP2: instant{}, Observer: &counter{}})
	resources := append(backend("b", "10.0.0.1", "10.0.0.2", "10.0.0.3"),
		&ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP})
	for i := range n {
		resources = append(resources, routeOf(fmt.Sprint("r", i), ir.Rule{
			Matches:  []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: fmt.Sprint("/r", i)}}},
			Filters:  filters,
			Backends: to("b", "b"),
		}))
	}
	if err := rt.Apply(ir.Update{Complete: true, Upserts: resources}); err != nil {
		tb.Fatal(err)
	}
	template := request80(fmt.Sprint("/r", n-1, "/items/42"),
		"User-Agent: bench", "Accept: */*", "Accept-Encoding: gzip", "Cookie: a=b; c=d", "X-Forwarded-For: 198.51.100.1")
	fill := func(ex *exchange.Exchange) {
		header := ex.Request.Header
		header.Reset()
		for f := range template.Request.Header.All() {
			header.Add(f.Name, f.Value)
		}
		response := ex.Response.Header
		response.Reset()
		ex.Request, ex.Response = template.Request, exchange.Response{Header: response}
		ex.Request.Header = header
		ex.Client = nobody{}
	}
	return rt.Handler(80, ""), fill
}

func BenchmarkServe(b *testing.B) {
	modify := ir.Filter{RequestHeaders: &ir.HeaderModifier{Set: []ir.NameValue{{Name: "X-A", Value: "1"}}, Remove: []string{"Cookie"}}}
	prefix := "/x"
	rewrite := ir.Filter{Rewrite: &ir.Rewrite{Path: &ir.PathRewrite{Prefix: &prefix}}}
	for name, test := range map[string]struct {
		routes  int
		filters []ir.Filter
	}{
		"1_route": {routes: 1}, "10k_routes": {routes: 10_000},
		"filters": {routes: 1, filters: []ir.Filter{modify, rewrite}},
	} {
		b.Run(name, func(b *testing.B) {
			h, fill := busy(b, test.routes, test.filters...)
			var ex exchange.Exchange
			b.ReportAllocs()
			for b.Loop() {
				fill(&ex)
				h.Serve(&ex)
				h.Finish(&ex, exchange.End{})
			}
			if ex.Response.Status != 200 {
				b.Fatal(ex.Response.Status)
			}
		})
	}
}

func TestServe_AllocatesNothing(t *testing.T) {
	h, fill := busy(t, 10)
	var ex exchange.Exchange
	n := testing.AllocsPerRun(1000, func() {
		fill(&ex)
		h.Serve(&ex)
		h.Finish(&ex, exchange.End{})
	})
	if n != 0 {
		t.Errorf("%v allocations per request", n)
	}
}

func BenchmarkApply_OneOf10kRoutes(b *testing.B) {
	rt := New(Options{HTTP1: instant{}, HTTP2: instant{}})
	resources := append(backend("b", "10.0.0.1"), &ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP})
	for i := range 10_000 {
		resources = append(resources, nth(i, 0))
	}
	if err := rt.Apply(ir.Update{Complete: true, Upserts: resources}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for i := int64(1); b.Loop(); i++ {
		if err := rt.Apply(ir.Update{Upserts: []ir.Resource{nth(5000, i)}}); err != nil {
			b.Fatal(err)
		}
	}
}

func nth(i int, created int64) *ir.Route {
	r := routeOf(fmt.Sprint("r", i), ir.Rule{
		Matches:  []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: fmt.Sprint("/r", i)}}},
		Backends: to("b"),
	})
	r.Created, r.Hostnames = created, []string{"example.com"}
	return r
}
