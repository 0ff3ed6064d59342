// Package reach says which addresses a backend may have. Translation asks it
// about addresses in objects, the proxy about those that names lead to, so that
// a name gets nowhere where its address would not.
//
// It imports the standard library only.
package reach

import "net/netip"

// Backend says whether a backend may be at an address. None is at one that leads
// to a cloud's metadata or to many, and none on the machine of the proxy, whose
// administration is there, but for a gateway that somebody runs on a machine of
// their own: local. Private networks are where most backends are.
func Backend(ip netip.Addr, local bool) bool {
	if ip.Zone() != "" {
		return false
	}
	ip = embedded(ip.Unmap())
	switch ip {
	case aws, google, alibaba, azure:
		return false
	}
	return (local || !ip.IsLoopback()) && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.IsLinkLocalUnicast()
}

// Metadata services that are not at a link-local address.
var (
	aws     = netip.MustParseAddr("fd00:ec2::254")
	google  = netip.MustParseAddr("fd20:ce::254")
	alibaba = netip.MustParseAddr("100.100.100.200")
	azure   = netip.MustParseAddr("168.63.129.16")
)

// nat64 is where IPv4 is in networks of IPv6 alone (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// embedded returns the IPv4 address that an address of nat64 leads to, and any
// other as it is.
func embedded(ip netip.Addr) netip.Addr {
	if !nat64.Contains(ip) {
		return ip
	}
	b := ip.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}
