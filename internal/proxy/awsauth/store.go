package awsauth

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/refresh"
)

const (
	// fetchTimeout bounds one fetch, with all that it asks on its way.
	fetchTimeout = 10 * time.Second
	// maxAge is how long credentials are used that do not expire: their source
	// may be a file that changes.
	maxAge = time.Hour
	// minWait is the least time between two fetches, and the pause after a first
	// failure.
	minWait = time.Second
	// maxBackoff is the longest wait after failures.
	maxBackoff = time.Minute
)

// ErrNone says that there are no valid credentials now.
var ErrNone = errors.New("no valid AWS credentials")

// Options of a Store.
type Options struct {
	// Fetch gets credentials anew; see package chain. It is called on a
	// goroutine of its own, once at a time for each Identity.
	Fetch func(ctx context.Context, id Identity) (Credentials, error)
	// Rand spreads renewals: package math/rand/v2 has one.
	Rand func() uint64
	Log  *slog.Logger
}

// Store holds the credentials of identities. It starts nothing before Use is
// called, and is safe for concurrent use.
type Store struct {
	opts Options

	mu      sync.Mutex
	sources map[string]*Source
}

// NewStore returns an empty Store.
func NewStore(o Options) *Store { return &Store{opts: o, sources: map[string]*Source{}} }

// Use returns the credentials of an identity and keeps them fresh until
// release has been called for everyone who uses them. backend is the name by
// which the log speaks of the user. After its release a Source still hands out
// what it has, for requests that began before.
func (s *Store) Use(backend string, id Identity) (source *Source, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := id.key()
	source, ok := s.sources[key]
	if !ok {
		source = s.follow(id, key)
		s.sources[key] = source
	}
	source.users[backend]++
	return source, sync.OnceFunc(func() { s.release(source, backend) })
}

// follow begins to fetch the credentials of an identity.
func (s *Store) follow(id Identity, key string) *Source {
	ctx, stop := context.WithCancel(context.Background())
	source := &Source{id: id, key: key, store: s, stop: stop, users: map[string]int{}, settled: make(chan struct{})}
	source.settle = sync.OnceFunc(func() { close(source.settled) })
	source.loop = refresh.New(refresh.Options{
		Fetch: source.fetch, Failed: source.failed, Least: minWait, Most: maxBackoff, Spread: s.chance,
	})
	go source.loop.Run(ctx)
	return source
}

func (s *Store) release(source *Source, backend string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if source.users[backend]--; source.users[backend] == 0 {
		delete(source.users, backend)
	}
	if len(source.users) == 0 {
		delete(s.sources, source.key)
		source.stop()
	}
}

func (s *Store) backends(source *Source) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(source.users)), ", ")
}

// Source is the credentials of one identity.
type Source struct {
	id    Identity
	key   string
	store *Store
	users map[string]int // by backend; guarded by the Store
	stop  context.CancelFunc

	loop    *refresh.Loop
	settled chan struct{} // closed when the first fetch has ended
	settle  func()        // closes it
	current atomic.Pointer[Credentials]
}

// Credentials returns the newest credentials without waiting. The error is
// [ErrNone] where there are none that are valid at now.
func (s *Source) Credentials(now time.Time) (Credentials, error) {
	if c := s.current.Load(); c.validAt(now) {
		return *c, nil
	}
	return Credentials{}, ErrNone
}

// Settled is closed when the first fetch has ended, well or not: until then it
// may be worth a wait that there are no credentials.
func (s *Source) Settled() <-chan struct{} { return s.settled }

// Refused asks for other credentials, since AWS did not take these. It does
// not wait, and whatever is there is handed out until others are.
func (s *Source) Refused() { s.loop.Ask() }

// fetch replaces the credentials, where it gets some that are of use.
func (s *Source) fetch(ctx context.Context) (good time.Duration, err error) {
	defer s.settle()
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	c, err := s.store.opts.Fetch(ctx, s.id)
	now := time.Now()
	switch {
	case err != nil:
		return 0, err
	case c.AccessKeyID == "" || c.SecretAccessKey == "":
		return 0, errors.New("the credentials are empty")
	case !c.validAt(now):
		return 0, errors.New("the credentials have already expired")
	}
	s.current.Store(&c)
	return s.store.renewal(&c, now), nil
}

func (s *Source) failed(err error, again time.Duration) {
	s.store.opts.Log.Warn("AWS credentials could not be fetched",
		"backends", s.store.backends(s), "error", err, "valid", s.current.Load().validAt(time.Now()), "again_in", again.String())
}

// renewal is how long to use credentials before others are fetched: six to
// seven tenths of the time that they have left. A source that hands out the same
// ones until shortly before their end, like that of an instance, is thus asked
// more and more often.
func (s *Store) renewal(c *Credentials, now time.Time) time.Duration {
	if c.Expires.IsZero() {
		return maxAge
	}
	left := c.Expires.Sub(now)
	return min(max(left*6/10+s.chance(left/10), minWait), maxAge)
}

// chance returns less than d, or 0.
func (s *Store) chance(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(s.opts.Rand() % uint64(d))
}
