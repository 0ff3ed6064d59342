package l4

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// pieceSize is how much is moved through memory at once, in bytes. What comes
// in greater amounts stays in the kernel (splice): that costs half the time,
// but a pipe, of which a system lets each user have few.
const pieceSize = 64 << 10

var pieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// copier copies one direction between two TCP connections. It has memory, or a
// pipe, only while there is something to move: most connections are silent most
// of the time.
type copier struct {
	dst, src *net.TCPConn
	piece    *[pieceSize]byte
	n        int
	err      error
}

// run copies until src ends.
func (c *copier) run() error {
	raw, err := c.src.SyscallConn()
	if err != nil {
		return err
	}
	read := c.read
	for {
		if err := raw.Read(read); err != nil {
			return err
		}
		err := c.move()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("copy: %w", err)
		}
		if c.n < pieceSize {
			continue
		}
		if err := c.splice(raw); err != nil {
			return err
		}
	}
}

// read reads without waiting, and says whether that came to anything.
func (c *copier) read(fd uintptr) bool {
	piece := pieces.Get().(*[pieceSize]byte) //nolint:forcetypeassert // the pool holds nothing else.
	for {
		c.n, c.err = unix.Read(int(fd), piece[:])
		switch {
		case errors.Is(c.err, unix.EINTR):
			continue
		case errors.Is(c.err, unix.EAGAIN):
			pieces.Put(piece)
			return false
		case c.err == nil && c.n == 0:
			c.err = io.EOF
		}
		c.piece = piece
		return true
	}
}

// move writes what was read.
func (c *copier) move() error {
	defer func() {
		pieces.Put(c.piece)
		c.piece = nil
	}()
	if c.err != nil {
		return c.err
	}
	_, err := c.dst.Write(c.piece[:c.n])
	return err
}

// splice moves what has come, as long as that is much.
func (c *copier) splice(raw syscall.RawConn) error {
	for {
		n := 0
		if err := raw.Control(func(fd uintptr) { n = pending(fd) }); err != nil {
			return err
		}
		if n < pieceSize {
			return nil
		}
		if _, err := io.CopyN(c.dst, c.src, int64(n)); err != nil {
			return err
		}
	}
}
