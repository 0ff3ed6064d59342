package runtime

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Rows of section 5b of the security catalogue, and of section 3d what is about
// fields: route, authentication and backend must see the same request. Rows
// GW-023 to GW-025 need a codec and are in package server.

// TestTricks_Locations is rows GW-026 and GW-027.
func TestTricks_Locations(t *testing.T) {
	empty, root, other, b := "", "/", "//evil.com/x", "/b"
	redirect := func(path *ir.PathRewrite) []ir.Filter { return []ir.Filter{{Redirect: &ir.Redirect{Path: path}}} }
	f := newFixture(t, routeOf("r",
		ir.Rule{Matches: prefix("/a"), Filters: redirect(&ir.PathRewrite{Prefix: &empty})},
		ir.Rule{Matches: prefix("/root"), Filters: redirect(&ir.PathRewrite{Prefix: &root})},
		ir.Rule{Matches: prefix("/other"), Filters: redirect(&ir.PathRewrite{Prefix: &other})},
		ir.Rule{Matches: prefix("/full"), Filters: redirect(&ir.PathRewrite{Full: &other})},
		ir.Rule{Matches: prefix("/b"), Filters: redirect(&ir.PathRewrite{Prefix: &b})},
		ir.Rule{Matches: prefix("/"), Filters: redirect(nil)},
	))
	for _, c := range []struct{ row, target, host, want string }{
		{"GW-026 prefix cut off", "/a//b", "", "http://example.com/b"},
		{"GW-026 nothing left", "/a", "", "http://example.com/"},
		{"GW-026 only the prefix's slash left", "/a/", "", "http://example.com/"},
		{"GW-026 host as first segment", "/a//evil.com", "", "http://example.com/evil.com"},
		{"GW-026 host behind the root", "/root//evil.com/%2F", "", "http://example.com/evil.com/%2F"},
		{"GW-026 dot segment", "/a/%2e%2e/x", "", ""},
		{"GW-026 replacement of two slashes", "/other/y", "", "http://example.com/evil.com/x/y"},
		{"GW-026 full replacement of two slashes", "/full/y", "", "http://example.com/evil.com/x"},
		{"GW-026 no stray segment", "/bc", "", "http://example.com/bc"},
		{"GW-027 host of the request", "/x?a=/../&b", "evil.com", "http://evil.com/x?a=/../&b"},
		{"GW-027 port of the request", "/x", "example.com:8443", "http://example.com/x"},
		{"GW-027 address", "/x", "[::1]:8443", "http://[::1]/x"},
		{"GW-027 line break", "/x\r\nSet-Cookie:%20a=b", "", "http://example.com/x%0D%0ASet-Cookie:%20a=b"},
		{"GW-027 line break in the query", "/x?\r\nSet-Cookie:a", "", "http://example.com/x?%0D%0ASet-Cookie:a"},
		{"GW-027 line break in the host", "/x", "a.test\r\nSet-Cookie:a", ""},
		{"GW-027 user in the host", "/x", "example.com@evil.com", ""},
		{"GW-027 path in the host", "/x", "evil.com/", ""},
		{"GW-027 no host", "/x", ":80", ""},
	} {
		t.Run(c.row, func(t *testing.T) {
			ex := f.get(c.target, "Host: "+cmp.Or(c.host, "example.com"))
			got, _ := ex.Response.Header.Get("Location")
			if got != c.want {
				t.Errorf("Location %q, want %q", got, c.want)
			}
			if c.want == "" {
				f.wantStatus(ex, 400)
			}
		})
	}
}

