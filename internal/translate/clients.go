package translate

import (
	"fmt"
	"net/netip"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// clients translates what parameters say of clients; nil: nothing that would
// matter to a proxy.
func clients(spec v1alpha1.ProxyClients) (out *ir.Clients, problem string) {
	out = &ir.Clients{}
	if p := spec.ProxyProtocol; p != nil {
		if out.ProxyProtocol, problem = prefixes(p.TrustedCIDRs, "proxyProtocol.trustedCIDRs"); problem != "" {
			return nil, problem
		}
	}
	if out.TrustedProxies, problem = prefixes(spec.TrustedProxies, "trustedProxies"); problem != "" {
		return nil, problem
	}
	if len(out.ProxyProtocol) == 0 && len(out.TrustedProxies) == 0 {
		return nil, ""
	}
	if len(out.TrustedProxies) > 0 {
		headers := spec.TrustedHeaders
		if headers == nil {
			headers = []v1alpha1.TrustedHeader{v1alpha1.TrustedHeaderProto}
		}
		for _, h := range headers {
			out.TrustedHeaders = append(out.TrustedHeaders, string(h))
		}
	}
	return out, ""
}

// prefixes reads ranges of addresses. The API server has checked them, but not
// everything that is translated comes from one.
func prefixes(in []v1alpha1.CIDR, field string) (out []netip.Prefix, problem string) {
	for i, s := range in {
		p, err := netip.ParsePrefix(string(s))
		if err != nil {
			return nil, fmt.Sprintf("GatewayParameters: spec.clients.%s[%d]: %q is not a range of IP addresses", field, i, short(string(s)))
		}
		out = append(out, p.Masked())
	}
	return out, ""
}
