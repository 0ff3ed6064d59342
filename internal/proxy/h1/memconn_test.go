package h1

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"
)

// memConn is a connection whose peer has sent everything that it ever will,
// piece by piece, and takes all that is written.
type memConn struct {
	in     []byte
	piece  int
	out    bytes.Buffer
	once   sync.Once
	closed chan struct{}
}

func newMemConn(in []byte, piece int) *memConn {
	return &memConn{in: in, piece: piece, closed: make(chan struct{})}
}

func (c *memConn) Read(p []byte) (int, error) {
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	if c.piece > 0 {
		p = p[:min(len(p), c.piece)]
	}
	n := copy(p, c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *memConn) Write(p []byte) (int, error) { return c.out.Write(p) }

func (c *memConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (*memConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*memConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*memConn) SetDeadline(time.Time) error      { return nil }
func (*memConn) SetReadDeadline(time.Time) error  { return nil }
func (*memConn) SetWriteDeadline(time.Time) error { return nil }

// memListener hands out the connections that are sent to it.
type memListener chan net.Conn

func (l memListener) Accept() (net.Conn, error) {
	c, ok := <-l
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (memListener) Close() error   { return nil }
func (memListener) Addr() net.Addr { return &net.TCPAddr{} }
