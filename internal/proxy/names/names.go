// Package names finds the addresses of backends that are given by their name, and
// remembers them: a name server that is slow, or away, or wrong for a moment is not
// noticed by who knew the addresses before.
//
// It imports the standard library only.
package names

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// How long an answer serves. The resolver of the standard library does not tell
// how long it may.
const (
	// fresh is the time in which nothing is asked anew, and stale that after which
	// an answer is rather waited for than that the old one serves.
	fresh = 5 * time.Second
	stale = time.Minute
	// keep is how long the last good answer serves while none comes (RFC 8767
	// section 5), and keepGone the same while the answer is that there is no such
	// name: it may come from a server that has just begun.
	keep     = 24 * time.Hour
	keepGone = time.Minute
)

// How names are looked up.
const (
	lookupTimeout = 5 * time.Second
	// patience is how long an answer is waited for where there is an old one.
	patience = 500 * time.Millisecond
	// pause is the time from a lookup that failed to the next.
	pause = time.Second
	// maxLookups is how many names are looked up at a time.
	maxLookups = 16
	// maxAddresses is how many addresses of a name are used.
	maxAddresses = 32
)

// Options are what a Cache needs. The zero value of every field is usable.
type Options struct {
	// Lookup returns the addresses of a name, IPv4 and IPv6, in the order in which
	// they are to be tried; nil: the system's resolver is asked.
	Lookup func(ctx context.Context, name string) ([]netip.Addr, error)
	// Log receives what a name server does not answer; nil discards it.
	Log *slog.Logger
}

// Cache remembers the addresses of names. It is safe for concurrent use.
type Cache struct {
	opts  Options
	slots chan struct{} // of lookups
	mu    sync.Mutex    // guards what follows
	names map[string]*name
}

// name is what is known of one. The Cache's mu guards it.
type name struct {
	addresses []netip.Addr // nil: none yet
	answered  time.Time    // when the addresses came
	err       error        // of the last lookup
	failed    time.Time    // when it came
	turn      int          // with which of its addresses the next caller begins
	used      time.Time
	lookup    *lookup // nil: none is under way
}

// lookup is one that is under way.
type lookup struct {
	began time.Time
	done  chan struct{} // closed when the name has what it brought
}

// New returns a Cache that knows nothing yet.
func New(opts Options) *Cache {
	if opts.Lookup == nil {
		opts.Lookup = func(ctx context.Context, name string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", name)
		}
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	return &Cache{opts: opts, slots: make(chan struct{}, maxLookups), names: make(map[string]*name)}
}

// Find returns the addresses of a host, in the order in which they are to be
// tried, which changes from one call to the next: one at least, or an error. It
// waits no longer than ctx. A nil Cache remembers nothing.
func (c *Cache) Find(ctx context.Context, host string) ([]netip.Addr, error) {
	if c == nil {
		c = New(Options{})
	}
	c.mu.Lock()
	n := c.get(host)
	wait := c.begin(host, n) //nolint:contextcheck // a lookup outlives the request that it began with.
	old := n.addresses != nil
	c.mu.Unlock()
	if wait != nil {
		wait.await(ctx, old)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case n.usable(time.Now()):
		n.turn++
		return order(n.addresses, n.turn), nil
	case n.err != nil:
		return nil, n.err
	}
	return nil, context.Cause(ctx)
}

// get returns what is known of a host. For a new one, those that nobody has asked
// for in a long time are forgotten. c.mu is held.
func (c *Cache) get(host string) *name {
	n := c.names[host]
	now := time.Now()
	if n == nil {
		for old, o := range c.names {
			if now.Sub(o.used) > keep {
				delete(c.names, old)
			}
		}
		n = new(name)
		c.names[host] = n
	}
	n.used = now
	return n
}

// begin has the name looked up where that is due. It returns the lookup that is to
// be waited for, or nil. c.mu is held.
func (c *Cache) begin(host string, n *name) *lookup {
	now := time.Now()
	age := now.Sub(n.answered)
	if n.addresses != nil && age < fresh {
		return nil
	}
	if n.lookup == nil && now.Sub(n.failed) >= pause {
		n.lookup = &lookup{began: now, done: make(chan struct{})}
		go c.look(host, n)
	}
	if n.addresses != nil && age < stale {
		return nil
	}
	return n.lookup
}

// await waits for its end: where there is an old answer, not for long.
func (l *lookup) await(ctx context.Context, old bool) {
	if old {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, l.began.Add(patience))
		defer cancel()
	}
	select {
	case <-l.done:
	case <-ctx.Done():
	}
}

// look looks a name up. It belongs to no request: others may wait for it, too.
func (c *Cache) look(host string, n *name) {
	c.slots <- struct{}{}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	addresses, err := c.ask(ctx, host)
	cancel()
	<-c.slots
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if err != nil {
		if n.err == nil { // once, not for each lookup
			c.opts.Log.Warn("A backend's name cannot be looked up", "name", host, "error", err, "addressesKept", len(n.addresses))
		}
		n.err, n.failed = err, now
	} else {
		n.addresses, n.answered, n.err = addresses, now, nil
	}
	close(n.lookup.done)
	n.lookup = nil
}

// ask asks for a name that is complete. Only a Service may be named by a part of
// its name: a resolver that completes any other would ask, in a cluster, for
// api.example.com.svc.cluster.local first, and whoever has a namespace "com" may
// answer.
func (c *Cache) ask(ctx context.Context, host string) (addresses []netip.Addr, err error) {
	short := strings.Count(host, ".") < 2 || strings.HasSuffix(host, ".svc")
	err = &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	if strings.Contains(host, ".") {
		addresses, err = c.opts.Lookup(ctx, strings.TrimSuffix(host, ".")+".")
	}
	if short && isGone(err) && !strings.HasSuffix(host, ".") {
		addresses, err = c.opts.Lookup(ctx, host)
	}
	if err != nil {
		return nil, err
	}
	if len(addresses) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	addresses = addresses[:min(len(addresses), maxAddresses)]
	for i, a := range addresses {
		addresses[i] = a.Unmap()
	}
	return addresses, nil
}

func isGone(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// usable says that the addresses of a name may be used.
func (n *name) usable(now time.Time) bool {
	limit := keep
	if isGone(n.err) {
		limit = keepGone
	}
	return n.addresses != nil && now.Sub(n.answered) < limit
}

// order returns addresses in the order of a turn: each family from another one
// on, and the families by turns, that of the first one first (RFC 8305 section 4).
func order(addresses []netip.Addr, turn int) []netip.Addr {
	var same, other []netip.Addr
	for _, a := range addresses {
		if a.Is4() == addresses[0].Is4() {
			same = append(same, a)
		} else {
			other = append(other, a)
		}
	}
	out := make([]netip.Addr, 0, len(addresses))
	for i := range max(len(same), len(other)) {
		if i < len(same) {
			out = append(out, same[(i+turn)%len(same)])
		}
		if i < len(other) {
			out = append(out, other[(i+turn)%len(other)])
		}
	}
	return out
}
