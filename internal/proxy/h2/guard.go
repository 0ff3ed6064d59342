package h2

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Limits on what costs a client less than it costs us. The library bounds what
// is held at any one time; it lets a client go on for ever.
const (
	// A client may cause maxResets streams to be reset at once, by RST_STREAM or
	// by a stream error (CVE-2023-44487, CVE-2025-8671). One more is allowed for
	// every stream that ends in order, and every resetInterval.
	maxResets     = 1000
	resetInterval = 20 * time.Millisecond
	// It may send maxIdleFrames that move nothing: PING, SETTINGS, PRIORITY, empty
	// DATA and the like (CVE-2019-9512, 9513, 9515, 9518). More are allowed for DATA
	// that it gets, since it acknowledges that, and one every idleInterval.
	maxIdleFrames = 2000
	idleInterval  = 10 * time.Millisecond
	// maxContinuations is how many frames a header block may have besides the
	// first, whatever their length (CVE-2023-45288).
	maxContinuations = 16
)

// allowance is a number of things that may happen, and grows with time.
type allowance struct {
	most, left int
	interval   time.Duration // in which it grows by one
	since      time.Time
}

func newAllowance(most int, interval time.Duration, now time.Time) allowance {
	return allowance{most: most, left: most, interval: interval, since: now}
}

// spend says whether one more thing is allowed.
func (a *allowance) spend(now time.Time) bool {
	if grown := now.Sub(a.since) / a.interval; grown > 0 {
		a.since = a.since.Add(grown * a.interval)
		a.earn(int(grown))
	}
	a.left--
	return a.left >= 0
}

func (a *allowance) earn(n int) { a.left = min(a.left+n, a.most) }

// guard judges the frames of a client's connection.
type guard struct {
	in, out frames // each belongs to whoever reads or writes

	inBlock       bool          // a header block has begun and not ended
	continuations int           // of the block
	last          atomic.Uint32 // the newest stream

	mu     sync.Mutex
	resets allowance
	idle   allowance
	acked  bool // the client has acknowledged our SETTINGS
}

func newGuard(now time.Time) *guard {
	return &guard{
		in:     frames{left: len(preface)},
		resets: newAllowance(maxResets, resetInterval, now),
		idle:   newAllowance(maxIdleFrames, idleInterval, now),
	}
}

// preface is what a client begins with.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// received judges what the client has sent. False: it is too much.
func (g *guard) received(p []byte, now func() time.Time) bool {
	for len(p) > 0 {
		var begun bool
		if p, begun = g.in.next(p); begun && !g.judge(now) {
			return false
		}
	}
	return true
}

// judge judges the frame in g.in.
func (g *guard) judge(now func() time.Time) bool {
	f := &g.in
	switch f.kind() {
	case frameHeaders:
		g.last.Store(max(g.last.Load(), f.stream()))
		g.inBlock, g.continuations = !f.has(flagEndHeaders), 0
		return true
	case frameContinuation:
		g.inBlock = !f.has(flagEndHeaders)
		g.continuations++
		return g.continuations <= maxContinuations
	case frameData:
		if data := f.length() - f.padding(); f.has(flagEndStream) || data > 0 && f.padding() <= data {
			return true
		}
	case frameRSTStream:
		return g.spend(&g.resets, now)
	case frameSettings:
		if f.has(flagAck) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.acked = true
			return true
		}
	}
	return g.spend(&g.idle, now)
}

func (g *guard) spend(a *allowance, now func() time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return a.spend(now())
}

// sending judges what the client makes us send. False: it is too much. whole is
// how many bytes of p end with a frame.
func (g *guard) sending(p []byte, now func() time.Time) (whole int, ok bool) {
	ok = true
	for rest := p; len(rest) > 0; {
		var begun bool
		if rest, begun = g.out.next(rest); begun {
			ok = g.note(now) && ok
		}
		if g.out.between() {
			whole = len(p) - len(rest)
		}
	}
	return whole, ok
}

// note judges the frame in g.out.
func (g *guard) note(now func() time.Time) bool {
	f := &g.out
	switch f.kind() {
	case frameRSTStream:
		switch f.code() {
		case codeNo, codeInternal, codeCancel: // not the client's doing
			return true
		}
		return g.spend(&g.resets, now)
	case frameData, frameHeaders:
		g.mu.Lock()
		defer g.mu.Unlock()
		if f.has(flagEndStream) {
			g.resets.earn(1)
		}
		if f.kind() == frameData {
			g.idle.earn(4 + f.length()>>10) // clients acknowledge some KiB each, the stream's and the connection's
		}
	}
	return true
}

var errRefused = errors.New("the client asks too much")

// Read implements net.Conn.
func (c streamConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	g := c.guard
	inBlock := g.inBlock
	if !g.received(p[:n], time.Now) {
		c.refuse(codeEnhanceYourCalm)
	}
	if c.refusal.Load() != 0 {
		return 0, errRefused
	}
	switch {
	case g.inBlock && !inBlock: // until here one frame was the whole block, as a rule
		_ = c.Conn.SetReadDeadline(time.Now().Add(c.server.header))
	case !g.inBlock && inBlock:
		_ = c.Conn.SetReadDeadline(time.Time{})
	}
	return n, err
}

// Write implements net.Conn.
func (c streamConn) Write(p []byte) (int, error) {
	n, err := c.write(p)
	c.sayGoAway()
	return n, err
}

func (c streamConn) write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.refusal.Load() != 0 {
		return 0, errRefused
	}
	between := c.guard.out.between()
	whole, ok := c.guard.sending(p, time.Now)
	if ok {
		return c.Conn.Write(p)
	}
	n, err := c.Conn.Write(p[:whole])
	if between || whole > 0 {
		c.guard.out = frames{}
	}
	c.refuse(codeEnhanceYourCalm)
	return n, errors.Join(errRefused, err)
}

// refuse ends the connection, with GOAWAY where that can be written.
func (c *serverConn) refuse(code uint32) {
	if c.refusal.CompareAndSwap(0, code) {
		c.sayGoAway()
		_ = c.Conn.SetReadDeadline(time.Unix(1, 0)) // ends a Read that waits
	}
}

// sayGoAway writes GOAWAY if the connection is refused: not in the middle of
// another frame, and not while another Write lasts, whose end is the next chance.
func (c *serverConn) sayGoAway() {
	if c.refusal.Load() == 0 || !c.writing.TryLock() {
		return
	}
	defer c.writing.Unlock()
	if !c.said && c.guard.out.between() {
		c.said = true
		_ = c.Conn.SetWriteDeadline(time.Now().Add(closeDelay))
		_, _ = c.Conn.Write(goAway(c.guard.last.Load(), c.refusal.Load()))
	}
}

// awaitAck ends the connection if the client has not acknowledged our SETTINGS
// (RFC 9113 section 6.5.3), or has not even begun.
func (c *serverConn) awaitAck() {
	c.guard.mu.Lock()
	acked := c.guard.acked
	c.guard.mu.Unlock()
	if !acked {
		c.refuse(codeSettingsTimeout)
	}
}
