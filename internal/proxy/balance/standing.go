package balance

import (
	"sync"
	"sync/atomic"
	"time"
)

// How long a backend is passed over that has asked for it or failed too often.
const (
	// ejectAfter is how many failures in a row it takes.
	ejectAfter = 3
	// firstEjection is the first pause after them; firstCooling that of a backend
	// that asks for one and does not say how long. Both double up to maxGrown.
	firstEjection = 2 * time.Second
	firstCooling  = time.Second
	maxGrown      = time.Minute
	// minCooling and maxCooling hold what a backend asks for.
	minCooling = time.Second
	maxCooling = 10 * time.Minute
	// trial is how long one request may find out whether a pause has helped,
	// before the next one may.
	trial = 2 * time.Second
)

// Standing is how a backend has done lately: while others are there, requests
// go past one that asked for a pause or failed several times in a row. The
// zero value and nil stand well. It is safe for concurrent use; as long as all
// goes well it is only read.
//
// Every result comes with the time at which its attempt began: what began
// before a pause says nothing about how it is after.
type Standing struct {
	failures atomic.Int32 // in a row
	ejected  pause
	cooling  pause
}

// Open says that nothing speaks against an attempt, or that it is time to try
// again.
func (s *Standing) Open(now time.Time) bool { return s.until() <= nanos(now) }

// Cooling says that the backend has asked for a pause that is not over.
func (s *Standing) Cooling(now time.Time) bool {
	return s != nil && s.cooling.until.Load() > nanos(now)
}

// FreeAt is the end of the pause; the zero time: there is none.
func (s *Standing) FreeAt() time.Time {
	until := s.until()
	if until == 0 {
		return time.Time{}
	}
	return timeOf(until)
}

// until is FreeAt in [nanos]; 0: there is no pause.
func (s *Standing) until() int64 {
	if s == nil {
		return 0
	}
	return max(s.ejected.until.Load(), s.cooling.until.Load())
}

// Enter says whether an attempt may begin. Where a pause has just ended, one
// attempt is let through and decides for the others.
func (s *Standing) Enter(now time.Time) bool {
	if s == nil {
		return true
	}
	at := nanos(now)
	return s.Open(now) && s.ejected.enter(at) && s.cooling.enter(at)
}

// Admitted says that an attempt was let in by the backend, whatever its end.
func (s *Standing) Admitted(began time.Time) {
	if s != nil {
		s.cooling.end(nanos(began))
	}
}

// Succeeded says that an attempt ended well.
func (s *Standing) Succeeded(began time.Time) {
	if s == nil {
		return
	}
	if s.failures.Load() != 0 {
		s.failures.Store(0)
	}
	s.ejected.end(nanos(began))
	s.cooling.end(nanos(began))
}

// Failed says that an attempt failed through the fault of the backend.
func (s *Standing) Failed(began, now time.Time) {
	if s.failures.Add(1) >= ejectAfter || s.ejected.until.Load() != 0 {
		s.ejected.grow(began, now, firstEjection)
	}
}

// Throttled says that the backend has asked for a pause of d; 0: it did not
// say how long.
func (s *Standing) Throttled(began, now time.Time, d time.Duration) {
	if d == 0 {
		s.cooling.grow(began, now, firstCooling)
		return
	}
	s.cooling.extend(now, min(max(d, minCooling), maxCooling))
}

// maxLevel bounds how often a pause doubles.
const maxLevel = 10

// pause is a time for which a backend is passed over.
type pause struct {
	// until is its end in nanos; 0: there is none.
	until atomic.Int64

	mu sync.Mutex // guards what follows; only failures take it
	// since is when it began; due is its end, which trials put off in until.
	since, due int64
	level      int // how often it was begun in a row
}

// enter lets everyone in where there is no pause, and one where it is over.
func (p *pause) enter(now int64) bool {
	until := p.until.Load()
	return until == 0 || until <= now && p.until.CompareAndSwap(until, now+int64(trial))
}

// grow begins a pause that is twice as long as the one before. An attempt that
// began before the end of one belongs to the same trouble, which is not worse
// for the number of those who are in it.
func (p *pause) grow(began, now time.Time, first time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until.Load() != 0 && nanos(began) < p.due {
		return
	}
	p.set(now, min(first<<p.level, maxGrown))
	p.level = min(p.level+1, maxLevel)
}

// extend has the pause last for d from now at least.
func (p *pause) extend(now time.Time, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set(now, d)
}

func (p *pause) set(now time.Time, d time.Duration) {
	p.since = nanos(now)
	p.due = max(p.due, p.since+int64(d))
	p.until.Store(p.due)
}

// end ends a pause that began before an attempt that went well.
func (p *pause) end(began int64) {
	if p.until.Load() == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if began >= p.since {
		p.level, p.due = 0, 0
		p.until.Store(0)
	}
}
