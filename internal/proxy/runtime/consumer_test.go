package runtime

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

const (
	alphaKey = "alpha-0123456789-0123456789-0123456789"
	betaKey  = "beta--0123456789-0123456789-0123456789"
)

// keyed is a consumer with API keys, and the Secret of their hashes.
func keyed(name string, keys ...string) []ir.Resource {
	secret := &ir.Secret{Name: "apikeys/" + name, Values: map[string]ir.Bytes{}}
	for _, k := range keys {
		sum := sha256.Sum256([]byte(k))
		secret.Values[k] = sum[:]
	}
	return []ir.Resource{secret, &ir.Policy{
		Name: name, Source: ir.Source{Namespace: "ns", Name: name}, Consumer: &ir.Consumer{Claim: "team", Value: name, APIKeys: secret.Name},
	}}
}

// model is an LLM backend, and a route to it for consumers.
func model(policies []string, consumers ...string) []ir.Resource {
	return []ir.Resource{
		&ir.Backend{Name: "llm", Endpoints: "llm", LLM: &ir.LLMProvider{Provider: "anthropic", Host: "h", Credentials: "provider"}},
		&ir.Endpoints{Name: "llm", Addresses: []ir.Endpoint{{Host: "10.0.0.7", Port: 80}}},
		&ir.Secret{Name: "provider", Values: map[string]ir.Bytes{"apiKey": []byte("the-provider's-own")}},
		routeOf("r", ir.Rule{Matches: prefix("/v1"), LLM: &ir.LLMAction{Consumers: consumers}, Policies: policies, Backends: to("llm")}),
	}
}

// ask sends a chat completion and returns the exchange.
func (f *fixture) ask(path string, fields ...string) *exchange.Exchange {
	f.t.Helper()
	ex := withBody(request80("POST "+path, fields...), `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}`)
	f.serve(f.Handler(80, ""), ex)
	return ex
}

func TestConsumers_ByKey(t *testing.T) {
	f := newFixture(t, slices.Concat(model(nil, "alpha"), keyed("alpha", alphaKey), keyed("beta", betaKey))...)
	f.statuses(204)
	for name, c := range map[string]struct {
		fields    []string
		status    int
		challenge string
	}{
		"None":    {nil, 401, `Bearer realm="citoroute"`},
		"Unknown": {[]string{"x-api-key: " + alphaKey + "x"}, 401, `Bearer realm="citoroute", error="invalid_token", error_description="the API key is not known"`},
		"Token":   {[]string{"Authorization: Bearer a.b.c"}, 401, `Bearer realm="citoroute", error="invalid_token", error_description="the API key is not known"`},
		"Other":   {[]string{"x-api-key: " + betaKey}, 403, `Bearer realm="citoroute", error="insufficient_scope"`},
		"Two":     {[]string{"x-api-key: " + alphaKey, "Authorization: Bearer " + betaKey}, 401, `Bearer realm="citoroute", error="invalid_token", error_description="the request has more than one credential"`},
	} {
		t.Run(name, func(t *testing.T) {
			ex := f.ask("/v1/chat/completions", c.fields...)
			f.wantStatus(ex, c.status)
			if got, _ := ex.Response.Header.Get("WWW-Authenticate"); got != c.challenge {
				t.Errorf("WWW-Authenticate: %s", got)
			}
		})
	}
	if len(f.to.seen) != 0 {
		t.Fatalf("the provider was asked: %v", f.to.seen)
	}
	for _, field := range []string{"Authorization: Bearer ", "x-api-key: ", "api-key: "} {
		f.ask("/v1/chat/completions", field+alphaKey, "anthropic-version: evil")
		if got := f.done[len(f.done)-1].Consumer; got != "ns/alpha" {
			t.Errorf("%s: the consumer is %q", field, got)
		}
		for h := range f.to.last.Header.All() {
			if strings.Contains(h.Value, alphaKey) || h.Value == "evil" {
				t.Errorf("the provider gets %s: %s", h.Name, h.Value)
			}
		}
		if got, _ := f.to.last.Header.Get("X-Api-Key"); got != "the-provider's-own" {
			t.Errorf("the provider's key is %q", got)
		}
	}
}

