package runtime

import (
	"crypto/tls"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

func prefix(p string) []ir.Match {
	return []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: p}}}
}

func TestServe_AnswersByItself(t *testing.T) {
	bad := []ir.Filter{{RequestHeaders: &ir.HeaderModifier{Set: []ir.NameValue{{Name: "a", Value: "\r\n"}}}}}
	resources := append(backend("empty"), backend("ok", "10.0.0.1")...)
	resources = append(resources, &ir.Backend{Name: "tls", Endpoints: "ok", TLS: &ir.ClientTLS{CAs: []string{"gone"}}})
	resources = append(resources, routeOf("r",
		ir.Rule{Matches: prefix("/direct"), Direct: &ir.Direct{Status: 418, Body: "tea"}},
		ir.Rule{Matches: prefix("/none")},
		ir.Rule{Matches: prefix("/empty"), Backends: to("empty")},
		ir.Rule{Matches: prefix("/unknown"), Backends: to("nobody")},
		ir.Rule{Matches: prefix("/tls"), Backends: to("tls")},
		ir.Rule{Matches: prefix("/refused"), Backends: []ir.WeightedBackend{{Status: 500, Weight: 1}}},
		ir.Rule{Matches: prefix("/weightless"), Backends: []ir.WeightedBackend{{Backend: "ok", Weight: 0}}},
		ir.Rule{Matches: prefix("/policy"), Backends: to("ok"), Policies: []string{"p"}},
		ir.Rule{Matches: prefix("/broken"), Backends: to("ok"), Filters: bad},
		ir.Rule{Matches: prefix("/llm"), LLM: &ir.LLMAction{Consumers: []string{"c"}}, Backends: to("ok")},
		ir.Rule{Matches: prefix("/redirect"), Filters: []ir.Filter{{Redirect: &ir.Redirect{Status: 301}}}},
	))
	f := newFixture(t, resources...)
	for target, want := range map[string]struct {
		status int
		text   string
	}{
		"/direct":            {418, "tea"},
		"/nowhere":           {404, "no route matches\n"},
		"/none":              {500, "the route has no usable backend\n"},
		"/empty":             {503, "the backend has no ready endpoint\n"},
		"/unknown":           {500, "the backend is not known\n"},
		"/tls":               {500, "the backend is not known\n"},
		"/refused":           {500, "the route has no usable backend\n"},
		"/weightless":        {500, "the route has no usable backend\n"},
		"/policy":            {401, "authentication is required\n"},
		"/broken":            {500, "the route can not be run as configured\n"},
		"/direct/%2e%2e/x":   {400, "the request path is ambiguous\n"},
		"/llm":               {401, `{"error":{"message":"authentication is required","type":"authentication_error","param":null,"code":null}}`},
		"/redirect":          {301, ""},
		"HEAD /empty":        {503, ""},
		"/nowhere?<script>x": {404, "no route matches\n"},
	} {
		t.Run(target, func(t *testing.T) {
			ex := request80(target)
			h := f.Handler(80, "")
			h.Serve(ex)
			if got := text(ex); got != want.text {
				t.Errorf("body %q, want %q", got, want.text)
			}
			h.Finish(ex, exchange.End{})
			f.wantStatus(ex, want.status)
			if strings.Contains(target, "HEAD") && ex.Response.ContentLength == 0 {
				t.Error("HEAD has no length")
			}
		})
	}
	if len(f.to.seen) != 0 {
		t.Errorf("backends were asked: %v", f.to.seen)
	}
}

func TestServe_ChoosesTheListenerByHost(t *testing.T) {
	on := func(listener string, hosts ...string) *ir.Route {
		r := routeOf("r-"+listener, ir.Rule{Matches: prefix("/" + listener), Direct: &ir.Direct{Status: 200}})
		r.Listener, r.Hostnames = listener, hosts
		return r
	}
	f := newFixture(t)
	f.apply(ir.Update{Complete: true, Upserts: []ir.Resource{
		&ir.Listener{Name: "any", Port: 80, Protocol: ir.ProtocolHTTP},
		&ir.Listener{Name: "wild", Port: 80, Protocol: ir.ProtocolHTTP, Hostname: "*.example.com"},
		&ir.Listener{Name: "deep", Port: 80, Protocol: ir.ProtocolHTTP, Hostname: "*.foo.example.com"},
		&ir.Listener{Name: "exact", Port: 80, Protocol: ir.ProtocolHTTP, Hostname: "abc.foo.example.com"},
		on("any"), on("wild", "*.example.com"), on("deep", "*.foo.example.com"), on("exact", "abc.foo.example.com"),
	}})
	for host, listener := range map[string]string{
		"bar.com": "any", "bar.example.com": "wild", "bar.foo.example.com": "deep", "abc.foo.example.com": "exact", "example.com": "any",
	} {
		for _, path := range []string{"any", "wild", "deep", "exact"} {
			want := 404
			if path == listener {
				want = 200
			}
			f.wantStatus(f.get("/"+path, "Host: "+host), want)
			if got := f.done[len(f.done)-1].Listener.Name; got != listener {
				t.Errorf("%s is served by %s, want %s", host, got, listener)
			}
		}
	}
}

