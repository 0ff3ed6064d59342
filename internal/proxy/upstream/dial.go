package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"

	"github.com/citoroute/citoroute/internal/proxy/room"
	"github.com/citoroute/citoroute/internal/reach"
)

// Dialer connects to backends. Where one is given by its name, it is the address
// that is dialled that counts, so that a name cannot change its mind: see
// [reach.Backend]. Backends that are given by their address are those that the
// configuration wants. The zero value is for a proxy in a cluster.
type Dialer struct {
	// Local says that names may lead to the proxy's own machine.
	Local bool
	// Room is where the connections find place; nil: there may be any number.
	Room *room.Room
}

// ErrNoRoom is why a connection was not made that would have been one too many.
var ErrNoRoom = errors.New("there are as many connections to backends as there may be")

// IsOurs says that a connection was not made for want of what is this process's
// own, whoever it was for: of room, or of files.
func IsOurs(err error) bool {
	return errors.Is(err, ErrNoRoom) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// DialContext connects to a host and port, as [net.Dialer.DialContext] does. Over
// TCP it waits for a place first; where ctx ends before there is one, the error is
// ErrNoRoom.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if d.Room == nil || network != "tcp" {
		return d.dial(ctx, network, address)
	}
	if !d.Room.Enter(ctx.Done()) {
		return nil, ErrNoRoom
	}
	conn, err := d.dial(ctx, network, address)
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		d.Room.Leave()
		return nil, err
	}
	return &placed{TCPConn: tcp, room: d.Room}, nil
}

// placed is a connection that gives its place back when it is closed.
type placed struct {
	*net.TCPConn
	room   *room.Room
	closed atomic.Bool
}

// Close implements net.Conn.
func (c *placed) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	defer c.room.Leave()
	return c.TCPConn.Close()
}

// Bare is the connection behind one of DialContext's, for whom knows how to treat
// it as such. The one of DialContext has to be closed, too.
func Bare(conn net.Conn) net.Conn {
	if c, ok := conn.(*placed); ok {
		return c.TCPConn
	}
	return conn
}

func (d Dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	if _, err := netip.ParseAddrPort(address); err != nil { // it is a name
		dialer.Control = d.check
	}
	return dialer.DialContext(ctx, network, address)
}

// check refuses an address that a name leads to.
func (d Dialer) check(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	if !reach.Backend(to.Addr(), d.Local) {
		return fmt.Errorf("the name leads to %s, where no backend is", to.Addr())
	}
	return nil
}
