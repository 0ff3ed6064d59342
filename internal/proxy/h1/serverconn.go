package h1

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"github.com/citoroute/citoroute/internal/poison"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// serverConn is one client connection. The struct is pooled: all that a request
// needs hangs on it and is used again for the next one.
type serverConn struct {
	server *Server
	info   ConnInfo
	link   link
	in     window
	first  *[smallBuffer]byte // what in.buf is between requests, unless it had to grow
	lent   arena

	ex   exchange.Exchange
	head requestHead
	body requestBody
	sent int64 // body bytes of the response
	// writer writes the response.
	writer bodyWriter

	// closing says that the connection ends after this exchange.
	closing bool
	// linger says that the client may still be sending when it ends.
	linger bool
	// quick says that the client took its time for the last request, but little
	// of it: nothing was there when the response before it had been written.
	quick bool
	// idle is set while nothing but the next request is waited for.
	idle atomic.Bool
	// writing guards the order of informational responses and the final one;
	// answered is set when the latter has begun.
	writing  sync.Mutex
	answered bool
}

var serverConns = sync.Pool{New: func() any {
	c := new(serverConn)
	c.body.init(c)
	c.writer.conn, c.link.sent = c, c.onSent
	return c
}}

func newServerConn(s *Server, conn net.Conn, info ConnInfo) *serverConn {
	c := serverConns.Get().(*serverConn)
	c.server, c.info = s, info
	c.link.init(conn)
	c.first = smallBuffers.Get().(*[smallBuffer]byte)
	c.in = window{buf: c.first[:]}
	if len(info.Preface) > len(c.in.buf) {
		c.in.buf = make([]byte, len(info.Preface)+smallBuffer)
	}
	c.in.w = copy(c.in.buf, info.Preface)
	c.closing, c.linger, c.quick = false, false, false
	if !info.Remote.IsValid() {
		c.info.Remote = exchange.AddrPort(conn.RemoteAddr())
	}
	if !info.Local.IsValid() {
		c.info.Local = exchange.AddrPort(conn.LocalAddr())
	}
	return c
}

// release gives everything back. Nobody may hold the exchange any more.
func (c *serverConn) release() {
	c.resetExchange()
	c.writer.free()
	c.lent.release()
	smallBuffers.Put(c.first)
	c.first, c.in, c.server, c.info = nil, window{}, nil, ConnInfo{}
	c.link.conn, c.link.raw = nil, nil
	serverConns.Put(c)
}

// resetExchange clears the exchange and keeps the memory of its headers.
func (c *serverConn) resetExchange() {
	q, p := &c.ex.Request, &c.ex.Response
	kept := [...]exchange.Header{q.Header, q.Trailer, p.Header, p.Trailer}
	for i := range kept {
		kept[i].Reset()
	}
	c.ex = exchange.Exchange{} // alone, so that it is cleared where it is
	q.Header, q.Trailer, p.Header, p.Trailer = kept[0], kept[1], kept[2], kept[3]
}

// serve handles one request after the other.
func (c *serverConn) serve() {
	for first := true; !c.closing; first = false {
		n, ok := c.readHead(first)
		if !ok {
			return
		}
		c.in.r += n
		c.in.base = c.in.r
		c.serveOne()
	}
	if c.linger || c.in.len() > 0 {
		c.lingerClose()
	}
}

// readHead waits for a request head and parses it.
func (c *serverConn) readHead(first bool) (n int, ok bool) {
	deadline := never
	looked := 0
	for {
		if c.in.len() > looked && c.headMayBeJudged(looked) {
			n, status := c.parseHead()
			switch {
			case status == headOK:
				return n, true
			case status != headIncomplete:
				c.reject(status)
				return 0, false
			}
		}
		looked = c.in.len()
		if deadline == never && (looked > 0 || first) {
			deadline = now().after(c.server.timeouts.Head)
		}
		if err := c.moreHead(deadline); err != nil {
			if looked > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
				c.reject(408)
			}
			return 0, false
		}
	}
}

// headMayBeJudged keeps a head that comes in small pieces from being parsed
// anew for each of them: only the end of a line can make a difference, or a
// line that has become too long.
func (c *serverConn) headMayBeJudged(looked int) bool {
	b := c.in.bytes()
	return looked == 0 || bytes.IndexByte(b[looked-1:], '\r') >= 0 || bytes.IndexByte(b[looked:], '\n') >= 0 ||
		looked <= maxMethod || len(b) >= maxHead || looked <= maxTarget+2*maxMethod && len(b) > maxTarget
}

func (c *serverConn) parseHead() (n, status int) {
	c.resetExchange()
	q := &c.ex.Request
	q.Scheme, q.TLS = "http", c.info.TLS
	if c.info.TLS != nil {
		q.Scheme = "https"
	}
	q.Remote, q.Local = c.info.Remote, c.info.Local
	return c.head.parse(c.in.bytes(), q)
}

// moreHead reads more of a head, growing the buffer as needed. Between
// requests deadline is never: the idle timeout holds then.
func (c *serverConn) moreHead(deadline instant) error {
	c.makeRoom()
	waiting := c.in.len() == 0
	began := now()
	by, slack := deadline, slackOf(c.server.timeouts.Head)
	if deadline == never {
		by, slack = began.after(c.server.timeouts.Idle), slackOf(c.server.timeouts.Idle)
	}
	if err := c.link.armRead(by, slack); err != nil {
		return err
	}
	if waiting {
		c.idle.Store(true)
		if c.server.draining.Load() && deadline == never {
			return c.lastRequest()
		}
	}
	n, err := c.link.read(c.in.buf[c.in.w:])
	if waiting {
		c.idle.Store(false)
		if err != nil && c.server.draining.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
			return c.lastRequest()
		}
	}
	c.in.w += n
	if n > 0 {
		c.quick = waiting && c.link.waited && now() < began.after(quickWait)
		return nil
	}
	return err
}