// The cases of HTTPRouteHTTPSListenerDetectMisdirectedRequests.
func TestServe_RefusesMisdirectedRequests(t *testing.T) {
	f := newFixture(t)
	update := ir.Update{Complete: true}
	for name, hostname := range map[string]string{
		"https": "", "second": "second-example.org", "wild": "*.wildcard.org", "fourth": "fourth-example.wildcard.org",
	} {
		r := routeOf(name, ir.Rule{Direct: &ir.Direct{Status: 200, Body: name}})
		r.Listener, r.Hostnames = name, []string{hostname}
		if name == "https" {
			r.Hostnames = []string{"example.org"}
		}
		update.Upserts = append(update.Upserts, &ir.Listener{Name: name, Port: 443, Protocol: ir.ProtocolHTTPS, Hostname: hostname}, r)
	}
	f.apply(update)
	for _, test := range []struct {
		sni, host string
		want      int
	}{
		{"example.org", "example.org", 200},
		{"example.org", "second-example.org", 421},
		{"example.org", "unknown-example.org", 404},
		{"second-example.org", "second-example.org", 200},
		{"second-example.org", "example.org", 421},
		{"second-example.org", "unknown-example.org", 421},
		{"third-example.wildcard.org", "third-example.wildcard.org", 200},
		{"third-example.wildcard.org", "fith-example.wildcard.org", 200},
		{"third-example.wildcard.org", "fourth-example.wildcard.org", 421},
		{"third-example.wildcard.org", "unknown-example.org", 421},
		{"fourth-example.wildcard.org", "fourth-example.wildcard.org", 200},
		{"fourth-example.wildcard.org", "fith-example.wildcard.org", 421},
		{"unknown-example.org", "example.org", 200},
		{"unknown-example.org", "unknown-example.org", 404},
	} {
		ex := request80("/", "Host: "+test.host)
		ex.Request.Scheme, ex.Request.TLS = "https", &tls.ConnectionState{ServerName: test.sni}
		f.serve(f.Handler(443, test.sni), ex)
		if ex.Response.Status != test.want {
			t.Errorf("SNI %s, host %s: %d, want %d", test.sni, test.host, ex.Response.Status, test.want)
		}
	}
}

func TestServe_RunsTheFiltersOfRuleAndBackend(t *testing.T) {
	path := "/new"
	b := to("b")
	b[0].Filters = []ir.Filter{
		{RequestHeaders: &ir.HeaderModifier{Add: []ir.NameValue{{Name: "X-Back", Value: "1"}}}},
		{ResponseHeaders: &ir.HeaderModifier{Add: []ir.NameValue{{Name: "X-Back-Resp", Value: "1"}}}},
	}
	f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{Matches: prefix("/old"), Backends: b, Filters: []ir.Filter{
		{Rewrite: &ir.Rewrite{Hostname: "back.example", Path: &ir.PathRewrite{Prefix: &path}}},
		{RequestHeaders: &ir.HeaderModifier{Remove: []string{"X-Gone"}}},
		{ResponseHeaders: &ir.HeaderModifier{Set: []ir.NameValue{{Name: "X-Resp", Value: "1"}}}},
		{CORS: &ir.CORS{AllowOrigins: []string{"https://a.example"}}},
	}}))...)
	ex := f.get("/old/x", "X-Gone: 1", "Origin: https://a.example")
	f.wantStatus(ex, 200)
	if got := f.to.last; got.Authority != "back.example" || got.Path != "/new/x" || got.Header.Has("X-Gone") || !got.Header.Has("X-Back") {
		t.Errorf("backend got %+v", got)
	}
	for _, name := range []string{"X-Resp", "X-Back-Resp", "Access-Control-Allow-Origin", "Vary"} {
		if !ex.Response.Header.Has(name) {
			t.Errorf("response has no %s: %v", name, ex.Response.Header)
		}
	}
	ex = f.get("OPTIONS /old/x", "Origin: https://a.example", "Access-Control-Request-Method: GET")
	f.wantStatus(ex, 204)
	if len(f.to.seen) != 1 {
		t.Errorf("the preflight request went to a backend")
	}
	if r := f.done[0]; r.Path != "/old/x" || r.Authority != "example.com" {
		t.Errorf("the record has what the backend got: %+v", r)
	}
}

