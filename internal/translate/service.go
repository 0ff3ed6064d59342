package translate

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/reach"
)

// serviceBackend translates a Service port as a node's proxies reach it. TLS
// depends on the BackendTLSPolicies for the Service, on which it reports too,
// and on a Gateway's client certificate.
func serviceBackend(r Reader, at servicePort, node Key, options Options) Output {
	backend := &ir.Backend{Name: at.backend(), Source: at.source(), Protocol: ir.ProtocolHTTP, Endpoints: at.endpoints()}
	out := Output{Resources: []NodeResource{{node, backend}}}
	_, spec := at.find(r)
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
	root := node
	if node.Kind == KindNamespace {
		root = at.service // the same for all namespaces of the mesh
	}
	tls, reports := backendTLS(r, at.service, spec.Name, asAncestor(groupOf(root.Kind), root), options)
	out.Reports = reports
	if tls != nil {
		tls.apply(backend, r.Parent(node))
	}
	return out
}

// apply has a backend reached by TLS, or not at all.
func (t *tlsToBackend) apply(backend *ir.Backend, parent *Parent) {
	backend.TLS = &t.client
	backend.Protocol = ir.ProtocolHTTP
	if !t.usable {
		backend.Endpoints = noEndpoints
	}
	if parent != nil {
		backend.TLS.Certificate = parent.ClientCertificate
	}
}

func (at servicePort) source() ir.Source {
	return ir.Source{Kind: string(KindService), Namespace: at.service.Namespace, Name: at.service.Name, Section: strconv.Itoa(int(at.port))}
}

// find returns the Service and its port, or nil.
func (at servicePort) find(r Reader) (*corev1.Service, *corev1.ServicePort) {
	service := get[corev1.Service](r, at.service)
	if service == nil {
		return nil, nil
	}
	return service, findPort(service, at.port, at.protocol())
}

// serviceEndpoints collects the addresses of a Service port.
func serviceEndpoints(r Reader, at servicePort) *ir.Endpoints {
	out := &ir.Endpoints{Name: at.endpoints(), Source: at.source()}
	service, spec := at.find(r)
	switch {
	case spec == nil:
	case service.Spec.Type != corev1.ServiceTypeExternalName:
		out.Addresses = sliceEndpoints(r, at, spec.Name)
	case safeExternalName(r, service.Spec.ExternalName):
		out.Addresses = []ir.Endpoint{{Host: service.Spec.ExternalName, Port: port(spec.Port)}}
	}
	return out
}

// sliceEndpoints collects the addresses that the Service's EndpointSlices give
// for a named port. Endpoints that terminate but still serve are better than
// none (KEP-1669).
func sliceEndpoints(r Reader, at servicePort, name string) []ir.Endpoint {
	var ready, draining []ir.Endpoint
	for _, o := range r.List(Bucket{Relation: EndpointSlicesOf, Namespace: at.service.Namespace, Name: at.service.Name}) {
		slice, ok := o.(*discoveryv1.EndpointSlice)
		if !ok || slice.AddressType == discoveryv1.AddressTypeFQDN {
			continue
		}
		number, ok := slicePort(slice, name, at.protocol())
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
	if len(ready) == 0 {
		ready = draining
	}
	return sortEndpoints(ready)
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
// are the same pod, so the first is enough.
func endpointsOf(r Reader, endpoint *discoveryv1.Endpoint, port uint16) []ir.Endpoint {
	for _, address := range endpoint.Addresses {
		if ip, err := netip.ParseAddr(address); err == nil && safeAddress(r, ip) {
			return []ir.Endpoint{{Host: ip.Unmap().String(), Port: port, Zone: deref(endpoint.Zone, "")}}
		}
	}
	return nil
}

// safeAddress refuses addresses where no backend is: whoever may write slices
// must not reach the proxy's administration port through it.
func safeAddress(r Reader, ip netip.Addr) bool { return reach.Backend(ip, r.LocalBackends()) }

// sortEndpoints sorts endpoints and leaves repetitions out.
func sortEndpoints(endpoints []ir.Endpoint) []ir.Endpoint {
	slices.SortFunc(endpoints, func(a, b ir.Endpoint) int {
		return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Zone, b.Zone))
	})
	return slices.CompactFunc(endpoints, func(a, b ir.Endpoint) bool { return a.Host == b.Host && a.Port == b.Port })
}
