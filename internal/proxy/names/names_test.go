package names

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// server is a resolver that counts.
type server struct {
	mu     sync.Mutex
	asked  []string
	answer map[string][]netip.Addr // others are not there
	err    error
	takes  time.Duration
}

func (s *server) lookup(ctx context.Context, name string) ([]netip.Addr, error) {
	s.mu.Lock()
	s.asked = append(s.asked, name)
	takes, err, answer := s.takes, s.err, slices.Clone(s.answer[name])
	s.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, &net.DNSError{Err: "timeout", Name: name, IsTimeout: true}
	}
	if err != nil || answer != nil {
		return answer, err
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// seen are the names that were asked for.
func (s *server) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

// set is what is answered from now on, about host and after some time.
func (s *server) set(addresses []netip.Addr, err error, takes time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer[host+"."], s.err, s.takes = addresses, err, takes
}

var one, two = netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")

const host = "llm.example.com"

// within runs a test with a server that knows host.
func within(t *testing.T, test func(t *testing.T, s *server, c *Cache)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &server{answer: map[string][]netip.Addr{host + ".": {one}}}
		test(t, s, New(Options{Lookup: s.lookup}))
		time.Sleep(2 * lookupTimeout) // what has begun ends
	})
}

// want finds the addresses of host, within some time.
func want(t *testing.T, c *Cache, limit time.Duration, addresses ...netip.Addr) {
	t.Helper()
	began := time.Now()
	got, err := c.Find(t.Context(), host)
	if diff := cmp.Diff(addresses, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" || (err == nil) != (got != nil) {
		t.Errorf("error %v, -want +got:\n%s", err, diff)
	}
	if took := time.Since(began); took > limit {
		t.Errorf("it took %s, more than %s", took, limit)
	}
}

func TestFind_AsksNowAndThen(t *testing.T) {
	within(t, func(t *testing.T, s *server, c *Cache) {
		for range 1000 {
			want(t, c, 0, one)
		}
		if len(s.seen()) != 1 {
			t.Errorf("asked %d times", len(s.seen()))
		}
		s.set([]netip.Addr{two}, nil, time.Millisecond)
		time.Sleep(fresh)
		want(t, c, 0, one) // and asks
		time.Sleep(time.Second)
		want(t, c, 0, two)
		s.set([]netip.Addr{one}, nil, time.Millisecond)
		time.Sleep(stale)
		want(t, c, time.Millisecond, one) // the old one may be anybody's by now
		if len(s.seen()) != 3 {
			t.Errorf("asked %d times", len(s.seen()))
		}
	})
}

func TestFind_AsksOnceForAll(t *testing.T) {
	within(t, func(t *testing.T, s *server, c *Cache) {
		s.set([]netip.Addr{one}, nil, time.Second)
		for range 100 {
			go want(t, c, time.Second, one)
		}
		synctest.Wait()
		if len(s.seen()) != 1 {
			t.Errorf("asked %d times", len(s.seen()))
		}
	})
}

func TestFind_KeepsWhatWasGood(t *testing.T) {
	for name, c := range map[string]struct {
		err   error
		takes time.Duration
		keep  time.Duration
	}{
		"Refused": {err: &net.DNSError{Err: "server misbehaving", IsTemporary: true}, keep: keep},
		"Silent":  {takes: time.Hour, keep: keep},
		"Gone":    {err: &net.DNSError{Err: "no such host", IsNotFound: true}, keep: keepGone},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, s *server, cache *Cache) {
				want(t, cache, 0, one)
				began := time.Now()
				s.set(nil, c.err, c.takes)
				for step := c.keep / 50; time.Since(began)+step+patience < c.keep; {
					time.Sleep(step)
					want(t, cache, patience, one)
				}
				time.Sleep(c.keep - time.Since(began))
				want(t, cache, lookupTimeout)
				s.set([]netip.Addr{one}, nil, 0)
				time.Sleep(2 * lookupTimeout)
				want(t, cache, 0, one)
			})
		})
	}
}

func TestFind_AFailureIsNotAskedForAgainAtOnce(t *testing.T) {
	within(t, func(t *testing.T, s *server, c *Cache) {
		s.set(nil, errors.New("no"), 0)
		for range 100 {
			want(t, c, 0)
		}
		if len(s.seen()) != 1 {
			t.Errorf("asked %d times", len(s.seen()))
		}
		s.set([]netip.Addr{one}, nil, 0)
		time.Sleep(pause)
		want(t, c, 0, one)
	})
}

func TestFind_WaitsNoLongerThanItsCaller(t *testing.T) {
	within(t, func(t *testing.T, s *server, c *Cache) {
		s.set([]netip.Addr{one}, nil, 3*time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, err := c.Find(ctx, host); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, %v", got, err)
		}
		want(t, c, 3*time.Second, one) // what was begun is of use to the next one
		if len(s.seen()) != 1 {
			t.Errorf("asked %d times", len(s.seen()))
		}
	})
}

// TestFind_CompletesServicesOnly: a name of the internet is none of a namespace
// that is called like a top-level domain.
func TestFind_CompletesServicesOnly(t *testing.T) {
	for host, asked := range map[string][]string{
		"api.example.com":           {"api.example.com."},
		"api.example.com.":          {"api.example.com."},
		"ollama":                    {"ollama"},
		"ollama.models":             {"ollama.models.", "ollama.models"},
		"ollama.models.svc":         {"ollama.models.svc.", "ollama.models.svc"},
		"ollama.m.svc.cluster.test": {"ollama.m.svc.cluster.test."},
	} {
		within(t, func(t *testing.T, s *server, c *Cache) {
			if _, err := c.Find(t.Context(), host); !isGone(err) {
				t.Errorf("%s: %v", host, err)
			}
			if diff := cmp.Diff(asked, s.seen()); diff != "" {
				t.Errorf("%s: asked for -want +got:\n%s", host, diff)
			}
		})
	}
}

func TestFind_IsBounded(t *testing.T) {
	within(t, func(t *testing.T, s *server, c *Cache) {
		for i := range 1000 {
			s.answer[host+"."] = append(s.answer[host+"."], netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
		}
		got, err := c.Find(t.Context(), host)
		if len(got) != maxAddresses || err != nil {
			t.Errorf("%d addresses, %v", len(got), err)
		}
		before := len(s.seen())
		s.set(nil, nil, time.Second)
		for i := range 100 {
			go func() { _, _ = c.Find(t.Context(), fmt.Sprintf("h%d.example.com", i)) }()
		}
		synctest.Wait()
		if n := len(s.seen()) - before; n != maxLookups {
			t.Errorf("%d lookups at a time", n)
		}
		time.Sleep(time.Minute)
		time.Sleep(keep)
		_, _ = c.Find(t.Context(), "new.example.com")
		if len(c.names) != 1 {
			t.Errorf("%d names are remembered that nobody asks for", len(c.names))
		}
	})
}

func TestOrder(t *testing.T) {
	six, seven := netip.MustParseAddr("fd00::6"), netip.MustParseAddr("fd00::7")
	for name, c := range map[string]struct {
		turn int
		in   []netip.Addr
		want []netip.Addr
	}{
		"One":        {5, []netip.Addr{one}, []netip.Addr{one}},
		"Turn":       {1, []netip.Addr{one, two}, []netip.Addr{two, one}},
		"Interleave": {2, []netip.Addr{six, seven, one, two}, []netip.Addr{six, one, seven, two}},
		"Uneven":     {1, []netip.Addr{six, one, two}, []netip.Addr{six, two, one}},
	} {
		if diff := cmp.Diff(c.want, order(c.in, c.turn), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}
