package h1

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"
)

// poolKey is what connections are shared by.
type poolKey struct {
	addr string
	tls  *tls.Config
}

// pool keeps idle connections per target; the one that was used last is used
// first, so that the others can age and be closed.
type pool struct {
	mu      sync.Mutex
	targets map[poolKey]*target
	max     int
	timeout time.Duration
	wanted  func() bool
	timer   *time.Timer // closes and forgets what has aged; nil while there is nothing to age
}

// target is the pool's entry for one key. Connections in use refer to it too.
type target struct {
	idle []*upstream
	// busy counts the connections in use and those being made.
	busy int
	// http10 is until when the backend is taken to speak HTTP/1.0, an instant: no
	// chunked body may be sent to it then (RFC 9112 section 6.1).
	http10 atomic.Int64
}

// http10Memory is how long a response in HTTP/1.0 is remembered. Some servers send
// none but that by which they refuse a request.
const http10Memory = time.Minute

// heard notes the version of a response.
func (t *target) heard(http10 bool) {
	switch {
	case http10:
		t.http10.Store(int64(now().after(http10Memory)))
	case t.http10.Load() != 0:
		t.http10.Store(0)
	}
}

// speaks10 says that the backend has spoken HTTP/1.0 lately.
func (t *target) speaks10() bool {
	until := instant(t.http10.Load())
	return until != 0 && now() < until
}

func (p *pool) init(maxIdle int, timeout time.Duration, wanted func() bool) {
	p.targets, p.max, p.timeout, p.wanted = make(map[poolKey]*target), maxIdle, timeout, wanted
}

// get returns the target's entry and an idle connection, or nil if there is
// none or a fresh one is wanted. Each get is followed by one put.
func (p *pool) get(key poolKey, fresh bool) (u *upstream, t *target) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t = p.targets[key]; t == nil {
		t = new(target)
		p.targets[key] = t
	}
	t.busy++
	n := len(t.idle)
	if n == 0 || fresh {
		return nil, t
	}
	u = t.idle[n-1]
	t.idle[n-1] = nil
	t.idle = t.idle[:n-1]
	return u, t
}

// put ends what get began; it keeps u, if that is not nil, for later, or says
// that it is to be closed.
func (p *pool) put(t *target, u *upstream) (kept bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.busy--
	if p.timer == nil { // also where u is not kept: the entry ages, too
		p.timer = time.AfterFunc(p.timeout, p.expire)
	}
	if u == nil || len(t.idle) >= p.max || p.wanted() {
		return false
	}
	t.idle = append(t.idle, u)
	return true
}

// expire closes the connections that were idle for too long, which are the
// first of each target, and forgets targets that have none.
func (p *pool) expire() {
	limit := now() - instant(p.timeout)
	var old []*upstream
	p.mu.Lock()
	left := false
	for key, t := range p.targets {
		n := 0
		for n < len(t.idle) && t.idle[n].used <= limit {
			n++
		}
		old = append(old, t.idle[:n]...)
		rest := copy(t.idle, t.idle[n:])
		clear(t.idle[rest:])
		t.idle = t.idle[:rest]
		left = left || rest > 0
		if rest == 0 && t.busy == 0 {
			delete(p.targets, key)
		}
	}
	p.timer = nil
	if left {
		p.timer = time.AfterFunc(p.timeout/4, p.expire)
	}
	p.mu.Unlock()
	closeAll(old)
}

func (p *pool) closeIdle() {
	var idle []*upstream
	p.mu.Lock()
	for _, t := range p.targets {
		idle = append(idle, t.idle...)
		clear(t.idle)
		t.idle = t.idle[:0]
	}
	p.mu.Unlock()
	closeAll(idle)
}

func closeAll(conns []*upstream) {
	for _, u := range conns {
		_ = u.link.conn.Close()
	}
}
