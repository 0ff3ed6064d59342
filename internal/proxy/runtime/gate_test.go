package runtime

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/jwt/jwttest"
)

// tokens is an issuer of bearer tokens.
type tokens struct{ key *jwttest.Key }

func newTokens(t *testing.T) *tokens {
	t.Helper()
	return &tokens{jwttest.NewKey(t, "")}
}

func (k *tokens) policy(name string) *ir.Policy {
	return &ir.Policy{Name: name, JWT: &ir.JWT{Providers: []ir.JWTProvider{{
		Name: "i", Issuer: "https://" + name, JWKS: jwttest.Set(k.key), ClaimHeaders: []ir.ClaimHeader{{Claim: "team", Header: "X-Team"}},
	}}}}
}

// field is an Authorization field with a token of that policy's issuer.
func (k *tokens) field(policy, team string) string {
	return "Authorization: Bearer " + k.key.Token(map[string]any{
		"iss": "https://" + policy, "exp": time.Now().Add(time.Minute).Unix(), "team": team,
	})
}

func TestGate_OfARule(t *testing.T) {
	k := newTokens(t)
	f := newFixture(t, append(backend("b", "10.0.0.1"), k.policy("p"), routeOf("r",
		ir.Rule{Matches: prefix("/open"), Backends: to("b")},
		ir.Rule{Matches: prefix("/closed"), Backends: to("b"), Policies: []string{"p"}},
		ir.Rule{Matches: prefix("/gone"), Backends: to("b"), Policies: []string{"p", "gone"}},
	))...)
	f.wantStatus(f.get("/open"), 200)
	f.wantStatus(f.get("/gone", k.field("p", "a")), 401)
	f.wantStatus(f.get("/closed", newTokens(t).field("p", "a")), 401)
	ex := f.get("/closed", "X-Team: admin")
	f.wantStatus(ex, 401)
	if v, _ := ex.Response.Header.Get("WWW-Authenticate"); !strings.HasPrefix(v, "Bearer ") {
		t.Errorf("WWW-Authenticate: %q", v)
	}
	f.wantStatus(f.get("/closed", k.field("p", "a"), "X-Team: admin", "x_team: admin"), 200)
	if v, _ := f.to.last.Header.Get("X-Team"); v != "a" || f.to.last.Header.Has("x_team") {
		t.Errorf("the backend is told of team %q: %v", v, f.to.last.Header)
	}
	if e := f.Explain(Question{Port: 80, Target: "/closed"}); e.Status != 0 || !strings.Contains(strings.Join(e.Why, " "), "bearer token") {
		t.Errorf("%+v", e)
	}
}

// TestFT039_NewerPolicies: a controller that is newer than this proxy demands what
// this one has never heard of. It must not be taken for nothing.
func TestFT039_NewerPolicies(t *testing.T) {
	k := newTokens(t)
	newer, err := ir.Decode(ir.TypePolicy, []byte(`{"name":"newer","kindOfLaterVersions":{"demands":"more"}}`))
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, append(backend("b", "10.0.0.1"), k.policy("p"), newer, routeOf("r",
		ir.Rule{Matches: prefix("/known"), Backends: to("b"), Policies: []string{"p"}},
		ir.Rule{Matches: prefix("/newer"), Backends: to("b"), Policies: []string{"newer"}},
		ir.Rule{Matches: prefix("/both"), Backends: to("b"), Policies: []string{"p", "newer"}},
	))...)
	f.wantStatus(f.get("/known", k.field("p", "a")), 200)
	f.wantStatus(f.get("/newer"), 401)
	f.wantStatus(f.get("/newer", k.field("p", "a")), 401)
	f.wantStatus(f.get("/both", k.field("p", "a")), 401)
}

// TestGate_WithoutAKeyStore demands tokens whose keys this runtime cannot fetch.
func TestGate_WithoutAKeyStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTokens(t).policy("p")
		p.JWT.Providers[0].JWKS, p.JWT.Providers[0].RemoteJWKS = "", "https://i/keys"
		rt := New(Options{})
		if err := rt.Apply(ir.Update{Complete: true, Upserts: []ir.Resource{
			p, routeOf("r", ir.Rule{Matches: prefix("/"), Policies: []string{"p"}}),
		}}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // what is fetched in the background has failed by now
		if err := rt.Apply(ir.Update{Complete: true}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	})
}

