package clientaddr

import (
	"net/netip"
	"strings"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Forwarded returns the address of the client of a request that came from peer:
// peer itself, unless it is a trusted proxy; then the right-most address of
// X-Forwarded-For that is none, since whatever is left of that may be made up.
// Where all are trusted it is the left-most. What is no address ends the search:
// whoever has reported it is as far as can be seen. The port is 0 where the field
// told none.
func Forwarded(h *exchange.Header, peer netip.AddrPort, trusted *Networks) netip.AddrPort {
	const name = "X-Forwarded-For"
	client := peer
	for i := h.Len() - 1; i >= 0 && trusted.Contains(client.Addr()); i-- {
		f := h.At(i)
		if len(f.Name) != len(name) || !exchange.EqualFold(f.Name, name) {
			continue
		}
		var more bool
		if client, more = nearest(f.Value, client, trusted); !more {
			break
		}
	}
	return client
}

// nearest goes through one line of X-Forwarded-For from the right. more says that
// what is left of it counts, too.
func nearest(line string, client netip.AddrPort, trusted *Networks) (found netip.AddrPort, more bool) {
	for {
		comma := strings.LastIndexByte(line, ',')
		hop, ok := parseHop(strings.Trim(line[comma+1:], " \t"))
		if !ok {
			return client, false
		}
		client = hop
		if comma < 0 || !trusted.Contains(hop.Addr()) {
			return client, comma < 0
		}
		line = line[:comma]
	}
}

// maxHop is longer than any address, with brackets and port.
const maxHop = 64

// parseHop reads one element: an address, with or without a port, one of IPv6
// with or without brackets.
func parseHop(s string) (netip.AddrPort, bool) {
	if s == "" || len(s) > maxHop {
		return netip.AddrPort{}, false
	}
	bare := s
	if n := len(s) - 1; s[0] == '[' && s[n] == ']' {
		if bare = s[1:n]; strings.IndexByte(bare, ':') < 0 {
			return netip.AddrPort{}, false
		}
	}
	a, err := netip.ParseAddr(bare)
	if err == nil {
		return netip.AddrPortFrom(a.Unmap().WithZone(""), 0), true
	}
	p, err := netip.ParseAddrPort(s)
	if err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(p.Addr().Unmap().WithZone(""), p.Port()), true
}
