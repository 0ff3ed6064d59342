package runtime

import (
	"net/netip"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

const meshName = "mesh/default/shop/80"

// meshListener captures port 80 of addresses.
func meshListener(addresses ...string) *ir.Listener {
	l := &ir.Listener{Name: meshName, Port: 80, Protocol: ir.ProtocolHTTP}
	for _, a := range addresses {
		l.Addresses = append(l.Addresses, netip.MustParseAddr(a))
	}
	return l
}

// meshRoute is a route of meshListener.
func meshRoute(rules ...ir.Rule) *ir.Route {
	r := routeOf("HTTPRoute/default/shop@"+meshName, rules...)
	r.Listener = meshName
	return r
}

// going sends a request on a connection that was going to an address.
func (f *fixture) going(to, request string, fields ...string) *exchange.Exchange {
	f.t.Helper()
	ex := request80(request, fields...)
	f.serve(f.CapturedHandler(netip.MustParseAddrPort(to)), ex)
	return ex
}

func TestCaptured_ByAddressAndNotByHost(t *testing.T) {
	f := newFixture(t, append(backend("service v1", "10.0.0.1"), meshListener("10.96.0.1", "fd00::1"),
		meshRoute(ir.Rule{Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: "/v1"}}}, Backends: to("service v1")}))...)
	for name, c := range map[string]struct {
		to, path string
		status   int
		seen     string // where the request went; "": nowhere
	}{
		"IPv4":         {"10.96.0.1:80", "/v1", 200, "10.0.0.1:8080"},
		"IPv6":         {"[fd00::1]:80", "/v1", 200, "10.0.0.1:8080"},
		"NoMatch":      {"10.96.0.1:80", "/v2", 404, ""},
		"OtherPort":    {"10.96.0.1:81", "/v1", 200, "10.96.0.1:81"},
		"OtherAddress": {"10.96.0.2:80", "/v1", 200, "10.96.0.2:80"},
	} {
		t.Run(name, func(t *testing.T) {
			f.t, f.to.seen = t, nil
			f.wantStatus(f.going(c.to, c.path, "Host: other.example"), c.status)
			seen := ""
			if len(f.to.seen) > 0 {
				seen = f.to.seen[0]
			}
			if seen != c.seen {
				t.Errorf("it went to %q, want %q", seen, c.seen)
			}
		})
	}
	if f.Captured(netip.MustParseAddrPort("10.96.0.1:80")) == nil || f.Captured(netip.MustParseAddrPort("10.96.0.1:81")) != nil {
		t.Error("another port is captured than that of the listener")
	}
	f.wantStatus(f.get("/v1"), 404) // at a gateway's port
}

func TestCaptured_LeavesFieldsAlone(t *testing.T) {
	f := newFixture(t, append(backend("b", "10.0.0.1"), meshListener("10.96.0.1"), meshRoute(ir.Rule{Backends: to("b")}))...)
	for _, to := range []string{"10.96.0.1:80", "10.96.0.9:80"} { // by a route, and passed on
		f.wantStatus(f.going(to, "/", "X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "X-Request-Id: a"), 200)
		if got := f.to.last.Header.Len(); got != 3 || f.to.last.Authority != "example.com" {
			t.Errorf("to %s: %d fields, host %s", to, got, f.to.last.Authority)
		}
	}
}

func TestCaptured_WithoutRoutesRequestsGoWhereTheyWereGoing(t *testing.T) {
	f := newFixture(t, append(backend("b", "10.0.0.1"), meshListener("10.96.0.1"), meshRoute(ir.Rule{Backends: to("b")}))...)
	h := f.CapturedHandler(netip.MustParseAddrPort("10.96.0.1:80"))
	want := func(addr string) {
		t.Helper()
		ex := request80("/a//b")
		f.serve(h, ex)
		f.wantStatus(ex, 200)
		if got := f.to.seen[len(f.to.seen)-1]; got != addr {
			t.Errorf("it went to %s, want %s", got, addr)
		}
	}
	want("10.0.0.1:8080")
	route := ir.Ref{Type: ir.TypeRoute, Name: "HTTPRoute/default/shop@" + meshName}
	f.apply(ir.Update{Removed: []ir.Ref{route}}) // the listener is still there
	want("10.96.0.1:80")
	if got := f.to.last.Path; got != "/a//b" {
		t.Errorf("the path became %s", got)
	}
	f.apply(ir.Update{Upserts: []ir.Resource{meshRoute(ir.Rule{Backends: to("b")})}})
	want("10.0.0.1:8080")
	f.apply(ir.Update{Removed: []ir.Ref{{Type: ir.TypeListener, Name: meshName}, route}})
	want("10.96.0.1:80")
	if rec := f.done[len(f.done)-1]; rec.Endpoint != "10.96.0.1:80" || rec.Listener != nil || rec.Err != nil {
		t.Errorf("the record is %+v", rec)
	}
}

func TestCaptured_PassesOnInTheVersionOfTheClient(t *testing.T) {
	f := newFixture(t)
	http2 := &transport{}
	f.opts.HTTP2 = http2
	ex := request80("/")
	ex.Request.Proto = exchange.HTTP2
	f.serve(f.CapturedHandler(netip.MustParseAddrPort("[fd00::1]:80")), ex)
	f.wantStatus(ex, 200)
	if len(f.to.seen) != 0 || len(http2.seen) != 1 || http2.seen[0] != "[fd00::1]:80" {
		t.Errorf("HTTP/1: %v, HTTP/2: %v", f.to.seen, http2.seen)
	}
}

func TestCaptured_AnUnreachableDestinationIsTriedAgain(t *testing.T) {
	f := newFixture(t)
	f.to.answer = func(ex *exchange.Exchange, _ *exchange.Target) error {
		if len(f.to.seen) < connectTries {
			return connectFailure()
		}
		ex.Response.Status = 200
		return nil
	}
	f.wantStatus(f.going("10.96.0.1:80", "/"), 200)
	f.to.answer = func(*exchange.Exchange, *exchange.Target) error { return connectFailure() }
	f.wantStatus(f.going("10.96.0.1:80", "/"), 503)
}

func TestCaptured_OnlyHTTP(t *testing.T) {
	l := meshListener("10.96.0.1")
	l.Protocol = ir.ProtocolTCP
	f := newFixture(t, l, meshRoute(ir.Rule{Direct: &ir.Direct{Status: 201}}))
	if got := f.Captured(netip.MustParseAddrPort("10.96.0.1:80")); got != nil {
		t.Errorf("captured by %s", got.Name)
	}
}

func TestCaptured_FollowsAddresses(t *testing.T) {
	f := newFixture(t, meshListener("10.96.0.1"), meshRoute(ir.Rule{Direct: &ir.Direct{Status: 201}}))
	f.apply(ir.Update{Upserts: []ir.Resource{meshListener("10.96.0.2")}})
	f.wantStatus(f.going("10.96.0.1:80", "/"), 200)
	f.wantStatus(f.going("10.96.0.2:80", "/"), 201)
	other := meshListener("10.96.0.2") // the address of a Service that was just deleted
	other.Name = "mesh/default/next/80"
	route := meshRoute(ir.Rule{Direct: &ir.Direct{Status: 202}})
	route.Name, route.Listener = "next", other.Name
	f.apply(ir.Update{Upserts: []ir.Resource{other, route}, Removed: []ir.Ref{
		{Type: ir.TypeListener, Name: meshName}, {Type: ir.TypeRoute, Name: "HTTPRoute/default/shop@" + meshName},
	}})
	f.wantStatus(f.going("10.96.0.2:80", "/"), 202)
}
