package h1

import (
	"errors"
	"sync/atomic"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

var errAnswered = errors.New("the response has begun")

// Interim implements exchange.Client.
func (c *serverConn) Interim(status int, h *exchange.Header) error {
	if c.head.http10 || status < 102 || status > 199 {
		return nil // HTTP/1.0 knows none: RFC 9110 section 15.2
	}
	mem := smallBuffers.Get().(*[smallBuffer]byte)
	defer smallBuffers.Put(mem)
	b, lines, _ := appendFields(appendStatusLine(mem[:0], status), h)
	b = append(b, "\r\n"...)
	if !sound(b, lines+2) {
		return errInjection
	}
	return c.writeInterim(b)
}

func (c *serverConn) writeInterim(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.answered {
		return errAnswered
	}
	return c.link.write(b, c.server.timeouts.Write)
}

// sendContinue asks the client for the body (RFC 9110 section 10.1.1).
func (c *serverConn) sendContinue() error {
	return c.writeInterim([]byte("HTTP/1.1 100 Continue\r\n\r\n"))
}

// Lend implements exchange.Lender.
func (c *serverConn) Lend(n int) []byte { return c.lent.lend(n) }

// StopBody implements exchange.BodyStopper.
func (c *serverConn) StopBody() { c.body.stop() }

// OnCancel implements exchange.Client. While a body is expected from the
// client, reading that is what shows that the client left.
func (c *serverConn) OnCancel(f func()) (stop func()) {
	if !c.body.ended() || c.in.w == len(c.in.buf) {
		return func() {}
	}
	w := &watch{conn: c, done: make(chan struct{})}
	c.link.readBy = unarmed
	w.failed = c.link.armRead(never, 0) != nil // closed from our side
	go w.run(f)
	return w.stop
}

// watch reads ahead from a client that has to wait. What it reads is the start
// of the next request, and is kept.
type watch struct {
	conn    *serverConn
	failed  bool
	stopped atomic.Bool
	done    chan struct{}
}

func (w *watch) run(f func()) {
	defer close(w.done)
	if w.failed {
		f()
		return
	}
	in := &w.conn.in
	for in.w < len(in.buf) && !w.stopped.Load() {
		n, err := w.conn.link.read(in.buf[in.w:])
		in.w += n
		if err != nil && n == 0 {
			if !w.stopped.Load() {
				f()
			}
			return
		}
	}
}

func (w *watch) stop() {
	if w.stopped.Swap(true) {
		return
	}
	_ = w.conn.link.conn.SetReadDeadline(past())
	<-w.done
	w.conn.link.readBy = unarmed
}
