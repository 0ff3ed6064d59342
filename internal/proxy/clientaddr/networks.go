package clientaddr

import (
	"net/netip"
	"slices"
)

// Networks is a set of addresses. It is immutable; nil is the empty one.
type Networks struct {
	spans []span // disjoint, in order
}

// span is the addresses from first to last.
type span struct{ first, last netip.Addr }

// NewNetworks returns the addresses that are in any of prefixes, whose order and
// number make looking up hardly slower. Invalid ones hold nothing; an IPv4 network
// may also be written as IPv6 maps it.
func NewNetworks(prefixes []netip.Prefix) *Networks {
	var all []span
	for _, p := range prefixes {
		if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		}
		if p.IsValid() {
			all = append(all, span{p.Masked().Addr(), last(p)})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return a.first.Compare(b.first) })
	out := &Networks{}
	for _, s := range all {
		if n := len(out.spans); n > 0 && s.first.Compare(out.spans[n-1].last) <= 0 {
			if out.spans[n-1].last.Compare(s.last) < 0 {
				out.spans[n-1].last = s.last
			}
			continue
		}
		out.spans = append(out.spans, s)
	}
	return out
}

// last returns the last address of a network.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b) // of the length that it has had
	return a
}

// Contains says whether a is in the set, an IPv4 address also as IPv6 maps it.
func (n *Networks) Contains(a netip.Addr) bool {
	if n == nil || !a.IsValid() {
		return false
	}
	a = a.Unmap().WithZone("")
	i, exact := slices.BinarySearchFunc(n.spans, a, func(s span, a netip.Addr) int { return s.first.Compare(a) })
	return exact || i > 0 && a.Compare(n.spans[i-1].last) <= 0
}
