package h1

import (
	"errors"
	"os"
	"syscall"
	"time"
)

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

// turn is the other half of an exchange: it writes out, which ends an answer,
// and reads the first bytes of what the peer sends next into the memory that
// l.sent returns. l.sent is called as soon as all is written; nil from it: read
// nothing. What could not be written at once is returned as rest, and l.sent
// was not called then.
//
// It does not try to read before it waits, because a peer that was waiting for
// the end of an answer has nothing else to send before. Bytes that came before
// the call do not end the wait, though: by the deadline that is armed it must
// be clear that the peer is not like that.
func (l *link) turn(out []byte) (n int, rest []byte, err error) {
	l.writeBuf, l.writeErr, l.readN, l.readErr = out, nil, 0, nil
	err = l.raw.Read(l.turnFn)
	rest = l.writeBuf
	l.readBuf, l.writeBuf = nil, nil
	switch {
	case l.writeErr != nil:
		return 0, rest, l.writeErr
	case len(rest) > 0:
		return 0, rest, nil
	case err != nil:
		return 0, nil, err
	}
	return l.readN, nil, l.readErr
}

func (l *link) onTurn(fd uintptr) bool {
	if len(l.writeBuf) == 0 {
		return l.onReadable(fd)
	}
	if !l.onWritable(fd) || l.writeErr != nil {
		return true
	}
	l.readBuf = l.sent()
	return l.readBuf == nil
}

var errStale = errors.New("pooled connection is no longer usable")

// writeError tells a failure to send from one to receive.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }
