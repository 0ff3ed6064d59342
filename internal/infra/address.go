package infra

import (
	"cmp"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// RequestedAddresses returns the IP addresses that spec.addresses asks for by
// value, each once.
func RequestedAddresses(gateway *gatewayv1.Gateway) []netip.Addr {
	var out []netip.Addr
	for _, a := range gateway.Spec.Addresses {
		if ip, err := netip.ParseAddr(a.Value); err == nil && isIP(a) && !slices.Contains(out, ip.Unmap()) {
			out = append(out, ip.Unmap())
		}
	}
	return out
}

// splitAddresses divides the requested addresses into the one that the Gateway's
// Service asks for and those that have a Service of their own. The first is not
// valid where none is requested, or one of the cluster's choice is, too.
func splitAddresses(gateway *gatewayv1.Gateway) (first netip.Addr, further []netip.Addr) {
	all := RequestedAddresses(gateway)
	asksForAny := slices.ContainsFunc(gateway.Spec.Addresses, func(a gatewayv1.GatewaySpecAddress) bool {
		return a.Value == "" && isIP(a)
	})
	if asksForAny || len(all) == 0 {
		return first, all
	}
	return all[0], all[1:]
}

func isIP(a gatewayv1.GatewaySpecAddress) bool {
	return a.Type == nil || *a.Type == gatewayv1.IPAddressType
}

// ServiceNames returns the names of the Services that a Gateway may have, all in
// its namespace.
func ServiceNames(gateway *gatewayv1.Gateway) []string {
	_, own := Key(gateway)
	names := []string{own}
	_, further := splitAddresses(gateway)
	for _, address := range further {
		names = append(names, furtherName(own, address))
	}
	return names
}

// Addresses returns where clients reach a Gateway by its Services, sorted.
func Addresses(services []*corev1.Service) []gatewayv1.GatewayStatusAddress {
	var out []gatewayv1.GatewayStatusAddress
	add := func(t gatewayv1.AddressType, value string) {
		if value != "" && value != corev1.ClusterIPNone {
			out = append(out, gatewayv1.GatewayStatusAddress{Type: &t, Value: value})
		}
	}
	for _, s := range services {
		if s.Spec.Type != corev1.ServiceTypeLoadBalancer {
			for _, ip := range s.Spec.ClusterIPs {
				add(gatewayv1.IPAddressType, ip)
			}
		}
		for _, ingress := range s.Status.LoadBalancer.Ingress {
			add(gatewayv1.IPAddressType, ingress.IP)
			add(gatewayv1.HostnameAddressType, ingress.Hostname)
		}
	}
	slices.SortFunc(out, compareAddresses)
	return slices.CompactFunc(out, func(a, b gatewayv1.GatewayStatusAddress) bool { return compareAddresses(a, b) == 0 })
}

// compareAddresses puts IP addresses before names.
func compareAddresses(a, b gatewayv1.GatewayStatusAddress) int {
	return cmp.Or(-cmp.Compare(*a.Type, *b.Type), cmp.Compare(a.Value, b.Value))
}