// lastRequest gives a request that is already on its way a moment, when an
// idle connection is about to be closed.
func (c *serverConn) lastRequest() error {
	c.idle.Store(false)
	c.link.readBy = unarmed
	if err := c.link.armRead(now().after(c.server.timeouts.Last), 0); err != nil {
		return err
	}
	n, err := c.link.read(c.in.buf[c.in.w:])
	c.link.readBy = unarmed
	c.in.w += n
	if n > 0 {
		return nil
	}
	return err
}

// wakeIdle ends the wait for a next request.
func (c *serverConn) wakeIdle() {
	if c.idle.Load() {
		_ = c.link.conn.SetReadDeadline(past())
	}
}

// makeRoom makes space behind an incomplete head, which no string refers to yet.
func (c *serverConn) makeRoom() {
	in := &c.in
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	if in.w < len(in.buf) {
		return
	}
	if in.r > 0 {
		in.w = copy(in.buf, in.bytes())
		in.r = 0
		return
	}
	grown := make([]byte, min(2*len(in.buf), max(maxHead, len(in.buf)+smallBuffer)))
	in.w = copy(grown, in.bytes())
	in.buf = grown
}

// bodyRoom makes space for body bytes without touching the head.
func (c *serverConn) bodyRoom() {
	c.in.rewind()
	if len(c.in.buf)-c.in.w < 1<<10 {
		c.in = window{buf: c.lent.lend(smallBuffer)}
	}
}

// nextRequest gives up what only the finished exchange needed.
func (c *serverConn) nextRequest() {
	in := &c.in
	in.base = 0
	if poison.On {
		poison.Bytes(in.buf[:in.r:in.r])
		poison.Bytes(in.buf[in.w:])
		if &in.buf[0] != &c.first[0] {
			poison.Bytes(c.first[:])
		}
	}
	switch {
	case in.len() == 0:
		*in = window{buf: c.first[:]}
	case &in.buf[0] != &c.first[0] && in.len() <= smallBuffer:
		n := copy(c.first[:], in.bytes())
		*in = window{buf: c.first[:], w: n}
	}
	c.lent.release()
}

// serveOne runs the exchange of the request whose head was parsed.
func (c *serverConn) serveOne() {
	ex := &c.ex
	c.startBody()
	c.answered, c.sent = false, 0
	c.closing = c.head.options.close || c.head.http10 && !c.head.options.keepAlive
	ex.Client = c
	ex.Response.ContentLength = 0
	if c.head.local {
		ex.Response.Status = 200
	} else {
		c.info.Handler.Serve(ex)
	}
	err := c.respond()
	if c.writer.deferred {
		c.turn()
		return
	}
	c.endExchange(err)
}

// endExchange is called when the response was written, or could not be.
func (c *serverConn) endExchange(err error) {
	c.writer.free()
	c.closeBody()
	if !c.head.local {
		c.info.Handler.Finish(&c.ex, exchange.End{Err: err, Sent: c.sent, Received: c.body.read})
	}
	if err != nil {
		c.closing = true
	} else {
		c.settleBody()
	}
	c.nextRequest()
}

// startBody prepares Request.Body.
func (c *serverConn) startBody() {
	q := &c.ex.Request
	f := framedNone
	switch {
	case q.ContentLength == exchange.Unknown:
		f = framedChunked
	case q.ContentLength > 0:
		f = framedLength
	}
	c.body.start(f, q)
	if f != framedNone {
		q.Body = &c.body
	}
}

func (c *serverConn) closeBody() {
	if b := c.ex.Response.Body; b != nil {
		c.ex.Response.Body = nil
		_ = b.Close()
	}
}

// settleBody reads what is left of the request body, if that is little, so that
// the next request begins where it should; else the connection must end.
func (c *serverConn) settleBody() {
	if c.body.stopped.Load() {
		c.link.readBy = unarmed
	}
	if c.body.ended() {
		return
	}
	if c.closing || !c.body.drainable() || !c.body.drain() {
		c.closing, c.linger = true, true
	}
}

// reject answers a request that could not be parsed, and ends the connection.
func (c *serverConn) reject(status int) {
	if c.server.Rejected != nil {
		c.server.Rejected(&c.info, status)
	}
	out := smallBuffers.Get().(*[smallBuffer]byte)
	_ = c.link.write(c.appendRefusal(out[:0], status), c.server.timeouts.Write)
	smallBuffers.Put(out)
	c.lingerClose()
}

// lingerClose ends the sending direction and reads on for a while: closing at
// once would make the client's system throw away a response that it has not
// read yet (RFC 9112 section 9.6).
func (c *serverConn) lingerClose() {
	if c.link.closeWrite() != nil {
		return
	}
	if inner, ok := c.link.conn.(interface{ NetConn() net.Conn }); ok {
		if tcp, ok := inner.NetConn().(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	}
	c.link.readBy = unarmed
	if c.link.armRead(now().after(c.server.timeouts.Linger), 0) != nil {
		return
	}
	c.lent.release()
	scratch := c.first[:]
	for total := int64(0); total < maxDrain; {
		n, err := c.link.read(scratch)
		if err != nil {
			return
		}
		total += int64(n)
	}
}
