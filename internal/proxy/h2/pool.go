package h2

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// http2Proto is HTTP/2's ALPN name.
const http2Proto = "h2"

// errHTTP1 says that the backend speaks HTTP/1.1.
var errHTTP1 = errors.New("the backend chose http/1.1")

// errNoStream says that others took every stream of every connection.
var errNoStream = errors.New("no stream is free on any connection")

// pool holds the connections to one address under one TLS identity. Requests
// share connections as far as the backend's stream limit allows, and one
// connection is dialled at a time: those who wait for it share it.
type pool struct {
	transport *Transport
	key       poolKey
	config    *tls.Config

	mu       sync.Mutex
	conns    []*connection // replaced and not changed, but for what is appended
	added    int           // how many there have been
	dialling *dialling     // nil: no dial is under way
	closed   bool
	// http1 says that the backend speaks HTTP/1.1, asked that a request has
	// wanted to know that since lapse looked last.
	http1, asked bool
	lapsing      *time.Timer // calls lapse; nil: the backend was never found so
}

// dialling is a dial under way.
type dialling struct {
	done chan struct{} // closed at the end
	err  error         // valid then
}

func newPool(t *Transport, key poolKey) *pool {
	p := &pool{transport: t, key: key}
	if key.tls != nil {
		p.config = key.tls.Clone()
		if len(p.config.NextProtos) == 0 {
			p.config.NextProtos = []string{http2Proto, "http/1.1"}
		}
	}
	return p
}

// maxRounds is how many connections acquire sees filled up by others before it
// gives up.
const maxRounds = 64

// maxBarren is how many connections acquire sees that take nothing, or end at
// once, before it gives up.
const maxBarren = 3

// acquire returns a connection with a stream reserved. reused says that it
// was there before. The error is errHTTP1, ctx's cause or the dial's.
func (p *pool) acquire(ctx context.Context, timeout time.Duration) (conn *connection, reused bool, err error) {
	barrens := 0
	for round := range maxRounds {
		p.mu.Lock()
		if p.http1 {
			p.asked = true
			p.mu.Unlock()
			return nil, false, errHTTP1
		}
		conns, added := p.conns, p.added
		p.mu.Unlock()
		conn, barren := reserve(conns)
		if conn != nil {
			return conn, round == 0, nil
		}
		if barren != nil {
			_ = barren.Close() // or there would be one more with each request
		}
		if barren != nil || round > 0 && ended(conns) {
			if barrens++; barrens == maxBarren {
				return nil, false, errNoStream
			}
		}
		p.mu.Lock()
		if p.added != added {
			p.mu.Unlock()
			continue
		}
		d := p.dialling
		if d == nil {
			d = &dialling{done: make(chan struct{})}
			p.dialling = d
			go p.dial(context.WithoutCancel(ctx), d, timeout)
		}
		p.mu.Unlock()
		select {
		case <-d.done:
			if d.err != nil {
				return nil, false, d.err
			}
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
	return nil, false, errNoStream
}

// ended says that none of the connections is alive.
func ended(conns []*connection) bool {
	return !slices.ContainsFunc(conns, func(conn *connection) bool { return conn.Err() == nil })
}

// reserve takes a stream on a connection that has one free, the newest first
// so that the others may go idle. Where there is none, barren is a connection
// that takes no stream though it carries none: it is ending, or its backend
// allows zero (RFC 9113 section 6.5.2). It may call check: no lock is held.
func reserve(conns []*connection) (conn, barren *connection) {
	for _, conn := range slices.Backward(conns) {
		switch {
		case conn.Reserve() == nil:
			return conn, nil
		case conn.Err() == nil && conn.InFlight() == 0 && conn.Available() == 0:
			barren = conn
		}
	}
	return nil, barren
}

// dial adds a connection. It belongs to no request: the one that wanted it
// may be gone before others use it.
func (p *pool) dial(ctx context.Context, d *dialling, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := p.transport.dial(ctx, p.key, p.config)
	p.mu.Lock()
	p.dialling = nil
	switch {
	case err != nil:
	case conn == nil:
		p.learnHTTP1()
		err = errHTTP1
	case p.closed:
		err = net.ErrClosed
		_ = conn.Close()
	default:
		p.conns = append(p.conns, conn)
		p.added++
	}
	p.mu.Unlock()
	if err != nil {
		p.transport.forget(p)
	} else {
		conn.SetStateHook(p.check) // without p.mu: it may be called at once
	}
	d.err = err
	close(d.done)
}

// http1Memory is how long it is remembered that a backend speaks HTTP/1.1, which
// nobody asks any more: most are gone, and their configuration with them.
const http1Memory = 10 * time.Minute

// learnHTTP1 notes that the backend speaks HTTP/1.1. p.mu is held.
func (p *pool) learnHTTP1() {
	p.http1, p.asked = true, true
	if p.lapsing == nil {
		p.lapsing = time.AfterFunc(http1Memory, p.lapse)
	} else {
		p.lapsing.Reset(http1Memory)
	}
}

// lapse has the pool forgotten if nobody has asked since it was called last.
func (p *pool) lapse() {
	p.mu.Lock()
	keep := p.http1 && p.asked && !p.closed
	p.http1, p.asked = keep, false
	if keep {
		p.lapsing.Reset(http1Memory)
	}
	p.mu.Unlock()
	if !keep {
		p.transport.forget(p)
	}
}

// check drops a connection that can take no more requests for good.
func (p *pool) check(conn *http.ClientConn) {
	if conn.Err() == nil {
		return
	}
	p.drop(conn)
}

// drop has no more requests put on a connection.
func (p *pool) drop(conn *http.ClientConn) {
	p.mu.Lock()
	p.conns = slices.DeleteFunc(slices.Clone(p.conns), func(c *connection) bool { return c.ClientConn == conn })
	empty := len(p.conns) == 0
	p.mu.Unlock()
	if empty {
		p.transport.forget(p)
	}
}

// doubt is told that a request has waited in vain since then. A connection of
// which nothing was heard meanwhile may lead nowhere any more, and the library
// needs half a minute to find out: the next requests go on another one. What is
// under way on it stays. It ends when it was idle for long, or by a PING.
func (p *pool) doubt(conn *connection, since time.Time) {
	if !conn.heard.since(since) {
		p.drop(conn.ClientConn)
	}
}

// idle are the connections that carry nothing.
func (p *pool) idle() (out []*connection) {
	p.mu.Lock()
	conns := p.conns
	p.mu.Unlock()
	for _, conn := range conns {
		if conn.Err() == nil && conn.InFlight() == 0 {
			out = append(out, conn)
		}
	}
	return out
}

// recheck has the next request ask the backend again which protocol it
// speaks.
func (p *pool) recheck() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.http1 = false
}

func (p *pool) close() {
	p.mu.Lock()
	conns := p.conns
	p.conns, p.closed = nil, true
	p.mu.Unlock()
	for _, conn := range conns {
		_ = conn.Close()
	}
}
