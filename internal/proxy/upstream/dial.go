package upstream

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/citoroute/citoroute/internal/reach"
)

// Dialer connects to backends. Where one is given by its name, it is the address
// that is dialled that counts, so that a name cannot change its mind: see
// [reach.Backend]. Backends that are given by their address are those that the
// configuration wants. The zero value is for a proxy in a cluster.
type Dialer struct {
	// Local says that names may lead to the proxy's own machine.
	Local bool
}

// DialContext connects to a host and port, as [net.Dialer.DialContext] does.
func (d Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
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
