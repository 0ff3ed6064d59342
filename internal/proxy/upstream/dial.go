package upstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/names"
	"github.com/citoroute/citoroute/internal/proxy/room"
	"github.com/citoroute/citoroute/internal/reach"
)

// Dialer connects to backends. Where one is given by its name, it is the address
// that is dialled that counts, so that a name cannot change its mind: see
// [reach.Backend]. Of several addresses, each family has its chance (RFC 8305).
// Backends that are given by their address are those that the configuration
// wants. The zero value is for a proxy in a cluster.
type Dialer struct {
	// Local says that names may lead to the proxy's own machine.
	Local bool
	// Room is where the connections find place; nil: there may be any number.
	Room *room.Room
	// Names remembers where names lead to; nil: each connection asks anew.
	Names *names.Cache
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

// stagger is the time that an address of a name gets before the next one is tried
// beside it (RFC 8305 section 5).
const stagger = 250 * time.Millisecond

// dial connects to an address, or to one of those that a name leads to.
func (d Dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address %q: %w", address, err)
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return dialer.DialContext(ctx, network, address)
	}
	found, err := d.Names.Find(ctx, host)
	if err != nil {
		return nil, err
	}
	addresses := make([]string, 0, len(found))
	for _, a := range found {
		if reach.Backend(a, d.Local) {
			addresses = append(addresses, net.JoinHostPort(a.String(), port))
		}
	}
	if len(addresses) == 0 {
		return nil, fmt.Errorf("the name %s leads to %s, where no backend is", host, found[0])
	}
	if len(addresses) == 1 || network != "tcp" {
		return dialer.DialContext(ctx, network, addresses[0])
	}
	return race(ctx, addresses)
}

// dialled is what came of an address.
type dialled struct {
	conn net.Conn
	err  error
}

// race connects over TCP to whichever address takes the connection first. The next
// one is tried when the one before has failed, or takes long.
func race(ctx context.Context, addresses []string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan dialled)
	try := func(address string) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		select {
		case ended <- dialled{conn, err}:
		case <-ctx.Done(): // another one was first
			if conn != nil {
				_ = conn.Close()
			}
		}
	}
	next := time.NewTimer(0)
	defer next.Stop()
	var first error
	for pending := 0; ; {
		select {
		case <-next.C:
			go try(addresses[0])
			pending++
			if addresses = addresses[1:]; len(addresses) > 0 {
				next.Reset(stagger)
			}
		case d := <-ended:
			if d.err == nil {
				return d.conn, nil
			}
			pending--
			first = cmp.Or(first, d.err)
			if len(addresses) > 0 {
				next.Reset(0)
			} else if pending == 0 {
				return nil, first
			}
		case <-ctx.Done():
			return nil, cmp.Or(first, context.Cause(ctx))
		}
	}
}
