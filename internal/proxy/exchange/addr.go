package exchange

import (
	"net"
	"net/netip"
)

// AddrPort is the address of one end of a TCP or UDP socket, an IPv4 one as
// such; invalid where a is of neither.
func AddrPort(a net.Addr) netip.AddrPort {
	var p netip.AddrPort
	switch a := a.(type) {
	case *net.TCPAddr:
		p = a.AddrPort()
	case *net.UDPAddr:
		p = a.AddrPort()
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}
