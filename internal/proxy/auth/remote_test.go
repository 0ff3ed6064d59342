package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gojwt "github.com/golang-jwt/jwt/v5"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/jwks"
)

// remote is an issuer whose keys are fetched, and a gate for its tokens.
type remote struct {
	t       *testing.T
	gate    *Gate
	mu      sync.Mutex
	keys    map[string]*ecdsa.PrivateKey // those published
	fetches int
}

// withRemote runs f with an issuer that has key "a", on a clock of its own.
func withRemote(t *testing.T, f func(r *remote, a *ecdsa.PrivateKey)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &remote{t: t, keys: map[string]*ecdsa.PrivateKey{}}
		a := r.publish("a")
		gate, err := New([]*ir.Policy{{Name: "p", JWT: &ir.JWT{Providers: []ir.JWTProvider{{Name: "i", Issuer: "https://i", RemoteJWKS: "https://i/keys"}}}}},
			jwks.NewStore(jwks.Options{Fetch: r.fetch, Log: slog.New(slog.DiscardHandler)}))
		if err != nil {
			t.Fatal(err)
		}
		defer gate.Close()
		r.gate = gate
		synctest.Wait()
		f(r, a)
	})
}

func (r *remote) publish(kid string) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[kid] = k
	return k
}

func (r *remote) fetch(context.Context, string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetches++
	set := []any{}
	b64 := base64.RawURLEncoding.EncodeToString
	for kid, k := range r.keys {
		point, err := k.PublicKey.Bytes()
		if err != nil {
			return nil, err
		}
		set = append(set, map[string]string{"kty": "EC", "crv": "P-256", "kid": kid, "x": b64(point[1:33]), "y": b64(point[33:])})
	}
	return json.Marshal(map[string]any{"keys": set})
}

// fetched is how often the keys have been fetched.
func (r *remote) fetched() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fetches
}

// token is valid for ten minutes from now.
func (r *remote) token(kid string, k *ecdsa.PrivateKey) string {
	tok := gojwt.NewWithClaims(gojwt.SigningMethodES256, gojwt.MapClaims{"iss": "https://i", "iat": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix()})
	tok.Header["kid"] = kid
	s, err := tok.SignedString(k)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *remote) lets(tok string, at time.Time) bool {
	_, err := r.gate.Enter(request("Authorization", "Bearer "+tok), at)
	return err == nil
}

// pass lets time pass.
func pass(d time.Duration) {
	time.Sleep(d) // the clock of the synctest bubble
	synctest.Wait()
}

// TestJW019_NothingIsRemembered holds for as long as tokens are not cached, and
// for any cache: what counts is the token, the keys and the time of now.
func TestJW019_NothingIsRemembered(t *testing.T) {
	withRemote(t, func(r *remote, a *ecdsa.PrivateKey) {
		tok := r.token("a", a)
		if !r.lets(tok, time.Now()) {
			t.Fatal("a valid token is refused")
		}
		pass(time.Second)
		other := r.token("a", r.publish("unused"))
		cut := func(s string) int { // where the signature begins
			for i := len(s) - 1; ; i-- {
				if s[i] == '.' {
					return i
				}
			}
		}
		if r.lets(other[:cut(other)]+tok[cut(tok):], time.Now()) {
			t.Error("a signature is taken for another payload")
		}
		if r.lets(tok, time.Now().Add(11*time.Minute)) {
			t.Error("a token is valid after its time, because it was valid before")
		}
		r.mu.Lock()
		delete(r.keys, "a")
		r.mu.Unlock()
		pass(5*time.Minute + time.Second)
		if r.lets(tok, time.Now()) {
			t.Error("a token is valid whose key is gone")
		}
	})
}

// TestJW036_SameNameNewMaterial is a rotation that keeps the key's name: the
// first token of the new key asks for it.
func TestJW036_SameNameNewMaterial(t *testing.T) {
	withRemote(t, func(r *remote, a *ecdsa.PrivateKey) {
		old, next := r.token("a", a), r.token("a", r.publish("a"))
		pass(10 * time.Second)
		if !r.lets(old, time.Now()) || r.lets(next, time.Now()) {
			t.Fatal("the keys have changed by themselves")
		}
		pass(10 * time.Second)
		if r.lets(old, time.Now()) || !r.lets(next, time.Now()) {
			t.Error("the new key is not asked for")
		}
	})
}

// TestJW038_ClockJumps turns the wall clock, as requests see it, while the
// process's own goes on.
func TestJW038_ClockJumps(t *testing.T) {
	withRemote(t, func(r *remote, a *ecdsa.PrivateKey) {
		tok := r.token("a", a)
		for name, c := range map[string]struct {
			jump time.Duration
			ok   bool
		}{"None": {0, true}, "Ahead": {time.Hour, false}, "Back": {-time.Hour, false}, "WithinLeeway": {-30 * time.Second, true}} {
			if r.lets(tok, time.Now().Add(c.jump)) != c.ok {
				t.Errorf("%s: accepted %v", name, !c.ok)
			}
		}
		if r.fetched() != 1 {
			t.Errorf("%d fetches: the clock of requests drives the refresh", r.fetched())
		}
		pass(5*time.Minute + time.Second)
		if r.fetched() != 2 || !r.lets(tok, time.Now()) {
			t.Errorf("%d fetches after the refresh interval, want 2", r.fetched())
		}
	})
}