func TestApply_IsAllOrNothing(t *testing.T) {
	f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{Backends: to("b")}))...)
	before := f.Resources()
	for name, bad := range map[string]ir.Resource{
		`route r2: HTTPRoute/default/r2: rule 0: match 0: path`: routeOf("r2", ir.Rule{Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.MatchRegex, Value: "("}}}}),
		`listener l: it has no port`:                            &ir.Listener{Name: "l"},
		`route r3: it has no listener`:                          &ir.Route{Name: "r3"},
		`secret : it has no name`:                               &ir.Secret{},
	} {
		err := f.Apply(ir.Update{Upserts: []ir.Resource{
			routeOf("r", ir.Rule{Direct: &ir.Direct{Status: 418}}), routeOf("new", ir.Rule{Backends: to("nobody")}), bad,
		}, Removed: []ir.Ref{{Type: ir.TypeBackend, Name: "b"}}})
		if err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("error %v, want %s", err, name)
		}
		f.wantStatus(f.get("/"), 200)
		if diff := cmp.Diff(before, f.Resources()); diff != "" {
			t.Errorf("resources changed:\n%s", diff)
		}
	}
}

func TestApply_ChangesWhatItNames(t *testing.T) {
	told := 0
	f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{Backends: to("b")}))...)
	f.opts.Applied = func() { told++ }
	f.wantStatus(f.get("/"), 200)
	f.apply(ir.Update{Upserts: []ir.Resource{routeOf("r", ir.Rule{Direct: &ir.Direct{Status: 418}})}})
	f.wantStatus(f.get("/"), 418)
	f.apply(ir.Update{Removed: []ir.Ref{{Type: ir.TypeRoute, Name: "r"}}})
	f.wantStatus(f.get("/"), 404)
	f.apply(ir.Update{Upserts: []ir.Resource{routeOf("r", ir.Rule{Backends: to("later")})}})
	f.wantStatus(f.get("/"), 500)
	f.apply(ir.Update{Upserts: backend("later")})
	f.wantStatus(f.get("/"), 503)
	f.apply(ir.Update{Upserts: backend("later", "10.0.0.5")})
	f.wantStatus(f.get("/"), 200)
	f.apply(ir.Update{Upserts: []ir.Resource{&ir.Listener{Name: "gw/http", Port: 8080, Protocol: ir.ProtocolHTTP}}})
	f.wantStatus(f.get("/"), 404)
	ex := request80("/")
	f.serve(f.Handler(8080, ""), ex)
	f.wantStatus(ex, 200)
	f.apply(ir.Update{Removed: []ir.Ref{{Type: ir.TypeListener, Name: "gw/http"}}})
	f.apply(ir.Update{Upserts: []ir.Resource{&ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP}}})
	f.wantStatus(f.get("/"), 200)
	f.apply(ir.Update{Complete: true, Upserts: []ir.Resource{&ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP}}})
	f.wantStatus(f.get("/"), 404)
	if len(f.Listeners()) != 1 || len(f.Resources()) != 1 || told != 9 {
		t.Errorf("%v, %v, told %d times", f.Listeners(), f.Resources(), told)
	}
	if len(f.routes)+len(f.tables) != 0 || f.registry.Len() != 0 {
		t.Errorf("something is left: %v %v %d clusters", f.routes, f.tables, f.registry.Len())
	}
}

func TestApply_UnchangedResourcesAreNotCompiledAgain(t *testing.T) {
	all := append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{Backends: to("b")}), &ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP})
	f := newFixture(t, all...)
	snap, route := f.snap.Load(), f.routes["r"]
	again := append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{Backends: to("b")}), &ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP})
	f.apply(ir.Update{Complete: true, Upserts: again})
	if f.snap.Load() != snap || f.routes["r"] != route {
		t.Error("the same configuration was built again")
	}
}