// TestTricks_FieldsThatClientsMustNotSend is rows GW-030, TL-024, TL-032 and
// TL-033: what a backend is told about the client is of the proxy or of no one.
// No field is made of a client's certificate, so none can be forged or be
// missing on a resumed session.
func TestTricks_FieldsThatClientsMustNotSend(t *testing.T) {
	f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{Backends: to("b")}))...)
	for row, names := range map[string][]string{
		"GW-030 forwarded": {
			"Forwarded", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Real-IP", "True-Client-IP",
			"X-Original-URL", "X-Rewrite-URL", "X_Forwarded_For", "X-Forwarded_Prefix", "x_real-ip", "TRUE_CLIENT_IP",
		},
		"TL-033 client certificates": {
			"X-Forwarded-Client-Cert", "X-SSL-Client-Cert", "X-SSL-Client-Verify", "X-Ssl-Client-S-Dn", "SSL-Client-Verify", "ssl-client-dn",
			"Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info",
			"X_Forwarded_Client_Cert", "x_ssl_client-verify", "CLIENT_CERT",
		},
	} {
		for _, name := range names {
			t.Run(row+"/"+name, func(t *testing.T) {
				f.wantStatus(f.get("/", name+": forged", "Content-Type: text/x"), 200)
				for h := range f.to.last.Header.All() {
					if strings.Contains(h.Value, "forged") {
						t.Errorf("the backend gets %s: %s", h.Name, h.Value)
					}
				}
				if !f.to.last.Header.Has("Content-Type") {
					t.Error("a field of the request is lost")
				}
			})
		}
	}
	for _, name := range []string{"Client-Version", "X-Client-Id", "X-Ssl", "Ssl-Version", "X-Forwarded-Client", "X-Forwarder", "C"} {
		t.Run("TL-033 not about certificates/"+name, func(t *testing.T) {
			f.get("/", name+": own")
			if v, _ := f.to.last.Header.Get(name); v != "own" {
				t.Errorf("the backend gets %q", v)
			}
		})
	}
}

// TestTricks_WhatIsSetAboutTheClient is the rest of row GW-030. The last
// address of X-Forwarded-For is the proxy's own observation.
func TestTricks_WhatIsSetAboutTheClient(t *testing.T) {
	f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{Backends: to("b")}))...)
	many := slices.Repeat([]string{"X-Forwarded-For: 198.51.100.7"}, 1000)
	for row, c := range map[string]struct {
		fields            []string
		chain, host, kind string
	}{
		"GW-030 overwrites": {[]string{"X-Forwarded-Proto: https", "x-forwarded-host: evil.com", "X-Forwarded-For: 10.0.0.1"}, "10.0.0.1, 192.0.2.1", "example.com", "http"},
		"GW-030 garbage":    {[]string{"X-Forwarded-For: [::1]:80, unknown,,\"x", "X-Forwarded-For: "}, "[::1]:80, unknown,,\"x, , 192.0.2.1", "example.com", "http"},
		"GW-030 a thousand": {many, strings.Repeat("198.51.100.7, ", 1000) + "192.0.2.1", "example.com", "http"},
	} {
		t.Run(row, func(t *testing.T) {
			f.wantStatus(f.get("/", c.fields...), 200)
			for name, want := range map[string]string{"X-Forwarded-For": c.chain, "X-Forwarded-Host": c.host, "X-Forwarded-Proto": c.kind} {
				if got := slices.Collect(f.to.last.Header.Values(name)); len(got) != 1 || got[0] != want {
					t.Errorf("%s: %.200q, want %.200q", name, got, want)
				}
			}
		})
	}
}

// TestTricks_HeaderRules is rows GW-029 and GW-031.
func TestTricks_HeaderRules(t *testing.T) {
	on := func(m ir.ValueMatch) []ir.Match { return []ir.Match{{Headers: []ir.ValueMatch{m}}} }
	framing := &ir.HeaderModifier{Remove: []string{"Host", "Connection"}}
	for _, name := range []string{"Host", "Content-Length", "Transfer-Encoding", "Connection", "TE", "Trailer", "Upgrade", "Keep-Alive"} {
		framing.Set = append(framing.Set, ir.NameValue{Name: name, Value: "x"})
	}
	framing.Add = framing.Set
	resources := append(backend("b", "10.0.0.1"), routeOf("r",
		ir.Rule{Matches: on(ir.ValueMatch{Name: "cert-manager.io", Value: "a.c"}), Direct: &ir.Direct{Status: 201}},
		ir.Rule{Matches: on(ir.ValueMatch{Name: "X-R", Type: ir.MatchRegex, Value: "a.c|d"}), Direct: &ir.Direct{Status: 202}},
		ir.Rule{Matches: prefix("/framing"), Backends: to("b"), Filters: []ir.Filter{{RequestHeaders: framing}, {ResponseHeaders: framing}}},
	))
	for i, bad := range []ir.NameValue{{Name: ":path", Value: "/admin"}, {Name: "", Value: "x"}, {Name: "X", Value: "a\r\nb: c"}, {Name: "X\r\nY", Value: "a"}, {Name: "X Y"}} {
		resources = append(resources, routeOf(fmt.Sprint("bad", i), ir.Rule{
			Matches: prefix(fmt.Sprint("/bad", i)), Backends: to("b"), Filters: []ir.Filter{{RequestHeaders: &ir.HeaderModifier{Set: []ir.NameValue{bad}}}},
		}))
	}
	f := newFixture(t, resources...)
	for row, c := range map[string]struct {
		target, field string
		want          int
	}{
		"GW-029 exact":              {"/", "cert-manager.io: a.c", 201},
		"GW-029 name is no pattern": {"/", "cert-managerXio: a.c", 404},
		"GW-029 exact is no regex":  {"/", "cert-manager.io: abc", 404},
		"GW-029 regex":              {"/", "X-R: abc", 202},
		"GW-029 regex at the start": {"/", "X-R: abcx", 404},
		"GW-029 regex at the end":   {"/", "X-R: xd", 404},
		"GW-029 regex over lines":   {"/", "X-R: d\nx", 404},
		"GW-031 pseudo header":      {"/bad0", "", 500},
		"GW-031 empty name":         {"/bad1", "", 500},
		"GW-031 line break":         {"/bad2", "", 500},
		"GW-031 line break in name": {"/bad3", "", 500},
		"GW-031 space in name":      {"/bad4", "", 500},
	} {
		t.Run(row, func(t *testing.T) { f.wantStatus(f.get(c.target, c.field), c.want) })
	}
	t.Run("GW-031 framing", func(t *testing.T) {
		f.to.seen = nil
		ex := f.get("/framing", "X-Own: 1")
		f.wantStatus(ex, 200)
		for _, nv := range framing.Set {
			if f.to.last.Header.Has(nv.Name) || ex.Response.Header.Has(nv.Name) {
				t.Errorf("a rule has set %s", nv.Name)
			}
		}
		if f.to.last.Authority != "example.com" || len(f.to.seen) != 1 {
			t.Errorf("%v got %q", f.to.seen, f.to.last.Authority)
		}
	})
}

