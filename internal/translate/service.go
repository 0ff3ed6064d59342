package translate

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// serviceBackend translates a Service port as a Gateway's proxies reach it. TLS
// depends on the BackendTLSPolicies for the Service, on which it reports too,
// and on the Gateway's client certificate.
func serviceBackend(r Reader, at servicePort, gateway Key, options Options) Output {
	backend := &ir.Backend{
		Name:      at.backend(),
		Source:    ir.Source{Kind: string(KindService), Namespace: at.service.Namespace, Name: at.service.Name, Section: strconv.Itoa(int(at.port))},
		Protocol:  ir.ProtocolHTTP,
		Endpoints: at.endpoints(),
	}
	out := Output{Resources: []NodeResource{{gateway, backend}}}
	service := get[corev1.Service](r, at.service)
	if service == nil {
		return out
	}
	spec := findPort(service, at.port, at.protocol())
	if spec == nil {
		return out
	}
	if at.udp {
		backend.Protocol = ir.ProtocolUDP
		return out
	}
	if at.h2c || deref(spec.AppProtocol, "") == appProtocolH2C {
		backend.Protocol = ir.ProtocolH2C
	}
	tls, reports := backendTLS(r, at.service, spec.Name, gateway, options)
	out.Reports = reports
	if tls == nil {
		return out
	}
	backend.TLS = &tls.client
	backend.Protocol = ir.ProtocolHTTP
	if !tls.usable {
		backend.Endpoints = noEndpoints
	}
	if parent := r.Parent(gateway); parent != nil {
		backend.TLS.Certificate = parent.ClientCertificate
	}
	return out
}

// serviceEndpoints collects the addresses of a Service port.
func serviceEndpoints(r Reader, at servicePort) *ir.Endpoints {
	out := &ir.Endpoints{
		Name:   at.endpoints(),
		Source: ir.Source{Kind: string(KindService), Namespace: at.service.Namespace, Name: at.service.Name, Section: strconv.Itoa(int(at.port))},
	}
	service := get[corev1.Service](r, at.service)
	if service == nil {
		return out
	}
	spec := findPort(service, at.port, at.protocol())
	if spec == nil {
		return out
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		if safeExternalName(r, service.Spec.ExternalName) {
			out.Addresses = []ir.Endpoint{{Host: service.Spec.ExternalName, Port: port(spec.Port)}}
		}
		return out
	}
	var ready, draining []ir.Endpoint
	for _, o := range r.List(Bucket{Relation: EndpointSlicesOf, Namespace: at.service.Namespace, Name: at.service.Name}) {
		slice, ok := o.(*discoveryv1.EndpointSlice)
		if !ok || slice.AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		number, ok := slicePort(slice, spec.Name, at.protocol())
		if !ok {
			continue
		}
		for i := range slice.Endpoints {
			endpoint := &slice.Endpoints[i]
			switch addresses := endpointsOf(r, endpoint, number); {
			case deref(endpoint.Conditions.Ready, true):
				ready = append(ready, addresses...)
			case deref(endpoint.Conditions.Serving, false) && deref(endpoint.Conditions.Terminating, false):
				draining = append(draining, addresses...)
			}
		}
	}
	// Endpoints that terminate but still serve are better than none (KEP-1669).
	if len(ready) == 0 {
		ready = draining
	}
	out.Addresses = sortEndpoints(ready)
	return out
}

// slicePort returns the port number in a slice of the Service port with a name
// and protocol.
func slicePort(slice *discoveryv1.EndpointSlice, name string, protocol corev1.Protocol) (uint16, bool) {
	for _, port := range slice.Ports {
		if deref(port.Protocol, corev1.ProtocolTCP) == protocol && deref(port.Name, "") == name && port.Port != nil && *port.Port > 0 && *port.Port <= 65535 {
			return uint16(*port.Port), true
		}
	}
	return 0, false
}

// endpointsOf returns the address of an endpoint. All addresses of one endpoint
// are the same pod, so the first is enough. Addresses that lead into the proxy's
// own machine or to many are left out: whoever may write slices must not reach
// the proxy's administration port through it.
func endpointsOf(r Reader, endpoint *discoveryv1.Endpoint, port uint16) []ir.Endpoint {
	for _, address := range endpoint.Addresses {
		ip, err := netip.ParseAddr(address)
		if err != nil || ip.Zone() != "" {
			continue
		}
		ip = ip.Unmap()
		if ip.IsLoopback() && !r.LocalBackends() || ip.IsUnspecified() || ip.IsMulticast() || ip.IsLinkLocalUnicast() {
			continue
		}
		return []ir.Endpoint{{Host: ip.String(), Port: port, Zone: deref(endpoint.Zone, "")}}
	}
	return nil
}

// sortEndpoints sorts endpoints and leaves repetitions out.
func sortEndpoints(endpoints []ir.Endpoint) []ir.Endpoint {
	slices.SortFunc(endpoints, func(a, b ir.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Zone, b.Zone))
	})
	return slices.CompactFunc(endpoints, func(a, b ir.Endpoint) bool { return a.Host == b.Host && a.Port == b.Port })
}
