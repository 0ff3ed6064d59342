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
		case errors.Is(err, io.EOF):
			return client, nil, errors.New("the header of the PROXY protocol breaks off")
		default:
			return client, nil, fmt.Errorf("read the header of the PROXY protocol: %w", err)
		}
	}
}
