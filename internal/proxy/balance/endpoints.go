package balance

import (
	"slices"
	"sync/atomic"
	"time"
)

// Endpoint is one address and what is known of it. It outlives the Set that
// it is in.
type Endpoint struct {
	// Addr is host:port.
	Addr string

	inflight atomic.Int64
	// until is the end of the time for which the endpoint is passed over, in
	// nanos; failures counts those in a row.
	until    atomic.Int64
	failures atomic.Int64
}

// Inflight is the number of exchanges that use the endpoint now.
func (e *Endpoint) Inflight() int64 { return e.inflight.Load() }

// Passed says that the endpoint is passed over at that time.
func (e *Endpoint) Passed(now time.Time) bool { return e.until.Load() > nanos(now) }

// Set is the endpoints of a backend at one time. It is immutable but for what
// its endpoints learn, and safe for concurrent use.
type Set struct{ list []*Endpoint }

// NewSet returns a set of addresses (host:port). Endpoints that old, which may
// be nil, has too are taken over with what is known of them.
func NewSet(addrs []string, old *Set) *Set {
	known := make(map[string]*Endpoint, old.Len())
	if old != nil {
		for _, e := range old.list {
			known[e.Addr] = e
		}
	}
	s := &Set{list: make([]*Endpoint, 0, len(addrs))}
	seen := make(map[string]bool, len(addrs))
	for _, a := range addrs {
		if seen[a] {
			continue
		}
		seen[a] = true
		e := known[a]
		if e == nil {
			e = &Endpoint{Addr: a}
		}
		s.list = append(s.list, e)
	}
	return s
}

// Len returns the number of endpoints; a nil Set has none.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.list)
}

// All returns the endpoints; do not change the slice.
func (s *Set) All() []*Endpoint {
	if s == nil {
		return nil
	}
	return s.list
}

// Pick returns the less loaded of two endpoints chosen by the random bits, or
// nil where there is none. Endpoints in tried and those passed over at now are
// left out as long as others remain.
func (s *Set) Pick(random uint64, now time.Time, tried []*Endpoint) *Endpoint {
	n := uint64(s.Len())
	switch n {
	case 0:
		return nil
	case 1:
		return s.list[0]
	}
	// Both halves of random are scaled to an index (Lemire's reduction).
	i := int((random >> 32) * n >> 32)
	j := int((random & 0xffffffff) * (n - 1) >> 32)
	if j >= i {
		j++
	}
	a, b := s.list[i], s.list[j]
	switch goodA, goodB := usable(a, now, tried), usable(b, now, tried); {
	case goodA && goodB:
		if b.Inflight() < a.Inflight() {
			return b
		}
		return a
	case goodA:
		return a
	case goodB:
		return b
	}
	return s.scan(i, now, tried)
}

// scan returns the first usable endpoint from i on; failing that one that was
// not tried; failing that the i-th.
func (s *Set) scan(i int, now time.Time, tried []*Endpoint) *Endpoint {
	var fresh *Endpoint
	for k := range s.list {
		e := s.list[(i+k)%len(s.list)]
		if usable(e, now, tried) {
			return e
		}
		if fresh == nil && !slices.Contains(tried, e) {
			fresh = e
		}
	}
	if fresh != nil {
		return fresh
	}
	return s.list[i]
}

func usable(e *Endpoint, now time.Time, tried []*Endpoint) bool {
	return !e.Passed(now) && !slices.Contains(tried, e)
}

// Others says that at now there is another endpoint than e to choose, which is
// neither passed over nor in tried.
func (s *Set) Others(e *Endpoint, now time.Time, tried []*Endpoint) bool {
	return slices.ContainsFunc(s.All(), func(o *Endpoint) bool { return o != e && usable(o, now, tried) })
}

// Acquire counts one more exchange on e.
func (e *Endpoint) Acquire() { e.inflight.Add(1) }

// Release ends what Acquire began.
func (e *Endpoint) Release() { e.inflight.Add(-1) }

// Succeeded says that e could be reached.
func (e *Endpoint) Succeeded() {
	if e.failures.Load() != 0 {
		e.failures.Store(0)
	}
}

// How long a failed endpoint is passed over: it doubles with every failure in
// a row, of which those do not count that come while it is passed over. They are
// of attempts that were under way, and belong to the same trouble.
const (
	firstPause = time.Second
	maxPause   = 30 * time.Second
)

// Failed says that e could not be reached. It is passed over for a while,
// unless more than half of the set were then: that many failures say more
// about the network, and the remaining endpoints would have to bear it all.
func (s *Set) Failed(e *Endpoint, now time.Time) {
	if e.Passed(now) {
		return
	}
	passed := 1
	for _, o := range s.list {
		if o != e && o.Passed(now) {
			passed++
		}
	}
	if 2*passed > len(s.list) {
		return
	}
	n := min(e.failures.Add(1), 6)
	e.until.Store(nanos(now.Add(min(firstPause<<(n-1), maxPause))))
}