func TestGate_FollowsItsPolicies(t *testing.T) {
	first, second := newTokens(t), newTokens(t)
	listener := &ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP, Policies: []string{"l"}}
	f := newFixture(t)
	f.apply(ir.Update{Upserts: append(backend("b", "10.0.0.1"), listener, routeOf("r", ir.Rule{Backends: to("b")}))})
	f.wantStatus(f.get("/", first.field("l", "a")), 401) // the policy is not there yet
	f.apply(ir.Update{Upserts: []ir.Resource{first.policy("l")}})
	f.wantStatus(f.get("/", first.field("l", "a")), 200)
	f.apply(ir.Update{Upserts: []ir.Resource{second.policy("l")}})
	f.wantStatus(f.get("/", first.field("l", "a")), 401)
	f.wantStatus(f.get("/", second.field("l", "a")), 200)

	f.apply(ir.Update{Upserts: []ir.Resource{routeOf("r", ir.Rule{Backends: to("b"), Policies: []string{"r"}}), first.policy("r")}})
	f.wantStatus(f.get("/", second.field("l", "a")), 401) // it must pass both
	f.apply(ir.Update{Upserts: []ir.Resource{second.policy("r")}})
	f.apply(ir.Update{Upserts: []ir.Resource{&ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP}}})
	f.wantStatus(f.get("/"), 401)
	f.wantStatus(f.get("/", second.field("r", "a")), 200)
	f.apply(ir.Update{Removed: []ir.Ref{{Type: ir.TypePolicy, Name: "r"}}})
	f.wantStatus(f.get("/", second.field("r", "a")), 401)
}

func TestGate_LetsOnlyConsumersUseAModel(t *testing.T) {
	k := newTokens(t)
	alpha := func(team string) *ir.Policy {
		return &ir.Policy{Name: "alpha", Source: ir.Source{Namespace: "ns", Name: "team-alpha"}, Consumer: &ir.Consumer{Claim: "team", Value: team}}
	}
	rule := ir.Rule{LLM: &ir.LLMAction{Consumers: []string{"alpha", "gone"}}, Policies: []string{"p"}, Backends: to("llm")}
	f := newFixture(t, k.policy("p"), alpha("a"),
		&ir.Backend{Name: "llm", Endpoints: "llm", LLM: &ir.LLMProvider{Provider: "openai", Host: "h"}},
		&ir.Endpoints{Name: "llm", Addresses: []ir.Endpoint{{Host: "10.0.0.7", Port: 80}}}, routeOf("r", rule))
	ask := func(fields ...string) *exchange.Exchange {
		ex := withBody(request80("POST /v1/chat/completions", fields...), `{"model":"m","messages":[{"role":"user","content":"x"}]}`)
		f.serve(f.Handler(80, ""), ex)
		return ex
	}
	f.statuses(204)
	f.wantStatus(ask(), 401)
	f.wantStatus(ask(k.field("p", "b")), 403)
	if len(f.to.seen) != 0 {
		t.Errorf("the provider was asked: %v", f.to.seen)
	}
	ask(k.field("p", "a"))
	if len(f.to.seen) != 1 {
		t.Error("a consumer was not let in")
	}
	if v, ok := f.to.last.Header.Get("Authorization"); ok {
		t.Errorf("the token of the client goes to the provider: %s", v)
	}
	f.apply(ir.Update{Upserts: []ir.Resource{alpha("b")}})
	f.wantStatus(ask(k.field("p", "a")), 403)
	var seen []string
	for _, r := range f.done {
		seen = append(seen, r.Consumer)
	}
	if want := []string{"", "", "ns/team-alpha", ""}; !slices.Equal(seen, want) {
		t.Errorf("the consumers are %q, want %q", seen, want)
	}
}

func TestGate_TheFirstConsumerCounts(t *testing.T) {
	k := newTokens(t)
	one := func(name, team string) *ir.Policy {
		return &ir.Policy{Name: name, Source: ir.Source{Namespace: "ns", Name: name}, Consumer: &ir.Consumer{Claim: "team", Value: team}}
	}
	rule := func(consumers ...string) *ir.Route {
		return routeOf("r", ir.Rule{LLM: &ir.LLMAction{Consumers: consumers}, Policies: []string{"p"}})
	}
	f := newFixture(t, k.policy("p"), one("other", "b"), one("first", "a"), one("second", "a"))
	for want, names := range map[string][]string{"ns/first": {"other", "first", "second"}, "ns/second": {"second", "first"}, "": nil} {
		f.apply(ir.Update{Upserts: []ir.Resource{rule(names...)}})
		f.get("POST /v1/chat/completions", k.field("p", "a"))
		if got := f.done[len(f.done)-1].Consumer; got != want {
			t.Errorf("of %q it is %q, want %q", names, got, want)
		}
	}
}

// seen is a transport that notes which address got which credential.
type seen struct {
	mu     sync.Mutex
	got    []string
	failed bool // the first attempt at a backend
}

