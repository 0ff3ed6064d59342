package runtime

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

// behindProxies is a runtime whose clients come from trusted proxies.
func behindProxies(t *testing.T, trusted string, headers ...string) *fixture {
	t.Helper()
	return newFixture(t, append(backend("b", "10.0.0.1"),
		&ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP, Hostname: "example.com", Clients: &ir.Clients{
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix(trusted)}, TrustedHeaders: headers,
		}},
		routeOf("r", ir.Rule{Backends: to("b")}))...)
}

// TestProxied_Rows is row GW-030 where the peer, 192.0.2.1, is a trusted proxy.
func TestProxied_Rows(t *testing.T) {
	all := []string{"X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port"}
	for name, c := range map[string]struct {
		trusted           string
		headers, fields   []string
		remote            string
		chain             string
		proto, host, port string
	}{
		"GW-030/Trusted": {
			"192.0.2.0/24", all,
			[]string{"X-Forwarded-For: 203.0.113.9", "x-forwarded-proto: https", "X-Forwarded-Host: a.test:8443", "X-Forwarded-Port: 8443"},
			"203.0.113.9:0", "203.0.113.9, 192.0.2.1", "https", "a.test:8443", "8443",
		},
		"GW-030/OnlyProto": {
			"192.0.2.0/24", all[:1],
			[]string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: a.test", "X-Forwarded-Port: 8443"},
			"203.0.113.9:0", "203.0.113.9, 192.0.2.1", "https", "example.com", "",
		},
		"GW-030/NothingTold": {"192.0.2.0/24", all, nil, "192.0.2.1:1234", "192.0.2.1", "http", "example.com", ""},
		"GW-030/Twice": {
			"192.0.2.0/24", all,
			[]string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: https", "X-Forwarded-Host: a.test", "X-Forwarded-Host: b.test", "X-Forwarded-Port: 1", "X-Forwarded-Port: 2"},
			"192.0.2.1:1234", "192.0.2.1", "http", "example.com", "",
		},
		"GW-030/Malformed": {
			"192.0.2.0/24", all,
			[]string{"X-Forwarded-Proto: gopher", "X-Forwarded-Host: a.test/x", "X-Forwarded-Port: 65536"},
			"192.0.2.1:1234", "192.0.2.1", "http", "example.com", "",
		},
		"GW-030/Lists": {
			"192.0.2.0/24", all,
			[]string{"X-Forwarded-Proto: https, http", "X-Forwarded-Host: a.test, b.test", "X-Forwarded-Port: 080,1"},
			"192.0.2.1:1234", "192.0.2.1", "http", "example.com", "",
		},
		"GW-030/Underscores": {
			"192.0.2.0/24", all,
			[]string{"X_Forwarded_For: 203.0.113.9", "X_Forwarded_Proto: https", "X_Forwarded-Host: a.test", "X-Forwarded_Port: 8443"},
			"192.0.2.1:1234", "192.0.2.1", "http", "example.com", "",
		},
		"GW-030/Untrusted": {
			"198.51.100.0/24", all,
			[]string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: a.test", "X-Forwarded-Port: 8443"},
			"192.0.2.1:1234", "203.0.113.9, 192.0.2.1", "http", "example.com", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := behindProxies(t, c.trusted, c.headers...)
			f.wantStatus(f.get("/", c.fields...), 200)
			rec := f.done[0]
			if rec.Remote.String() != c.remote {
				t.Errorf("the client is %v, want %s", rec.Remote, c.remote)
			}
			if trusted := c.trusted != "198.51.100.0/24"; rec.Peer.IsValid() != trusted {
				t.Errorf("the peer is %v", rec.Peer)
			}
			for name, want := range map[string]string{
				"X-Forwarded-For": c.chain, "X-Forwarded-Proto": c.proto, "X-Forwarded-Host": c.host, "X-Forwarded-Port": c.port,
			} {
				got := slices.Collect(f.to.last.Header.Values(name))
				if strings.Join(got, "|") != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}

// TestProxied_WithoutARoute: also a request that finds nothing is its client's,
// and routes that change leave the proxies as they are.
func TestProxied_WithoutARoute(t *testing.T) {
	f := behindProxies(t, "192.0.2.0/24")
	ex := request80("/", "X-Forwarded-For: 203.0.113.9")
	ex.Request.Authority = "other.test"
	f.serve(f.Handler(80, ""), ex)
	f.wantStatus(ex, 404)
	f.apply(ir.Update{Upserts: []ir.Resource{routeOf("r", ir.Rule{Direct: &ir.Direct{Status: 201}})}})
	f.wantStatus(f.get("/", "X-Forwarded-For: 203.0.113.9"), 201)
	f.wantStatus(f.get("/../..", "X-Forwarded-For: 203.0.113.9"), 400)
	for _, rec := range f.done {
		if rec.Remote.Addr().String() != "203.0.113.9" {
			t.Errorf("the client is %v", rec.Remote)
		}
	}
}

// TestProxied_Unknown: where parameters are lost, proxies go on as they did.
func TestProxied_Unknown(t *testing.T) {
	f := behindProxies(t, "192.0.2.0/24")
	lost := &ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP, Clients: &ir.Clients{Unknown: true}}
	fresh := &ir.Listener{Name: "gw/fresh", Port: 81, Protocol: ir.ProtocolHTTP, Clients: &ir.Clients{Unknown: true}}
	mended := &ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP}
	for _, c := range []struct {
		listeners []ir.Resource
		want      string
	}{
		{[]ir.Resource{lost, fresh}, "203.0.113.9"}, {[]ir.Resource{lost}, "203.0.113.9"}, {[]ir.Resource{mended}, "192.0.2.1"}, {[]ir.Resource{lost}, "192.0.2.1"},
	} {
		f.apply(ir.Update{Upserts: c.listeners})
		f.wantStatus(f.get("/", "X-Forwarded-For: 203.0.113.9"), 200)
		if got := f.done[len(f.done)-1].Remote.Addr().String(); got != c.want {
			t.Errorf("the client is %s, want %s", got, c.want)
		}
	}
	for _, l := range f.Listeners() {
		if l.Clients != nil {
			t.Errorf("%s has %+v", l.Name, l.Clients)
		}
	}
}