func TestStream_ChoosesByServerName(t *testing.T) {
	tlsRoute := func(name string, created int64, backend string, hosts ...string) *ir.Route {
		return &ir.Route{Name: name, Listener: "tls", Hostnames: hosts, Created: created, Rules: []ir.Rule{{Backends: to(backend)}}}
	}
	f := newFixture(t, append(append(backend("a", "10.0.0.1"), backend("b", "10.0.0.2")...),
		&ir.Listener{Name: "tls", Port: 443, Protocol: ir.ProtocolTLS},
		tlsRoute("r1", 2, "a", "*.example.com"), tlsRoute("r2", 1, "b", "x.example.com"), tlsRoute("r3", 3, "b", "*.example.com"))...)
	for sni, want := range map[string]string{"y.example.com": "10.0.0.1:8080", "x.example.com": "10.0.0.2:8080", "X.example.com": "10.0.0.2:8080", "example.com": ""} {
		s, err := f.Stream("tls", sni)
		if err != nil {
			if want != "" {
				t.Errorf("%s: %v", sni, err)
			}
			continue
		}
		if s.Target.Addr != want {
			t.Errorf("%s goes to %s, want %s", sni, s.Target.Addr, want)
		}
		s.Done(false)
	}
	if _, err := f.Stream("gone", "x"); err == nil {
		t.Error("a stream of no listener")
	}
}

func TestExplain_SaysWhatServeDoes(t *testing.T) {
	f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r",
		ir.Rule{Name: "post", Matches: []ir.Match{{Method: "POST", Path: ir.PathMatch{Type: ir.MatchPrefix, Value: "/a"}}}, Direct: &ir.Direct{Status: 201}},
		ir.Rule{Matches: prefix("/a"), Backends: append(to("b", "gone"), ir.WeightedBackend{Status: 500, Weight: 2})},
	))...)
	e := f.Explain(Question{Port: 80, Host: "example.com:80", Target: "/a/%62?x=y"})
	want := Explanation{
		Listener: "gw/http", Route: "HTTPRoute/default/r", Rule: "1", Match: "path begins with /a",
		Backends: []BackendShare{
			{Backend: "b", Share: 0.25, Endpoints: []string{"10.0.0.1:8080"}}, {Backend: "gone", Share: 0.25, Status: 500}, {Share: 0.5, Status: 500},
		},
		Why: []string{
			"The path is read as /a/b, and forwarded so.",
			`Listener gw/http is the most specific on port 80 for host "example.com:80", since it takes every host.`,
			"Passed over HTTPRoute/default/r rule post (path begins with /a, method is POST): method is GET.",
			"HTTPRoute/default/r rule 1 fits: path begins with /a.",
		},
	}
	if diff := cmp.Diff(want, e); diff != "" {
		t.Errorf("explanation differs (-want +got):\n%s", diff)
	}
	if e := f.Explain(Question{Port: 80, Method: "POST", Target: "/a"}); e.Status != 201 || e.Rule != "post" {
		t.Errorf("%+v", e)
	}
	if e := f.Explain(Question{Port: 81, Target: "/a"}); e.Status != 404 || len(e.Why) != 1 {
		t.Errorf("%+v", e)
	}
}

func TestExplain_SaysWhatNothingTakes(t *testing.T) {
	shop := routeOf("shop", ir.Rule{Name: "all", Matches: prefix("/")}, ir.Rule{Matches: prefix("/cart")})
	shop.Hostnames = []string{"shop.example", "www.shop.example"}
	f := newFixture(t, shop,
		routeOf("open", ir.Rule{Matches: append(prefix("/a"), ir.Match{Path: ir.PathMatch{Type: ir.MatchExact, Value: "/b"}})}))
	for name, tc := range map[string]struct {
		host, path string
		want       []string
	}{
		"Host": {"other.example", "/x", []string{
			"Passed over HTTPRoute/default/open rule 0 (path begins with /a): path is /x.",
			"Passed over HTTPRoute/default/open rule 0 (path is /b): path is /x.",
			"Passed over HTTPRoute/default/shop rule all (path begins with /): host is not shop.example, www.shop.example.",
			"The proxy answers 404: no route matches.",
		}},
		"Found": {"shop.example", "/x", []string{"HTTPRoute/default/shop rule all fits: path begins with /."}},
	} {
		t.Run(name, func(t *testing.T) {
			got := f.Explain(Question{Port: 80, Host: tc.host, Target: tc.path}).Why[1:] // after the listener
			if tc.host == "shop.example" {
				got = got[:1]
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("reasons differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExplain_SaysWhomTheListenersAreFor(t *testing.T) {
	f := newFixture(t)
	f.apply(ir.Update{Upserts: []ir.Resource{
		&ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP, Hostname: "a.example"},
		&ir.Listener{Name: "gw/wild", Port: 80, Protocol: ir.ProtocolHTTP, Hostname: "*.b.example"},
	}})
	want := []string{
		"Listener gw/http is for the host a.example.", "Listener gw/wild is for the host *.b.example.",
		"The proxy answers 404: no listener for this host.",
	}
	if diff := cmp.Diff(want, f.Explain(Question{Port: 80, Host: "c.example"}).Why); diff != "" {
		t.Errorf("reasons differ (-want +got):\n%s", diff)
	}
}
