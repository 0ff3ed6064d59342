package h1

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

var (
	errTimeout  = exchange.ErrReadTimeout
	errProtocol = errors.New("the backend chose a protocol that is not HTTP/1.1")
)

// upstream is one connection to a backend.
type upstream struct {
	transport *Transport
	target    *target
	link      link
	used      instant // when the last wait for bytes from it began, or a slow one ended
	reused    bool

	// What follows belongs to the request that is being served.
	in     window
	head   responseHead
	body   responseBody
	client exchange.Client
	// noInterims says that the client gets no informational responses.
	noInterims bool
	// limit is when the wait for a head ends; idle limits each wait for body
	// bytes, until all of them.
	limit     instant
	idle      time.Duration
	until     instant
	unwatch   func()
	cancelled atomic.Bool
	upload    *upload
}

// dial connects to a target and completes the TLS handshake.
func (t *Transport) dial(to *exchange.Target, entry *target) (*upstream, error) {
	ctx, cancel := context.WithTimeout(context.Background(), to.ConnectTimeout)
	defer cancel()
	conn, err := t.opt.Dial(ctx, "tcp", to.Addr)
	if err != nil {
		return nil, err
	}
	limitSilence(conn, t.opt.WriteTimeout)
	if to.TLS != nil {
		secure := tls.Client(conn, serverName(to))
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		if p := secure.ConnectionState().NegotiatedProtocol; p != "" && p != "http/1.1" {
			_ = secure.Close()
			return nil, errProtocol
		}
		conn = secure
	}
	u := &upstream{transport: t, target: entry}
	u.link.init(conn)
	u.body.init(u)
	return u, nil
}

// serverName makes the host of the address the name to verify, where the
// configuration has none.
func serverName(to *exchange.Target) *tls.Config {
	if to.TLS.ServerName != "" || to.TLS.InsecureSkipVerify {
		return to.TLS
	}
	cfg := to.TLS.Clone()
	cfg.ServerName = to.Addr
	if host, _, err := net.SplitHostPort(to.Addr); err == nil {
		cfg.ServerName = host
	}
	return cfg
}

// start prepares u for a request.
func (u *upstream) start(ex *exchange.Exchange, to *exchange.Target) {
	u.client, u.limit, u.idle, u.until = ex.Client, instantOf(to.Deadline), to.IdleTimeout, never
	u.noInterims = to.NoInterims
	u.cancelled.Store(false)
	u.unwatch, u.upload = nil, nil
	u.in = window{buf: u.lend(smallBuffer)}
}

// lend returns memory that lives as long as the strings of the exchange.
func (u *upstream) lend(n int) []byte {
	if lender, ok := u.client.(exchange.Lender); ok {
		return lender.Lend(n)
	}
	return make([]byte, n)
}

// receive reads at least one byte by limit. When that takes a while the client
// is watched, so that a request whose client has left ends too.
func (u *upstream) receive(p []byte, limit instant) (int, error) {
	if u.unwatch == nil {
		if err := u.armSlow(limit); err != nil {
			return 0, u.verdict(err)
		}
		n, err := u.link.read(p)
		if !timedOut(err) || n > 0 {
			return n, u.verdict(err)
		}
	}
	return u.receiveSlowly(p, limit)
}

// armSlow arms the deadline after which a wait counts as slow: it lets one
// stand that is between one and two times SlowAfter away.
func (u *upstream) armSlow(limit instant) error {
	slow := u.transport.opt.SlowAfter
	u.used = now()
	return u.link.armRead(min(u.used.after(2*slow), limit), slow)
}

// receiveSlowly is receive after the first wait ran out.
func (u *upstream) receiveSlowly(p []byte, limit instant) (int, error) {
	if now() >= limit {
		return 0, errTimeout
	}
	if err := u.link.armRead(limit, 0); err != nil {
		return 0, u.verdict(err)
	}
	u.watch()
	if u.cancelled.Load() {
		return 0, exchange.ErrClientGone
	}
	n, err := u.link.read(p)
	u.used = now()
	if timedOut(err) && !u.cancelled.Load() {
		err = errTimeout
	}
	return n, u.verdict(err)
}