func TestConsumers_ErrorsInTheClientsProtocol(t *testing.T) {
	f := newFixture(t, slices.Concat(model(nil, "alpha"), keyed("alpha", alphaKey), keyed("beta", betaKey))...)
	for path, want := range map[string]string{
		"/v1/chat/completions": `{"error":{"code":null,"message":"the API key is not known","param":null,"type":"authentication_error"}}`,
		"/v1/messages":         `{"error":{"message":"the API key is not known","type":"authentication_error"},"type":"error"}`,
	} {
		h, ex := f.Handler(80, ""), request80("POST "+path, "x-api-key: "+alphaKey+"x")
		h.Serve(ex)
		var got any
		if err := json.Unmarshal([]byte(text(ex)), &got); err != nil {
			t.Fatal(err)
		}
		h.Finish(ex, exchange.End{})
		f.wantStatus(ex, 401)
		if sorted, _ := json.Marshal(got); string(sorted) != want {
			t.Errorf("%s: %s", path, sorted)
		}
	}
}

func TestConsumers_ByTokenOrKey(t *testing.T) {
	k := newTokens(t)
	f := newFixture(t, slices.Concat([]ir.Resource{k.policy("p")}, model([]string{"p"}, "alpha"), keyed("alpha", alphaKey), keyed("beta", betaKey))...)
	if e := f.Explain(Question{Port: 80, Target: "/v1/messages"}); !strings.Contains(strings.Join(e.Why, " "), "bearer token or an API key. Its caller must be one of: ns/alpha.") {
		t.Errorf("%+v", e)
	}
	f.statuses(204)
	for name, c := range map[string]struct {
		field  string
		status int
	}{
		"Token": {k.field("p", "alpha"), 200}, "Key": {"x-api-key: " + alphaKey, 200}, "OtherToken": {k.field("p", "beta"), 403}, "OtherKey": {"Authorization: Bearer " + betaKey, 403},
		"ForeignToken": {newTokens(t).field("p", "alpha"), 401}, "UnknownKey": {"Authorization: Bearer " + alphaKey + "x", 401}, "None": {"X: y", 401},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(f.to.seen)
			ex := f.ask("/v1/chat/completions", c.field, "X-Team: admin")
			if asked := len(f.to.seen) > before; asked != (c.status == 200) {
				t.Errorf("the provider was asked: %v", asked)
			}
			if c.status != 200 {
				f.wantStatus(ex, c.status)
			}
			if v, there := ex.Request.Header.Get("X-Team"); c.status == 200 && there && v != "alpha" {
				t.Errorf("the client's own X-Team stays: %s", v)
			}
		})
	}
}

// TestConsumers_KeyOfAnotherRoute calls a route whose consumers have claims
// alone, with and without a policy.
func TestConsumers_KeyOfAnotherRoute(t *testing.T) {
	k := newTokens(t)
	byClaim := &ir.Policy{Name: "claim", Source: ir.Source{Namespace: "ns", Name: "claim"}, Consumer: &ir.Consumer{Claim: "team", Value: "c"}}
	for name, policies := range map[string][]string{"WithAPolicy": {"p"}, "Without": nil} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, slices.Concat([]ir.Resource{k.policy("p"), byClaim}, model(policies, "claim"), keyed("alpha", alphaKey))...)
			f.wantStatus(f.ask("/v1/chat/completions", "x-api-key: "+alphaKey), 403)
			f.wantStatus(f.ask("/v1/chat/completions", "Authorization: Bearer "+alphaKey), 403)
			f.wantStatus(f.ask("/v1/chat/completions", "Authorization: Bearer "+alphaKey+"x"), 401)
			f.wantStatus(f.ask("/v1/chat/completions"), 401)
		})
	}
}

