// Package jwks keeps the key sets of token issuers: fetched in the background,
// never while a request waits, kept while their server is away, and fetched
// anew when a token names a key that is not known yet.
package jwks

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/jwt"
	"github.com/citoroute/citoroute/internal/proxy/refresh"
)

// Settings of a Store; zero values are replaced.
const (
	defaultRefresh  = 5 * time.Minute
	defaultMinimum  = 10 * time.Second
	defaultMaxStale = 24 * time.Hour
	maxBackoff      = 5 * time.Minute
)

// Options of a Store.
type Options struct {
	// Fetch gets the document at a URL; see [Fetcher].
	Fetch func(ctx context.Context, url string) ([]byte, error)
	// Refresh is how old keys get before they are fetched again: 5 minutes.
	Refresh time.Duration
	// Minimum is the least time between two fetches of one URL, however many
	// tokens name unknown keys: 10 s.
	Minimum time.Duration
	// MaxStale is how long keys are used while their server is away: 24 hours.
	MaxStale time.Duration
	// Spread returns less than its argument, by chance: the pauses while a server
	// is away are that much longer; nil: they are exact.
	Spread func(time.Duration) time.Duration
	Log    *slog.Logger
}

// Store holds the key sets of issuers by their URLs.
type Store struct {
	opts Options

	mu     sync.Mutex
	remote map[string]*Remote
}

// NewStore returns an empty Store.
func NewStore(o Options) *Store {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&o.Refresh, defaultRefresh)
	set(&o.Minimum, defaultMinimum)
	set(&o.MaxStale, defaultMaxStale)
	return &Store{opts: o, remote: map[string]*Remote{}}
}

// Use returns the keys behind a URL and keeps them fresh until release has
// been called by everyone who uses them.
func (s *Store) Use(url string) (r *Remote, release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.remote[url]
	if !ok {
		r = s.follow(url)
		s.remote[url] = r
	}
	r.users++
	return r, sync.OnceFunc(func() { s.release(r) })
}

// follow begins to fetch the keys behind a URL.
func (s *Store) follow(url string) *Remote {
	ctx, stop := context.WithCancel(context.Background())
	r := &Remote{url: url, opts: &s.opts, stop: stop}
	r.loop = refresh.New(refresh.Options{Fetch: r.fetch, Failed: r.failed, Least: s.opts.Minimum, Most: maxBackoff, Spread: s.opts.Spread})
	go r.loop.Run(ctx)
	return r
}

func (s *Store) release(r *Remote) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.users--; r.users == 0 {
		delete(s.remote, r.url)
		r.stop()
	}
}

// Remote is the key set behind one URL.
type Remote struct {
	url   string
	opts  *Options
	users int // guarded by the Store
	stop  context.CancelFunc
	loop  *refresh.Loop

	current atomic.Pointer[fetched]
}

type fetched struct {
	set *jwt.KeySet
	at  time.Time
}

// Keys returns the newest keys, or nil while none are known or they are too
// old to be trusted.
func (r *Remote) Keys() *jwt.KeySet {
	f := r.current.Load()
	if f == nil || time.Since(f.at) > r.opts.MaxStale {
		return nil
	}
	return f.set
}

// Unknown asks for newer keys, for a token that none of them has signed. It does
// not wait.
func (r *Remote) Unknown() { r.loop.Ask() }

// fetch replaces the keys, where the document is a key set.
func (r *Remote) fetch(ctx context.Context) (good time.Duration, err error) {
	document, err := r.opts.Fetch(ctx, r.url)
	if err != nil {
		return 0, err
	}
	set, skipped, err := jwt.ParseKeys(document)
	if err != nil {
		return 0, err
	}
	for _, reason := range skipped {
		r.opts.Log.Warn("a key of a token issuer is not used", "url", r.url, "reason", reason)
	}
	r.current.Store(&fetched{set: set, at: time.Now()})
	return r.opts.Refresh, nil
}

func (r *Remote) failed(err error, again time.Duration) {
	r.opts.Log.Warn("keys of a token issuer could not be fetched", "url", r.url, "error", err, "again_in", again.String())
}
