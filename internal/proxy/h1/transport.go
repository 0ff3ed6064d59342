package h1

import (
	"context"
	"net"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Options configures a Transport. A zero field means its default.
type Options struct {
	// MaxIdle is how many idle connections are kept per target (256).
	MaxIdle int
	// IdleTimeout is how long an idle connection is kept (60 s). It should be
	// shorter than the backends' own.
	IdleTimeout time.Duration
	// HeadBytes is the longest response head, in bytes (64 KiB).
	HeadBytes int
	// Fields is the largest number of fields in a head (256).
	Fields int
	// Interims is how many informational responses may precede a response (32).
	Interims int
	// ContinueTimeout is how long a backend may take to answer
	// "Expect: 100-continue" before the body is sent regardless (1 s).
	ContinueTimeout time.Duration
	// SlowAfter is the wait for a backend after which the client is watched, so
	// that the request ends when the client leaves (50 ms).
	SlowAfter time.Duration
	// WriteTimeout is how long a backend may take to accept 1 KiB, and its machine
	// to acknowledge what was sent (30 s).
	WriteTimeout time.Duration
	// Dial makes connections; nil means a net.Dialer. ctx ends at
	// Target.ConnectTimeout.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Wanted says that Dial waits until connections are closed: then none is kept
	// that carries nothing. nil: it never does.
	Wanted func() bool
}

// Transport is the client half, an exchange.Transport: it sends requests to
// backends over pooled connections. It is safe for concurrent use.
type Transport struct {
	opt  Options
	pool pool
}

// NewTransport returns a Transport with no connections.
func NewTransport(opt Options) *Transport {
	orDefault(&opt.MaxIdle, 256)
	orDefault(&opt.IdleTimeout, 60*time.Second)
	orDefault(&opt.HeadBytes, 64<<10)
	orDefault(&opt.Fields, 256)
	orDefault(&opt.Interims, 32)
	orDefault(&opt.ContinueTimeout, time.Second)
	orDefault(&opt.SlowAfter, 50*time.Millisecond)
	orDefault(&opt.WriteTimeout, 30*time.Second)
	if opt.Dial == nil {
		opt.Dial = new(net.Dialer).DialContext
	}
	if opt.Wanted == nil {
		opt.Wanted = func() bool { return false }
	}
	t := &Transport{opt: opt}
	t.pool.init(opt.MaxIdle, opt.IdleTimeout, opt.Wanted)
	return t
}

// CloseIdle closes every idle connection.
func (t *Transport) CloseIdle() { t.pool.closeIdle() }

// RoundTrip implements exchange.Transport. A request that met a pooled
// connection which its backend had closed is sent once more, over a fresh
// connection, if no byte of a response came, the method is idempotent and the
// whole request is still at hand (RFC 9112 section 9.3.1).
func (t *Transport) RoundTrip(ex *exchange.Exchange, to *exchange.Target) error {
	if f := t.roundTrip(ex, to); f != nil {
		return f
	}
	return nil
}