func (s *seen) RoundTrip(ex *exchange.Exchange, to *exchange.Target) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	credential, _ := ex.Request.Header.Get("Authorization")
	team, _ := ex.Request.Header.Get("X-Team")
	s.got = append(s.got, fmt.Sprintf("%s token=%v team=%s", to.Addr, credential != "", team))
	if ex.Response.Status = 200; strings.HasPrefix(to.Addr, "10.0.0.1:") && !s.failed {
		ex.Response.Status, s.failed = 503, true
	}
	return nil
}

func TestJW029_WhatAGateCovers(t *testing.T) {
	k, path := newTokens(t), "/new"
	f := newFixture(t, append(backend("b", "10.0.0.1"), k.policy("p"), routeOf("r",
		ir.Rule{Matches: prefix("/cors"), Backends: to("b"), Policies: []string{"p"}, Filters: []ir.Filter{{CORS: &ir.CORS{AllowOrigins: []string{"https://a.test"}, AllowMethods: []string{"GET"}}}}},
		ir.Rule{Matches: prefix("/old"), Policies: []string{"p"}, Filters: []ir.Filter{{Redirect: &ir.Redirect{Status: 302, Path: &ir.PathRewrite{Full: &path}}}}},
		ir.Rule{Matches: prefix("/fixed"), Policies: []string{"p"}, Direct: &ir.Direct{Status: 500}},
		ir.Rule{Matches: prefix("/"), Backends: to("b"), Policies: []string{"p"}},
	))...)
	origin := "Origin: https://a.test"
	f.wantStatus(f.get("OPTIONS /cors", origin, "Access-Control-Request-Method: GET"), 204) // a browser sends it without a token
	f.wantStatus(f.get("OPTIONS /", origin, "Access-Control-Request-Method: GET"), 401)     // the backend would get it
	f.wantStatus(f.get("OPTIONS /cors", origin), 401)
	ex := f.get("/cors", origin)
	f.wantStatus(ex, 401)
	if v, _ := ex.Response.Header.Get("Access-Control-Allow-Origin"); v != "https://a.test" {
		t.Errorf("a browser may not read the 401: %v", ex.Response.Header)
	}
	f.wantStatus(f.get("/old"), 401)
	f.wantStatus(f.get("/fixed"), 401)
	f.wantStatus(f.get("/healthz"), 401)
	f.wantStatus(f.get("POST /pkg.Service/Method", "Content-Type: application/grpc"), 401)
	upgrade := request80("/ws")
	upgrade.Request.Upgrade = "websocket"
	f.serve(f.Handler(80, ""), upgrade)
	f.wantStatus(upgrade, 401)
	if len(f.to.seen) != 0 {
		t.Errorf("a backend was asked: %v", f.to.seen)
	}
	f.wantStatus(f.get("/old", k.field("p", "a")), 302)
}

func TestJW029_RetriesAndMirrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newTokens(t)
		f := newFixture(t, slices.Concat(backend("b", "10.0.0.1"), backend("m", "10.0.0.9"), []ir.Resource{k.policy("p"), routeOf("r", ir.Rule{
			Backends: to("b"), Policies: []string{"p"}, Retry: &ir.Retry{Attempts: 1, Codes: []int{503}},
			Filters: []ir.Filter{{Mirror: &ir.Mirror{Backend: "m", Numerator: 1, Denominator: 1}}},
		})})...)
		sent := &seen{}
		f.opts.HTTP1 = sent
		f.wantStatus(f.get("/", k.field("p", "a"), "X-Team: admin"), 200)
		synctest.Wait()
		slices.Sort(sent.got)
		want := []string{"10.0.0.1:8080 token=true team=a", "10.0.0.1:8080 token=true team=a", "10.0.0.9:8080 token=false team=a"}
		if !slices.Equal(sent.got, want) {
			t.Errorf("sent %q, want %q", sent.got, want)
		}
	})
}

// TestFT033_ClockSteps: a token is valid by the time of day as it is now.
func TestFT033_ClockSteps(t *testing.T) {
	k := newTokens(t)
	f := newFixture(t, append(backend("b", "10.0.0.1"), k.policy("p"), routeOf("r",
		ir.Rule{Matches: prefix("/"), Backends: to("b"), Policies: []string{"p"}}))...)
	now := time.Now()
	setClock(f.Runtime, func() time.Time { return now })
	token := "Authorization: Bearer " + k.key.Token(map[string]any{
		"iss": "https://p", "nbf": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	})
	for _, step := range []struct {
		by     time.Duration
		status int
	}{{0, 200}, {time.Hour, 401}, {-time.Hour, 200}, {-time.Hour, 401}, {time.Hour - time.Minute, 200}, {time.Minute, 200}} {
		now = now.Add(step.by)
		f.wantStatus(f.get("/", token), step.status)
	}
}
