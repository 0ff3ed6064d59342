package limit

import (
	"errors"
	"sync"
	"time"
)

// maxCounters is how many counters a Memory holds. Keys are made of configured
// names, never of what a client sends, so it takes a large configuration to get
// there.
const maxCounters = 1 << 18

// ErrFull says that a Memory has no room for another counter.
var ErrFull = errors.New("too many counters of limits are in use")

// Memory counts in this process. One lock guards it: a reservation touches
// several counters at once, and holds it for less than a microsecond.
type Memory struct {
	mu       sync.Mutex
	counters map[Key]*counter
	// sweepAt is how many counters there may be before those that count
	// nothing any more are dropped.
	sweepAt, most int
}

// counter is a counter as it stood when it was last touched.
type counter struct {
	window Window
	span   Span
	count  Count
}

// NewMemory returns a store with nothing counted.
func NewMemory() *Memory {
	return &Memory{counters: make(map[Key]*counter), sweepAt: 1024, most: maxCounters}
}

// Reserve implements [Store]. The error is ErrFull.
func (m *Memory) Reserve(charges []Charge, now time.Time) (taken bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken = true
	for i := range charges {
		c := &charges[i]
		at, err := m.get(c.Key, c.Window, now)
		if err != nil {
			return false, err
		}
		c.Start, c.Count = at.span.Start, at.count
		taken = taken && c.fits(now)
	}
	if !taken {
		return false, nil
	}
	for i := range charges {
		c := &charges[i]
		at := m.counters[c.Key]
		at.count.Current = add(at.count.Current, c.Amount)
		c.Count = at.count
	}
	return true, nil
}

// Settle implements [Store]. The error is ErrFull.
func (m *Memory) Settle(changes []Change, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range changes {
		c := &changes[i]
		at, err := m.get(c.Key, c.Window, now)
		if err != nil {
			return err
		}
		switch c.Start {
		case at.span.Start:
			at.count.Current = max(add(at.count.Current, c.Delta), 0)
		case at.before():
			at.count.Previous = max(add(at.count.Previous, c.Delta), 0)
		}
	}
	return nil
}

// Len returns how many counters there are.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.counters)
}

// get returns a counter as it stands now. m.mu is held.
func (m *Memory) get(key Key, w Window, now time.Time) (*counter, error) {
	if at := m.counters[key]; at != nil {
		at.roll(now)
		return at, nil
	}
	if len(m.counters) >= min(m.sweepAt, m.most) {
		m.sweep(now)
	}
	if len(m.counters) >= m.most {
		return nil, ErrFull
	}
	at := &counter{window: w, span: w.At(now)}
	m.counters[key] = at
	return at, nil
}

// sweep drops the counters that count nothing any more. It runs each time that
// their number has doubled, so that its cost per counter is constant.
func (m *Memory) sweep(now time.Time) {
	for key, at := range m.counters {
		if at.roll(now); at.count == (Count{}) {
			delete(m.counters, key)
		}
	}
	m.sweepAt = max(1024, 2*len(m.counters))
}

// roll moves a counter to the window of now. A clock that goes back leaves it
// where it is, or takes what counts along where it goes back by more than a window:
// it would count for as long as the clock needs to get there again.
func (c *counter) roll(now time.Time) {
	at := now.Unix()
	if at < c.span.Start-(c.span.End-c.span.Start) {
		c.span = c.window.At(now)
		return
	}
	if at < c.span.End {
		return
	}
	next := c.window.At(now)
	if c.window.Slides() && next.Start == c.span.End {
		c.count = Count{Previous: c.count.Current}
	} else {
		c.count = Count{}
	}
	c.span = next
}

// before is the start of the window before the current one; -1 where it does
// not count.
func (c *counter) before() int64 {
	if !c.window.Slides() {
		return -1
	}
	return c.span.Start - c.window.seconds()
}
