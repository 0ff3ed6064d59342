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
	raw             syscall.RawConn // nil unless conn is a *net.TCPConn
	readBy, writeBy instant
	readFn, writeFn func(fd uintptr) bool
	readBuf         []byte
	readN           int
	readErr         error
	writeBuf        []byte
	writeErr        error
	exchangeFn      func(fd uintptr) bool
	exchangeStep    exchangeStep
}

// init prepares l for conn. The function values are made once per connection,
// so that using them does not allocate.
func (l *link) init(conn net.Conn) {
	*l = link{conn: conn, readBy: unarmed, writeBy: unarmed, readFn: l.readFn, writeFn: l.writeFn, exchangeFn: l.exchangeFn}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	l.raw = raw
	if l.readFn == nil {
		l.readFn, l.writeFn, l.exchangeFn = l.onReadable, l.onWritable, l.onExchange
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
	l.readBuf = p
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

// exchangeStep is how far an exchange of messages has come.
type exchangeStep uint8

const (
	stepCheck   exchangeStep = iota // nothing done yet
	stepWrite                       // nothing was readable; writing
	stepRead                        // all is written; waiting
	stepBlocked                     // the peer does not take more for now
)

// swap writes out and reads the first bytes of the answer into p. A connection
// on which anything, even its end, can be read before out is written was not
// fit for use: errStale then, and nothing was sent.
//
// On TCP it costs three system calls. The first read tells a stale connection
// and, as it comes after the readiness of the descriptor was reset, it is also
// the read that any wait has to begin with.
func (l *link) swap(out, p []byte, timeout time.Duration) (n int, err error) {
	if l.raw == nil {
		return l.swapSlowly(out, p, timeout)
	}
	l.readBuf, l.writeBuf, l.writeErr, l.exchangeStep = p, out, nil, stepCheck
	err = l.raw.Read(l.exchangeFn)
	rest := l.writeBuf
	l.readBuf, l.writeBuf = nil, nil
	switch {
	case err != nil:
		return 0, l.swapFailed(err)
	case l.exchangeStep == stepCheck:
		return 0, errStale
	case l.writeErr != nil:
		return 0, &writeError{l.writeErr}
	case l.exchangeStep == stepBlocked:
		if err := l.write(rest, timeout); err != nil {
			return 0, &writeError{err}
		}
		return l.read(p)
	}
	return l.readN, l.readErr
}

// swapFailed tells a wait that was cut short before anything was written.
func (l *link) swapFailed(err error) error {
	if l.exchangeStep == stepCheck {
		return errStale
	}
	return err
}

func (l *link) onExchange(fd uintptr) bool {
	if l.exchangeStep == stepCheck {
		if _, err := sysRead(fd, l.readBuf); err != syscall.EAGAIN {
			return true
		}
		l.exchangeStep = stepWrite
	}
	for l.exchangeStep == stepWrite {
		n, err := sysWrite(fd, l.writeBuf)
		if err == syscall.EAGAIN {
			l.exchangeStep = stepBlocked
			return true
		}
		if err != nil {
			l.writeErr = os.NewSyscallError("write", err)
			return true
		}
		if l.writeBuf = l.writeBuf[n:]; len(l.writeBuf) == 0 {
			l.exchangeStep = stepRead
			return false
		}
	}
	return l.onReadable(fd)
}

func (l *link) swapSlowly(out, p []byte, timeout time.Duration) (int, error) {
	if l.stale() {
		return 0, errStale
	}
	if err := l.write(out, timeout); err != nil {
		return 0, &writeError{err}
	}
	return l.read(p)
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
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

var errStale = errors.New("pooled connection is no longer usable")

// writeError tells a failure to send from one to receive.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }
