package runtime

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/ai/bedrock"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/awsauth"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/jwks"
	"github.com/citoroute/citoroute/internal/proxy/limit"
	"github.com/citoroute/citoroute/internal/proxy/limit/redis"
	"github.com/citoroute/citoroute/internal/proxy/trace"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// Options are the surroundings of a Runtime.
type Options struct {
	// HTTP1 speaks HTTP/1.1 to backends. HTTP2 speaks HTTP/2 with prior
	// knowledge where the target has no TLS, else what ALPN chooses.
	HTTP1, HTTP2 exchange.Transport
	// Keys has the keys of token issuers that publish them; nil: none are
	// fetched, and policies that need them let nobody in.
	Keys *jwks.Store
	// AWS has the credentials of backends that are asked with an AWS identity;
	// nil: none are fetched, and such backends are not reached.
	AWS *awsauth.Store
	// LLMMemory is how many bytes of memory the bodies of all LLM requests and of
	// whole answers to them may take at once; 0: 1 GiB. A request that finds none
	// left is answered with 503.
	LLMMemory int64
	// Observer is told of every exchange; nil: nobody is.
	Observer Observer
	// LogContent says that the Observer logs what rules want to have logged of
	// conversations. Without it nothing is put down for it.
	LogContent bool
	// Sampler decides which requests are recorded in traces; nil: none is, and
	// what clients send of traces passes unchanged.
	Sampler *trace.Sampler
	// Panicked is told, on the goroutine in question, of a panic that is held back:
	// while a resource was compiled, which is refused then, or a copy of a request
	// was sent; nil: nobody is.
	Panicked func(v any)
	// Applied is called after each successful Apply, on its goroutine, when
	// the new snapshot already serves; nil: nobody is told.
	Applied func()
	// Now is time.Now where nil; Rand is math/rand/v2.Uint64 where nil.
	Now  func() time.Time
	Rand func() uint64
}

// Runtime is the live configuration. Its methods are safe for concurrent use.
type Runtime struct {
	opts   Options
	since  func(start time.Time) time.Duration
	refuse *refusals
	snap   atomic.Pointer[snapshot]
	states sync.Pool
	talks  sync.Pool // of conversations
	// copies limits the mirrored requests in flight.
	copies chan struct{}
	memory *memory
	// counters hold what is counted in memory, servers what is counted for
	// several proxies.
	counters *limit.Memory
	servers  redis.Servers
	signer   bedrock.Signer

	mu       sync.Mutex // guards what follows; requests never take it
	store    store
	registry *upstream.Registry
	routes   map[string]*route
	tables   tables
}

// New returns a Runtime with no configuration: every request gets 404.
func New(o Options) *Runtime {
	since := func(start time.Time) time.Duration { return o.Now().Sub(start) }
	if o.Now == nil {
		o.Now, since = time.Now, time.Since // which reads one clock, not two
	}
	if o.Rand == nil {
		o.Rand = rand.Uint64
	}
	if o.Panicked == nil {
		o.Panicked = func(any) {}
	}
	if o.Keys == nil {
		o.Keys = noKeys()
	}
	if o.AWS == nil {
		o.AWS = noIdentities(o.Rand)
	}
	rt := &Runtime{
		opts:     o,
		since:    since,
		refuse:   newRefusals(),
		copies:   make(chan struct{}, maxCopies),
		memory:   newMemory(o.LLMMemory),
		counters: limit.NewMemory(),
		store:    make(store),
		registry: upstream.NewRegistry(o.AWS),
		routes:   make(map[string]*route),
		tables:   make(tables),
	}
	rt.states.New = func() any { return new(state) }
	rt.talks.New = func() any { return new(conversation) }
	rt.snap.Store(&snapshot{ports: make(map[uint16]*port), listeners: make(map[string]*listener), limits: &limits{}})
	return rt
}

// Listeners returns the listeners to bind, sorted by name.
func (rt *Runtime) Listeners() []*ir.Listener {
	s := rt.snap.Load()
	out := make([]*ir.Listener, 0, len(s.listeners))
	for _, l := range s.listeners {
		out = append(out, l.ir)
	}
	slices.SortFunc(out, func(a, b *ir.Listener) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Secret returns the Secret of that name, or nil.
func (rt *Runtime) Secret(name string) *ir.Secret {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.store.secret(name)
}

// Resources returns every resource, in the order of ir.Types and then by name.
// Secrets are included: print them through encoding/json, never ir.Encode.
func (rt *Runtime) Resources() []ir.Resource {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	var out []ir.Resource
	for _, t := range ir.Types() {
		var part []ir.Resource
		for ref, r := range rt.store {
			if ref.Type == t {
				part = append(part, r)
			}
		}
		slices.SortFunc(part, func(a, b ir.Resource) int { return strings.Compare(a.ResourceName(), b.ResourceName()) })
		out = append(out, part...)
	}
	return out
}

// Paused returns, by the names of the LLM backends, how many models each is not
// asked for at the moment, because it failed or asked for a pause.
func (rt *Runtime) Paused() map[string]int {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.registry.Paused(rt.opts.Now())
}
