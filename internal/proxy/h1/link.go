package h1

import (
	"errors"
	"io"
	"math"
	"net"
	"os"
	"syscall"
	"time"
)

// instant is a point of monotonic time, in nanoseconds since the process
// started. Deadlines are kept in it because comparing integers is all that the
// plain path does with them.
type instant int64

const (
	never instant = math.MaxInt64
	// unarmed says that it is not known what deadline a connection has.
	unarmed instant = math.MinInt64
)

// started is a constant of the process.
var started = time.Now()

func now() instant { return instant(time.Since(started)) }

func (t instant) after(d time.Duration) instant { return t + instant(d) }

func (t instant) time() time.Time {
	if t == never {
		return time.Time{}
	}
	return started.Add(time.Duration(t))
}

func instantOf(t time.Time) instant {
	if t.IsZero() {
		return never
	}
	return instant(t.Sub(started))
}

// past is a deadline that has been missed: it wakes whoever waits.
func past() time.Time { return started }

// minProgress is how many bytes must have moved for a wait to start anew.
const minProgress = 1 << 10

// link is a connection whose deadlines are armed lazily: setting one costs a
// timer operation, so one that is armed and near enough is left alone. One
// goroutine may read and one may write at a time.
type link struct {
	conn            net.Conn
	raw             syscall.RawConn // nil unless conn is a socket
	readBy, writeBy instant
	readFn, writeFn func(fd uintptr) bool
	readBuf         []byte
	readN           int
	readErr         error
	waited          bool // the last read found nothing at first
	writeBuf        []byte
	writeErr        error
	exchangeFn      func(fd uintptr) bool
	exchangeStep    exchangeStep
	turnFn          func(fd uintptr) bool
	sent            func() []byte
}

// init prepares l for conn. The function values are made once per connection,
// so that using them does not allocate.
func (l *link) init(conn net.Conn) {
	*l = link{
		conn: conn, readBy: unarmed, writeBy: unarmed, sent: l.sent,
		readFn: l.readFn, writeFn: l.writeFn, exchangeFn: l.exchangeFn, turnFn: l.turnFn,
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	l.raw = raw
	if l.readFn == nil {
		l.readFn, l.writeFn, l.exchangeFn, l.turnFn = l.onReadable, l.onWritable, l.onExchange, l.onTurn
	}
}

// armRead sets the read deadline to by, unless one is armed that is not later
// and at most slack earlier.
func (l *link) armRead(by instant, slack time.Duration) error {
	if l.readBy <= by && l.readBy >= by-instant(slack) {
		return nil
	}
	l.readBy = by
	return l.conn.SetReadDeadline(by.time())
}

// slackOf is how far an armed deadline may be off for a wait of d.
func slackOf(d time.Duration) time.Duration { return min(time.Second, d/4) }

// read reads once, by the deadline that is armed.
func (l *link) read(p []byte) (int, error) {
	if l.raw == nil {
		return l.conn.Read(p)
	}
	l.readBuf, l.waited = p, false
	err := l.raw.Read(l.readFn)
	l.readBuf = nil
	if err != nil {
		return 0, err
	}
	return l.readN, l.readErr
}

func (l *link) onReadable(fd uintptr) bool {
	n, err := sysRead(fd, l.readBuf)
	if err == syscall.EAGAIN {
		l.waited = true
		return false
	}
	l.setRead(n, err)
	return true
}

func (l *link) setRead(n int, err error) {
	l.readN, l.readErr = n, nil
	switch {
	case err != nil:
		l.readN, l.readErr = 0, os.NewSyscallError("read", err)
	case n == 0:
		l.readErr = io.EOF
	}
}

// write writes all of b; the peer has timeout for each minProgress bytes, or,
// where the connection cannot go on after a timeout, for each 16 KiB.
func (l *link) write(b []byte, timeout time.Duration) error {
	for len(b) > 0 {
		if err := l.armWrite(timeout); err != nil {
			return err
		}
		n, err := l.writeSome(b)
		b = b[n:]
		slow := l.raw != nil && n >= minProgress && errors.Is(err, os.ErrDeadlineExceeded)
		if err != nil && !slow {
			return err
		}
	}
	return nil
}

func (l *link) armWrite(timeout time.Duration) error {
	by := now().after(timeout)
	if l.writeBy <= by && l.writeBy >= by-instant(slackOf(timeout)) {
		return nil
	}
	l.writeBy = by
	return l.conn.SetWriteDeadline(by.time())
}

func (l *link) writeSome(b []byte) (int, error) {
	if l.raw == nil {
		return l.conn.Write(b[:min(len(b), 16<<10)])
	}
	l.writeBuf, l.writeErr = b, nil
	err := l.raw.Write(l.writeFn)
	n := len(b) - len(l.writeBuf)
	l.writeBuf = nil
	if err == nil {
		err = l.writeErr
	}
	return n, err
}

func (l *link) onWritable(fd uintptr) bool {
	for len(l.writeBuf) > 0 {
		n, err := sysWrite(fd, l.writeBuf)
		if err == syscall.EAGAIN {
			return false
		}
		if err != nil {
			l.writeErr = os.NewSyscallError("write", err)
			return true
		}
		l.writeBuf = l.writeBuf[n:]
	}
	return true
}

// stale looks, without waiting, whether anything can be read.
func (l *link) stale() bool {
	raw := l.raw
	if raw == nil {
		inner, ok := l.conn.(interface{ NetConn() net.Conn })
		if !ok {
			return false
		}
		sys, ok := inner.NetConn().(syscall.Conn)
		if !ok {
			return false
		}
		var err error
		if raw, err = sys.SyscallConn(); err != nil {
			return true
		}
	}
	readable := false
	err := raw.Control(func(fd uintptr) { readable = pollReadable(fd) })
	if err != nil {
		return true
	}
	return readable && !l.quiet()
}

// quiet says whether what can be read on a TLS connection is none of the
// application's bytes but, say, a session ticket, which reading consumes.
func (l *link) quiet() bool {
	if l.raw != nil {
		return false
	}
	l.readBy = unarmed
	if err := l.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		return false
	}
	var b [1]byte
	n, err := l.conn.Read(b[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// closeWrite ends the sending direction, where the connection can do that.
func (l *link) closeWrite() error {
	half, ok := l.conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// reset closes the connection so that the peer sees an error, not an end.
func (l *link) reset() {
	conn := l.conn
	if inner, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = inner.NetConn()
	}
	if tcp, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