// TestTricks_AuthenticationComesFirst is rows GW-032 and GW-033: a rule's policy
// is asked about the request as it came, whatever its filters are, and nothing
// makes a refusal a success. The one thing before it is the answer to a
// preflight request, which has no credentials by the Fetch standard.
func TestTricks_AuthenticationComesFirst(t *testing.T) {
	path, k := "/open", newTokens(t)
	filters := map[string]ir.Filter{
		"redirect": {Redirect: &ir.Redirect{Hostname: "a.test"}},
		"rewrite":  {Rewrite: &ir.Rewrite{Path: &ir.PathRewrite{Full: &path}}},
		"mirror":   {Mirror: &ir.Mirror{Backend: "b", Numerator: 1, Denominator: 1}},
		"request":  {RequestHeaders: &ir.HeaderModifier{Set: []ir.NameValue{{Name: "Authorization", Value: k.field("p", "a")[len("Authorization: "):]}}}},
		"response": {ResponseHeaders: &ir.HeaderModifier{Set: []ir.NameValue{{Name: ":status", Value: "200"}}}},
		"cors":     {CORS: &ir.CORS{AllowOrigins: []string{"*"}, AllowMethods: []string{"*"}}},
	}
	for name, filter := range filters {
		t.Run("GW-032 "+name, func(t *testing.T) {
			f := newFixture(t, append(backend("b", "10.0.0.1"), k.policy("p"),
				routeOf("open", ir.Rule{Matches: prefix("/open"), Backends: to("b")}),
				routeOf("r", ir.Rule{Matches: prefix("/closed"), Backends: to("b"), Policies: []string{"p"}, Filters: []ir.Filter{filter}}))...)
			want := 401
			if name == "response" {
				want = 500 // its name is none, so that the rule is not run at all
			}
			f.wantStatus(f.get("/closed", "Origin: https://a.test"), want)
			f.wantStatus(f.get("OPTIONS /closed", "Origin: https://a.test"), want)
			if len(f.to.seen) > 0 {
				t.Errorf("a backend was asked: %v", f.to.seen)
			}
		})
	}
	t.Run("GW-033 an answer of its own", func(t *testing.T) {
		f := newFixture(t, k.policy("p"), routeOf("r",
			ir.Rule{Matches: prefix("/direct"), Policies: []string{"p"}, Direct: &ir.Direct{Status: 200}},
			ir.Rule{Matches: prefix("/redirect"), Policies: []string{"p"}, Filters: []ir.Filter{{Redirect: &ir.Redirect{}}}},
			ir.Rule{Matches: prefix("/"), Direct: &ir.Direct{Status: 200}},
		))
		f.wantStatus(f.get("/direct"), 401)
		f.wantStatus(f.get("/redirect"), 401)
		f.wantStatus(f.get("/direct", k.field("p", "a")), 200)
	})
}

