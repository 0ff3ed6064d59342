package auth

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/jwks"
	"github.com/citoroute/citoroute/internal/proxy/jwt/jwttest"
)

// remote is an issuer whose keys are fetched, and a gate for its tokens.
type remote struct {
	t       *testing.T
	gate    *Gate
	mu      sync.Mutex
	keys    map[string]*jwttest.Key // those published
	fetches int
}

// withRemote runs f with an issuer that has key "a", on a clock of its own.
func withRemote(t *testing.T, f func(r *remote, a *jwttest.Key)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &remote{t: t, keys: map[string]*jwttest.Key{}}
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

func (r *remote) publish(kid string) *jwttest.Key {
	k := jwttest.NewKey(r.t, kid)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[kid] = k
	return k
}

func (r *remote) fetch(context.Context, string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetches++
	return []byte(jwttest.Set(slices.Collect(maps.Values(r.keys))...)), nil
}

// fetched is how often the keys have been fetched.
func (r *remote) fetched() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fetches
}

// token is valid for ten minutes from now.
func (r *remote) token(k *jwttest.Key) string {
	return k.Token(map[string]any{"iss": "https://i", "iat": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix()})
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
	withRemote(t, func(r *remote, a *jwttest.Key) {
		tok := r.token(a)
		if !r.lets(tok, time.Now()) {
			t.Fatal("a valid token is refused")
		}
		pass(time.Second)
		other := r.token(a)
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
	withRemote(t, func(r *remote, a *jwttest.Key) {
		old, next := r.token(a), r.token(r.publish("a"))
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
	withRemote(t, func(r *remote, a *jwttest.Key) {
		tok := r.token(a)
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
