package redis

import (
	"sync"
	"time"
)

const (
	maxFailures = 5           // in a row, before a server counts as down
	pause       = time.Second // between two questions to a server that is down
)

// breaker keeps requests from waiting for a server that is not there.
type breaker struct {
	mu       sync.Mutex
	failures int
	until    time.Time
}

// allow says whether to ask the server: always while it answers, else one
// request each second.
func (b *breaker) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < maxFailures {
		return true
	}
	if now.Before(b.until) {
		return false
	}
	b.until = now.Add(pause)
	return true
}

// done notes how a question went.
func (b *breaker) done(err error, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.failures = 0
		return
	}
	if b.failures++; b.failures == maxFailures {
		b.until = now.Add(pause)
	}
}
