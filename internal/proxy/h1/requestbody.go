package h1

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

var (
	errStopped    = errors.New("reading of the request body was stopped")
	errBodyClosed = errors.New("the request body was closed")
)

// requestBody is the Request.Body of an exchange. A Transport may read it on
// another goroutine than the connection's own while the response is written.
type requestBody struct {
	bodyReader
	conn *serverConn
	// expect says that the client still waits for 100.
	expect  atomic.Bool
	stopped atomic.Bool
	done    atomic.Bool  // the end was seen
	broken  atomic.Bool  // the body is not valid or the client failed
	rest    atomic.Int64 // bytes to come, where that is known, or -1
	closed  bool
	// budget and moved are the time left for the current minProgress bytes and
	// how many of them have come.
	budget time.Duration
	moved  int
}

// init sets what stays the same for all requests of a connection.
func (b *requestBody) init(c *serverConn) {
	b.conn, b.in, b.wait, b.room = c, &c.in, b.waitClient, c.bodyRoom
}

func (b *requestBody) start(f framing, q *exchange.Request) {
	b.reset(f, q.ContentLength, &q.Trailer)
	b.expect.Store(q.ExpectContinue)
	b.stopped.Store(false)
	b.broken.Store(false)
	b.done.Store(f == framedNone)
	b.rest.Store(q.ContentLength)
	b.closed, b.budget, b.moved = false, b.conn.server.timeouts.Body, 0
}

// Read implements exchange.Body. The first one asks a client that waits for 100
// to send the body.
func (b *requestBody) Read(p []byte) (int, error) {
	switch {
	case b.closed:
		return 0, errBodyClosed
	case b.stopped.Load():
		return 0, errStopped
	case b.expect.Load():
		if b.Buffered() == 0 { // else it has begun to send, unasked
			if err := b.conn.sendContinue(); err != nil {
				return 0, err
			}
		}
		b.expect.Store(false)
	}
	n, err := b.bodyReader.Read(p)
	if b.framing == framedLength {
		b.rest.Store(b.left)
	}
	switch {
	case err == io.EOF:
		b.done.Store(true)
	case err != nil:
		b.broken.Store(true)
	}
	return n, err
}

// Close implements exchange.Body. The connection deals with what is left when
// the exchange is over.
func (b *requestBody) Close() error {
	b.closed = true
	return nil
}

// waitClient reads from the client. The time that it takes is limited per
// minProgress bytes, not per byte, or a client could send one now and then.
func (b *requestBody) waitClient(p []byte) (int, error) {
	l, limit := &b.conn.link, b.conn.server.timeouts.Body
	began := now()
	if err := l.armRead(began.after(b.budget), min(slackOf(limit), b.budget/4)); err != nil {
		return 0, err
	}
	if b.stopped.Load() {
		return 0, errStopped
	}
	n, err := l.read(p)
	if err != nil && b.stopped.Load() {
		return n, errStopped
	}
	b.budget -= time.Duration(now() - began)
	if b.moved += n; b.moved >= minProgress {
		b.budget, b.moved = limit, 0
	}
	b.budget = max(b.budget, time.Millisecond)
	return n, err
}

// ended says whether the whole body has been read.
func (b *requestBody) ended() bool { return b.done.Load() }

// drainable says whether it is worth to read the rest of the body. It may be
// called while another goroutine reads.
func (b *requestBody) drainable() bool {
	return !b.expect.Load() && !b.stopped.Load() && !b.broken.Load() && b.rest.Load() <= maxDrain
}

// drain reads the rest of the body within the limits, and says whether its
// proper end was reached.
func (b *requestBody) drain() bool {
	scratch := smallBuffers.Get().(*[smallBuffer]byte)
	defer smallBuffers.Put(scratch)
	until := now().after(b.conn.server.timeouts.Linger)
	b.budget = b.conn.server.timeouts.Linger
	for left := int64(maxDrain); left > 0 && now() < until; {
		n, err := b.bodyReader.Read(scratch[:])
		if err != nil {
			return err == io.EOF
		}
		left -= int64(n)
	}
	return false
}

// stop makes a Read that waits return.
func (b *requestBody) stop() {
	if b.done.Load() || b.stopped.Swap(true) {
		return
	}
	_ = b.conn.link.conn.SetReadDeadline(past())
}

// timedOut says whether the client was too slow with the body.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
