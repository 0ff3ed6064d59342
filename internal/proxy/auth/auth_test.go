package auth

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/jwt/jwttest"
)

var now = time.Unix(1_800_000_000, 0)

// issuer returns a gate with one provider and a way to make its tokens.
func issuer(t *testing.T) (*Gate, func(claims map[string]any) string) {
	t.Helper()
	k := jwttest.NewKey(t, "")
	g, err := New([]*ir.Policy{{Name: "p", JWT: &ir.JWT{Providers: []ir.JWTProvider{{
		Name: "i", Issuer: "https://i", JWKS: jwttest.Set(k),
		ClaimHeaders: []ir.ClaimHeader{{Claim: "sub", Header: "X-User"}, {Claim: "team", Header: "X-Team"}},
	}}}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g, func(claims map[string]any) string {
		claims["iss"], claims["exp"] = "https://i", now.Unix()+60
		return k.Token(claims)
	}
}

func request(fields ...string) *exchange.Request {
	r := &exchange.Request{}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Add(fields[i], fields[i+1])
	}
	return r
}

func TestEnter_SetsClaimsAndKnowsConsumers(t *testing.T) {
	g, sign := issuer(t)
	req := request("Authorization", "Bearer "+sign(map[string]any{"sub": "u", "teams": []string{"alpha", "beta"}, "": ""}))
	caller, err := g.Enter(req, now)
	if err != nil {
		t.Fatal(err)
	}
	if v, _ := req.Header.Get("X-User"); v != "u" {
		t.Errorf("X-User is %q", v)
	}
	for team, want := range map[string]bool{"alpha": true, "gamma": false} {
		if got := caller.Is(&ir.Policy{Consumer: &ir.Consumer{Claim: "teams", Value: team}}); got != want {
			t.Errorf("caller is of team %s: %v", team, got)
		}
	}
	if keysAlone := (&ir.Policy{Name: "k", Consumer: &ir.Consumer{APIKeys: "k"}}); (Caller{}).Is(keysAlone) || caller.Is(keysAlone) {
		t.Error("a token, or nothing, makes one a consumer that has keys alone")
	}
}

func TestJW027_ClientSentClaimHeaders(t *testing.T) {
	g, sign := issuer(t)
	for name, token := range map[string]string{"Valid": "Bearer " + sign(map[string]any{"sub": "u"}), "Invalid": "Bearer x.y.z", "Missing": ""} {
		t.Run(name, func(t *testing.T) {
			req := request("X-User", "admin", "x_user", "admin", "X-TEAM", "root", "X_Team", "root", "X-Other", "kept")
			if token != "" {
				req.Header.Add("Authorization", token)
			}
			_, _ = g.Enter(req, now)
			var seen []string
			for f := range req.Header.All() {
				if f.Name != "Authorization" {
					seen = append(seen, f.Name+"="+f.Value)
				}
			}
			want := "X-Other=kept"
			if name == "Valid" {
				want += " X-User=u"
			}
			if got := strings.Join(seen, " "); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// trailing is a body that ends with trailer fields.
type trailing struct{ req *exchange.Request }

func (b *trailing) Read([]byte) (int, error) {
	b.req.Trailer.Add("x_user", "admin")
	b.req.Trailer.Add("X-User", "admin")
	b.req.Trailer.Add("Checksum", "kept")
	return 0, io.EOF
}
func (*trailing) Buffered() int { return 0 }
func (*trailing) Close() error  { return nil }

func TestJW027_ClaimHeadersInTheTrailer(t *testing.T) {
	g, sign := issuer(t)
	req := request("Authorization", "Bearer "+sign(map[string]any{"sub": "u"}))
	req.Body = &trailing{req}
	if _, err := g.Enter(req, now); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(req.Body); err != nil {
		t.Fatal(err)
	}
	if req.Trailer.Len() != 1 || !req.Trailer.Has("Checksum") {
		t.Errorf("the trailer is %v", req.Trailer)
	}
}

func TestJW028_AnInvalidTokenIsNotAnonymous(t *testing.T) {
	g, sign := issuer(t)
	for name, field := range map[string]string{"Garbage": "Bearer x", "Empty": "Bearer ", "Forged": "Bearer " + sign(map[string]any{"sub": "u"}) + "A"} {
		if caller, err := g.Enter(request("Authorization", field), now); err == nil || caller.claims != nil {
			t.Errorf("%s: got %v", name, caller)
		}
	}
}

func TestEnter_RefusesWithAChallenge(t *testing.T) {
	g, sign := issuer(t)
	good := sign(map[string]any{"sub": "u"})
	for name, c := range map[string]struct {
		fields []string
		want   string
	}{
		"Missing": {nil, `Bearer realm="citoroute"`},
		"Expired": {[]string{"Authorization", "Bearer " + good}, `Bearer realm="citoroute", error="invalid_token", error_description="the token has expired"`},
		"Two":     {[]string{"Authorization", "Bearer a", "Authorization", "Bearer b"}, `Bearer realm="citoroute", error="invalid_token", error_description="there is more than one Authorization field"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := g.Enter(request(c.fields...), now.Add(time.Hour))
			refusal, ok := errors.AsType[*Refusal](err)
			if !ok || refusal.Challenge() != c.want {
				t.Errorf("got %v with challenge %s", err, fmt.Sprint(refusal))
			}
			if err != nil && strings.Contains(err.Error(), good) {
				t.Error("the refusal repeats the token")
			}
		})
	}
}

func TestNew_NamesThePolicyAtFault(t *testing.T) {
	policy := func(p ir.JWTProvider) []*ir.Policy {
		return []*ir.Policy{{Name: "p", Source: ir.Source{Kind: "JWTValidationPolicy", Namespace: "ns", Name: "p"}, JWT: &ir.JWT{Providers: []ir.JWTProvider{p}}}}
	}
	for name, p := range map[string]ir.JWTProvider{"NoKeys": {Name: "i"}, "NotAKeySet": {Name: "i", JWKS: "<html>"}} {
		t.Run(name, func(t *testing.T) {
			_, err := New(policy(p), nil)
			if err == nil || !strings.Contains(err.Error(), `JWTValidationPolicy/ns/p: provider "i"`) {
				t.Errorf("got %v", err)
			}
		})
	}
}