// watch has the wait end when the client leaves.
func (u *upstream) watch() {
	if u.unwatch != nil || u.client == nil {
		return
	}
	u.unwatch = u.client.OnCancel(func() {
		u.cancelled.Store(true)
		_ = u.link.conn.SetDeadline(past())
	})
}

// verdict names the true cause of a failed read.
func (u *upstream) verdict(err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case u.cancelled.Load():
		return exchange.ErrClientGone
	}
	if up := u.upload; up != nil {
		if cause := up.clientError(); cause != nil {
			return &clientError{cause}
		}
	}
	return err
}

// endWatch ends the watch of the client; nothing touches u afterwards.
func (u *upstream) endWatch() {
	if u.unwatch != nil {
		u.unwatch()
		u.unwatch = nil
		u.link.readBy, u.link.writeBy = unarmed, unarmed
	}
}

// release ends the request: the connection is kept if it is fit for another
// one, or closed; reset, where the exchange was not completed.
func (u *upstream) release(fit, reset bool) {
	u.endWatch()
	if u.upload != nil && !u.upload.join(u) {
		fit, reset = false, true
	}
	if u.cancelled.Load() || u.in.len() > 0 {
		fit = false
	}
	u.upload, u.client, u.in = nil, nil, window{}
	conn := u
	if !fit {
		conn = nil
	}
	switch kept := u.transport.pool.put(u.target, conn); {
	case kept: // u is another's already
	case reset:
		u.link.reset()
	default:
		_ = u.link.conn.Close()
	}
}

// moreHead reads on until a head can be judged anew: with the end of a line, or
// with too much. Parsing it for each byte of a slow backend would cost the
// square of its length.
func (u *upstream) moreHead() error {
	for looked := u.in.len(); ; {
		if in := &u.in; in.w == len(in.buf) {
			to := in.buf
			if in.r == 0 {
				to = u.lend(2 * len(in.buf))
			}
			*in = window{buf: to, w: copy(to, in.bytes())}
		}
		n, err := u.receive(u.in.buf[u.in.w:], u.limit)
		u.in.w += n
		if n == 0 && err != nil {
			return err
		}
		b := u.in.bytes()
		if len(b) >= u.transport.opt.HeadBytes || bytes.ContainsAny(b[max(looked-1, 0):], "\r\n") {
			return nil
		}
		looked = len(b)
	}
}

// responseBody is the Response.Body of an exchange.
type responseBody struct {
	bodyReader
	up *upstream
	// keep says that the connection may be used again after the body's end.
	keep bool
	open bool
}

func (b *responseBody) init(u *upstream) {
	b.up, b.in, b.wait, b.room = u, &u.in, b.waitBackend, b.makeRoom
}

// Close implements exchange.Body.
func (b *responseBody) Close() error {
	if b.open {
		b.open = false
		b.up.release(b.keep && b.err == io.EOF, b.err != io.EOF)
	}
	return nil
}

func (b *responseBody) waitBackend(p []byte) (int, error) {
	limit := b.up.until
	if b.up.idle > 0 {
		limit = min(limit, now().after(b.up.idle))
	}
	return b.up.receive(p, limit)
}

// LimitReads implements exchange.ReadLimiter.
func (b *responseBody) LimitReads(idle time.Duration, until time.Time) {
	b.up.idle, b.up.until = idle, instantOf(until)
}

func (b *responseBody) makeRoom() {
	in := b.in
	in.rewind()
	if len(in.buf)-in.w < 1<<10 {
		*in = window{buf: b.up.lend(smallBuffer)}
	}
}

// clientError is a failure that the client caused.
type clientError struct{ err error }

func (e *clientError) Error() string { return e.err.Error() }
func (e *clientError) Unwrap() error { return e.err }

// isDeadline says whether the Target's time was up.
func isDeadline(err error) bool {
	return errors.Is(err, errTimeout) || errors.Is(err, os.ErrDeadlineExceeded)
}
