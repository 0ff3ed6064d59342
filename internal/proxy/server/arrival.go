package server

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/clientaddr"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// arrival is a connection that was accepted, and what is known of its client.
type arrival struct {
	conn *net.TCPConn
	// head was read of it, and is its client's.
	head []byte
	// remote is the client's address, where that is not the other end of conn.
	remote netip.AddrPort
}

// address is that of the client.
func (a *arrival) address() netip.AddrPort {
	if a.remote.IsValid() {
		return a.remote
	}
	return exchange.AddrPort(a.conn.RemoteAddr())
}

// client is conn with its head before it.
func (a *arrival) client() net.Conn {
	if len(a.head) == 0 && !a.remote.IsValid() {
		return a.conn
	}
	c := &headConn{Conn: a.conn, head: a.head}
	if a.remote.IsValid() {
		c.remote = net.TCPAddrFromAddrPort(a.remote)
	}
	return c
}

// headConn is a connection of which head was already read.
type headConn struct {
	net.Conn
	head   []byte
	remote net.Addr // nil: that of Conn
}

// Read implements net.Conn.
func (c *headConn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// RemoteAddr implements net.Conn.
func (c *headConn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

// identify reads the header of the PROXY protocol of a connection that comes from
// one of balancers, within the header timeout. Other connections have none, and
// begin with nothing else either that could be taken for one: what HTTP and TLS
// begin with is different, and headerGuard sees to TCP.
func (g *generation) identify(conn *net.TCPConn, balancers *clientaddr.Networks) (arrival, error) {
	a := arrival{conn: conn}
	if !balancers.Contains(a.address().Addr()) {
		return a, nil
	}
	if err := conn.SetReadDeadline(time.Now().Add(g.server.opts.HeaderTimeout)); err != nil {
		return a, fmt.Errorf("arm the header timeout: %w", err)
	}
	var err error
	if a.remote, a.head, err = readHeader(conn); err == nil {
		return a, conn.SetReadDeadline(time.Time{})
	}
	if !errors.Is(err, io.EOF) { // that is how load balancers see whether a port is open
		g.refuseHeader(a.address(), err)
	}
	return a, err
}

// refuseHeader notes that a connection is closed for what it begins with.
func (g *generation) refuseHeader(remote netip.AddrPort, why error) {
	g.server.opts.Observe.HeaderRefused()
	g.server.opts.Log.Debug("Closing a connection", "remote", remote, "reason", why)
}

// readHeader reads a header of the PROXY protocol, in one go where it has come in
// one. client is invalid where the header does not tell it; rest is what was read
// behind the header. io.EOF says that the connection has ended without a byte.
func readHeader(conn io.Reader) (client netip.AddrPort, rest []byte, err error) {
	b := make([]byte, 0, sniffSize)
	for {
		client, n, err := clientaddr.Parse(b)
		if err != nil || n > 0 {
			return client, b[n:], err
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, 1) // to the double
		}
		more, err := conn.Read(b[len(b):cap(b)])
		b = b[:len(b)+more]
		switch {
		case more > 0 || err == nil:
		case len(b) == 0 && !errors.Is(err, os.ErrDeadlineExceeded):
			return client, nil, io.EOF
		default:
			return client, nil, fmt.Errorf("read the header of the PROXY protocol: %w", err)
		}
	}
}

// headerGuard ends a connection that begins with a header of the PROXY protocol:
// from a client it is a lie, which a backend might believe. Bytes do not wait for it
// to become clear: a backend has all but the last of a header at most.
type headerGuard struct {
	*net.TCPConn
	first []byte // what the connection has begun with, until that is clear
	clear bool
}

// look looks at what was read next.
func (c *headerGuard) look(b []byte) error {
	if c.clear {
		return nil
	}
	c.first = append(c.first, b...)
	yes, sure := clientaddr.Begins(c.first)
	if yes {
		return errors.New("a client sends a header of the PROXY protocol")
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
