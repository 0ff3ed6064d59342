package jwks

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// document returns a key set with one new key.
func document(t testing.TB, kid string) string {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := k.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	return fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","kid":%q,"x":%q,"y":%q}]}`, kid, b64(point[1:33]), b64(point[33:]))
}

// issuer is a server of keys that can be told what to answer.
type issuer struct {
	mu      sync.Mutex
	body    string
	err     error
	fetches int
}

func (i *issuer) fetch(context.Context, string) ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.fetches++
	return []byte(i.body), i.err
}

func (i *issuer) set(body string, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.body, i.err = body, err
}

func (i *issuer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.fetches
}

// use runs f with the keys of an issuer, on a clock of its own.
func use(t *testing.T, i *issuer, f func(*Remote)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(Options{Fetch: i.fetch, Log: slog.New(slog.DiscardHandler)})
		r, release := s.Use("https://issuer.example/keys")
		defer release()
		synctest.Wait()
		f(r)
	})
}

func pass(d time.Duration) {
	time.Sleep(d) // the clock of the synctest bubble
	synctest.Wait()
}

func TestJW030_DownAtStart(t *testing.T) {
	i := &issuer{err: errors.New("down")}
	use(t, i, func(r *Remote) {
		if r.Keys() != nil {
			t.Error("there are keys that nobody sent")
		}
		i.set(document(t, "a"), nil)
		pass(defaultMinimum)
		if r.Keys() == nil {
			t.Error("the keys are not fetched once the issuer is back")
		}
	})
}

func TestJW031_DownLater(t *testing.T) {
	i := &issuer{body: document(t, "a")}
	use(t, i, func(r *Remote) {
		first := r.Keys()
		for _, c := range []struct {
			body string
			err  error
		}{{"", errors.New("down")}, {"<html>", nil}, {"", nil}, {`{"keys":[],"keys":[]}`, nil}} {
			i.set(c.body, c.err)
			pass(2 * maxBackoff)
			if first == nil || r.Keys() != first {
				t.Errorf("after %q and %v the keys are not kept", c.body, c.err)
			}
		}
		pass(defaultMaxStale)
		if r.Keys() != nil {
			t.Error("keys are used that have been stale for a day")
		}
	})
}

func TestJW032_UnknownKeysAskOnce(t *testing.T) {
	i := &issuer{body: document(t, "a")}
	use(t, i, func(r *Remote) {
		for range 10_000 {
			r.Unknown("x")
		}
		pass(time.Second)
		if n := i.count(); n != 1 {
			t.Errorf("%d fetches in the first second, want only the one at the start", n)
		}
		pass(defaultMinimum)
		if n := i.count(); n != 2 {
			t.Errorf("%d fetches, want one more once the least time has passed", n)
		}
	})
}

func TestJW036_Rotation(t *testing.T) {
	i := &issuer{body: document(t, "a")}
	use(t, i, func(r *Remote) {
		first := r.Keys()
		i.set(document(t, "b"), nil)
		pass(defaultMinimum)
		r.Unknown("b")
		synctest.Wait()
		if r.Keys() == first {
			t.Error("a token of the new key does not bring the new keys")
		}
		second := r.Keys()
		i.set(document(t, "c"), nil)
		pass(defaultRefresh)
		if r.Keys() == second {
			t.Error("a removed key is used for longer than the refresh interval")
		}
	})
}

func TestStore_StopsWithItsLastUser(t *testing.T) {
	i := &issuer{body: document(t, "a")}
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(Options{Fetch: i.fetch, Log: slog.New(slog.DiscardHandler)})
		one, releaseOne := s.Use("u")
		two, releaseTwo := s.Use("u")
		if one != two {
			t.Error("two users of one URL fetch twice")
		}
		releaseOne()
		releaseOne()
		pass(2 * defaultRefresh)
		before := i.count()
		releaseTwo()
		pass(4 * defaultRefresh)
		if i.count() != before {
			t.Error("keys are fetched that nobody uses")
		}
	})
}

func TestJW033_Answers(t *testing.T) {
	good := document(t, "a")
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		ok      bool
	}{
		"Good":      {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, good) }, true},
		"TooLarge":  {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", maxDocument+1)) }, false},
		"NoContent": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, false},
		"Redirect":  {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, false},
		"Refused":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, false},
		"Compressed": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			fmt.Fprint(w, "x")
		}, false},
		"Credentials": {func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" && r.Header.Get("Cookie") == "" {
				fmt.Fprint(w, good)
			}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(c.handler)
			defer s.Close()
			b, err := Fetcher(func(netip.Addr) bool { return true }, true)(t.Context(), s.URL)
			if (err == nil && len(b) > 0) != c.ok {
				t.Errorf("got %d bytes and %v", len(b), err)
			}
		})
	}
}

func TestJW034_Addresses(t *testing.T) {
	for address, want := range map[string]struct{ public, notThisMachine bool }{
		"127.0.0.1": {}, "::1": {}, "::ffff:127.0.0.1": {}, "169.254.169.254": {}, "fd00:ec2::254": {}, "0.0.0.0": {}, "::": {}, "224.0.0.1": {}, "255.255.255.255": {},
		"10.0.0.1": {false, true}, "100.64.0.1": {false, true}, "192.168.1.1": {false, true}, "fd12::1": {false, true}, "8.8.8.8": {true, true}, "2606:4700::1": {true, true},
	} {
		a := netip.MustParseAddr(address)
		if Public(a) != want.public || NotThisMachine(a) != want.notThisMachine {
			t.Errorf("%s: public %v, not this machine %v", address, Public(a), NotThisMachine(a))
		}
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	defer s.Close()
	for _, url := range []string{s.URL, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), strings.Replace(s.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)} {
		if _, err := Fetcher(NotThisMachine, true)(t.Context(), url); err == nil {
			t.Errorf("%s is fetched", url)
		}
	}
	if _, err := Fetcher(func(netip.Addr) bool { return true }, false)(t.Context(), s.URL); err == nil {
		t.Error("keys are fetched in the clear")
	}
}

func TestJW035_NoProxyFromTheEnvironment(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") }))
	defer s.Close()
	if _, err := Fetcher(func(netip.Addr) bool { return true }, true)(t.Context(), s.URL); err != nil {
		t.Errorf("the environment's proxy is asked: %v", err)
	}
}