// TestConsumers_AKeyDoesNotOpenWhatTheGatewayCloses: a team that has a route and
// makes a consumer for it does not get past what the Gateway's owner demands; a
// consumer of the owner's does.
func TestConsumers_AKeyDoesNotOpenWhatTheGatewayCloses(t *testing.T) {
	k := newTokens(t)
	for namespace, want := range map[string]struct {
		key int
		why string
	}{
		"ns":    {200, "needs a valid bearer token or an API key."},
		"infra": {403, "needs a valid bearer token."},
	} {
		t.Run(namespace, func(t *testing.T) {
			policy := k.policy("p")
			policy.Source.Namespace = namespace
			f := newFixture(t, slices.Concat([]ir.Resource{policy}, model([]string{"p"}, "alpha"), keyed("alpha", alphaKey))...)
			f.apply(ir.Update{Upserts: []ir.Resource{&ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP, Policies: []string{"p"}}}})
			f.to.answer = func(ex *exchange.Exchange, _ *exchange.Target) error {
				ex.Response.Status, ex.Response.Body = 200, upstream.NewBody([]byte(`{"content":[{"type":"text","text":"yes"}],"usage":{}}`))
				ex.Response.Header.Add("Content-Type", "application/json")
				return nil
			}
			for _, field := range []string{"x-api-key: ", "Authorization: Bearer "} {
				ex := f.ask("/v1/chat/completions", field+alphaKey, "X-Team: admin")
				f.wantStatus(ex, want.key)
				if ex.Request.Header.Has("X-Team") {
					t.Error("the client's own X-Team stays")
				}
			}
			f.wantStatus(f.ask("/v1/chat/completions", k.field("p", "alpha")), 200)
			if e := f.Explain(Question{Port: 80, Target: "/v1/messages"}); !slices.Contains(e.Why, "The request "+want.why) {
				t.Errorf("%q", e.Why)
			}
		})
	}
}

func TestConsumers_KeysChangeWhileServing(t *testing.T) {
	f := newFixture(t, slices.Concat(model(nil, "alpha"), keyed("alpha", alphaKey))...)
	f.statuses(204)
	lets := func(key string) bool {
		before := len(f.to.seen)
		f.ask("/v1/chat/completions", "x-api-key: "+key)
		return len(f.to.seen) > before
	}
	if !lets(alphaKey) || lets(betaKey) {
		t.Fatal("the wrong key is valid")
	}
	f.apply(ir.Update{Upserts: keyed("alpha", alphaKey, betaKey)[:1]})
	if !lets(alphaKey) || !lets(betaKey) {
		t.Error("a second key is not valid beside the first")
	}
	f.apply(ir.Update{Upserts: keyed("alpha", betaKey)[:1]})
	if lets(alphaKey) || !lets(betaKey) {
		t.Error("a key that was removed is valid")
	}
	f.apply(ir.Update{Removed: []ir.Ref{{Type: ir.TypeSecret, Name: "apikeys/alpha"}}})
	if lets(betaKey) {
		t.Error("a key without its Secret is valid")
	}
}

func TestConsumers_ABrokenGateLetsNoKeyIn(t *testing.T) {
	f := newFixture(t, slices.Concat(model([]string{"gone"}, "alpha"), keyed("alpha", alphaKey))...)
	f.wantStatus(f.ask("/v1/chat/completions", "x-api-key: "+alphaKey), 401)
}

func TestConsumers_NoHashIsInADump(t *testing.T) {
	f := newFixture(t, keyed("alpha", alphaKey)...)
	sum := sha256.Sum256([]byte(alphaKey))
	dump, err := json.Marshal(f.Resources())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(dump), "[redacted]") || strings.Contains(string(dump), string(sum[:4])) {
		t.Errorf("%s", dump)
	}
}
