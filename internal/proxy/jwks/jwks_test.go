package jwks

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/jwt/jwttest"
)

// document returns a key set with one new key.
func document(t testing.TB, kid string) string {
	t.Helper()
	return jwttest.Set(jwttest.NewKey(t, kid))
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

// TestStore_SpreadsItsPauses: proxies that lost an issuer at the same time do not
// ask it again at the same time.
func TestStore_SpreadsItsPauses(t *testing.T) {
	i := &issuer{err: errors.New("down")}
	synctest.Test(t, func(t *testing.T) {
		s := NewStore(Options{Fetch: i.fetch, Log: slog.New(slog.DiscardHandler), Spread: func(d time.Duration) time.Duration { return d - 1 }})
		_, release := s.Use("u")
		defer release()
		synctest.Wait()
		pass(defaultMinimum)
		if n := i.count(); n != 1 {
			t.Errorf("%d fetches after the shortest pause, want only the first", n)
		}
		pass(defaultMinimum / 2)
		if n := i.count(); n != 2 {
			t.Errorf("%d fetches after the longest pause, want one more", n)
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
		began, crowd := time.Now(), sync.WaitGroup{}
		for range 100 {
			crowd.Go(func() {
				for range 100 {
					r.Unknown()
				}
			})
		}
		crowd.Wait()
		if time.Since(began) != 0 {
			t.Errorf("requests have waited %v", time.Since(began))
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
		r.Unknown()
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