// TestTricks_Weights is row GW-035.
func TestTricks_Weights(t *testing.T) {
	weighted := func(status int, weight uint32) ir.WeightedBackend {
		if status != 0 {
			return ir.WeightedBackend{Status: status, Weight: weight}
		}
		return ir.WeightedBackend{Backend: "b", Weight: weight}
	}
	for row, c := range map[string]struct {
		backends []ir.WeightedBackend
		want     int
	}{
		"GW-035 no backend":        {nil, 500},
		"GW-035 weight 0":          {[]ir.WeightedBackend{weighted(0, 0)}, 500},
		"GW-035 weights 0":         {[]ir.WeightedBackend{weighted(0, 0), weighted(500, 0)}, 500},
		"GW-035 all invalid":       {[]ir.WeightedBackend{weighted(500, 1), weighted(500, 9)}, 500},
		"GW-035 only invalid left": {[]ir.WeightedBackend{weighted(0, 0), weighted(500, 1)}, 500},
		"GW-035 only valid left":   {[]ir.WeightedBackend{weighted(0, 1), weighted(500, 0)}, 200},
	} {
		t.Run(row, func(t *testing.T) {
			f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{Backends: c.backends}))...)
			for range 20 {
				f.wantStatus(f.get("/"), c.want)
			}
			if c.want != 200 && len(f.to.seen) > 0 {
				t.Errorf("a backend was asked: %v", f.to.seen)
			}
		})
	}
}

// TestTricks_Origins is row GW-036.
func TestTricks_Origins(t *testing.T) {
	cors := func(path string, credentials bool, origins ...string) ir.Rule {
		return ir.Rule{Matches: prefix(path), Backends: to("b"), Filters: []ir.Filter{{CORS: &ir.CORS{
			AllowOrigins: origins, AllowCredentials: credentials, AllowMethods: []string{"*"}, AllowHeaders: []string{"*"}, ExposeHeaders: []string{"*"},
		}}}}
	}
	f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r",
		cors("/one", true, "https://a.com"), cors("/wild", true, "https://*.a.com"), cors("/any", true, "*"), cors("/public", false, "*"),
	))...)
	f.to.answer = func(ex *exchange.Exchange, _ *exchange.Target) error {
		ex.Response.Status = 200
		ex.Response.Header.Add("Access-Control-Allow-Origin", "*") // which the rule does not say
		return nil
	}
	for row, c := range map[string]struct{ path, origin, want string }{
		"GW-036 allowed":            {"/one", "https://a.com", "https://a.com"},
		"GW-036 null":               {"/one", "null", ""},
		"GW-036 suffix":             {"/one", "https://a.com.evil.com", ""},
		"GW-036 prefix":             {"/one", "https://evila.com", ""},
		"GW-036 upper case":         {"/one", "https://A.com", ""},
		"GW-036 port":               {"/one", "https://a.com:8443", ""},
		"GW-036 scheme":             {"/one", "http://a.com", ""},
		"GW-036 wildcard":           {"/wild", "https://b.a.com", "https://b.a.com"},
		"GW-036 wildcard null":      {"/wild", "null", ""},
		"GW-036 wildcard suffix":    {"/wild", "https://b.a.com.evil.com", ""},
		"GW-036 wildcard host":      {"/wild", "https://evil.com/.a.com", ""},
		"GW-036 wildcard user":      {"/wild", "https://evil.com:x@.a.com", ""},
		"GW-036 wildcard nothing":   {"/wild", "https://.a.com", ""},
		"GW-036 any with secrets":   {"/any", "https://b.com", "https://b.com"},
		"GW-036 any without secret": {"/public", "https://b.com", "*"},
	} {
		t.Run(row, func(t *testing.T) {
			for _, method := range []string{"GET", "OPTIONS"} {
				ex := f.get(method+" "+c.path, "Origin: "+c.origin, "Access-Control-Request-Method: PUT")
				h := &ex.Response.Header
				if got, _ := h.Get("Access-Control-Allow-Origin"); got != c.want {
					t.Errorf("%s: allowed %q, want %q", method, got, c.want)
				}
				if secrets := h.Has("Access-Control-Allow-Credentials"); secrets != (c.want != "" && c.want != "*") {
					t.Errorf("%s: credentials %v", method, secrets)
				}
				if vary, _ := h.Get("Vary"); (vary == "Origin") == (c.want == "*") {
					t.Errorf("%s: Vary %q", method, vary)
				}
				for v := range h.All() {
					if v.Value == "*" && c.want != "*" {
						t.Errorf("%s: %s is * with credentials", method, v.Name)
					}
				}
			}
		})
	}
}
