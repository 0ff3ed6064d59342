package server

import (
	"errors"
	"io"
	"net"

	"github.com/citoroute/citoroute/internal/proxy/clientaddr"
)

// headerGuard ends a connection that begins with a header of the PROXY protocol:
// from a client it is a lie, which a backend might believe. Bytes do not wait for it
// to become clear: a backend gets less than what tells a header at most.
type headerGuard struct {
	*net.TCPConn
	refuse func(why error)
	first  []byte // what the connection has begun with, until that is clear
	clear  bool
}

// look looks at what was read next. An error says that the connection must end.
func (c *headerGuard) look(b []byte) error {
	if c.clear {
		return nil
	}
	c.first = append(c.first, b...)
	yes, sure := clientaddr.Begins(c.first)
	if yes {
		err := errors.New("a client sends a header of the PROXY protocol")
		c.refuse(err)
		return err
	}
	if sure {
		c.clear, c.first = true, nil
	}
	return nil
}

// Read implements net.Conn.
func (c *headerGuard) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	if lie := c.look(p[:n]); lie != nil {
		return 0, lie
	}
	return n, err
}

// WriteTo implements io.WriterTo: from where it is clear what the connection
// begins with, bytes may stay in the kernel.
func (c *headerGuard) WriteTo(w io.Writer) (written int64, err error) {
	var b [512]byte
	for !c.clear {
		n, err := c.Read(b[:])
		m, failed := w.Write(b[:n])
		written += int64(m)
		switch {
		case failed != nil:
			return written, failed
		case errors.Is(err, io.EOF):
			return written, nil
		case err != nil:
			return written, err
		}
	}
	n, err := io.Copy(w, c.TCPConn)
	return written + n, err
}

// NetConn returns the connection itself, for what is done to the socket.
func (c *headerGuard) NetConn() net.Conn { return c.TCPConn }
