package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Values of a Service port's appProtocol (KEP-3726).
const (
	appProtocolH2C       = "kubernetes.io/h2c"
	appProtocolWebSocket = "kubernetes.io/ws"
	appProtocolTLSSocket = "kubernetes.io/wss"
	appProtocolDomain    = "kubernetes.io/"
)

// transport is how a route speaks to its backends.
type transport struct {
	h2c bool // in HTTP/2
	udp bool // by datagrams
	// mesh says that it is the client's own pod that speaks to them.
	mesh bool
}

// protocol is that of the Service ports which can be spoken to so.
func (t transport) protocol() corev1.Protocol {
	if t.udp {
		return corev1.ProtocolUDP
	}
	return corev1.ProtocolTCP
}

// resolveBackend resolves a reference to a Service port to the name of a
// Backend resource.
func resolveBackend(r Reader, from Key, ref gatewayv1.BackendObjectReference, field string, over transport) (string, *problem) {
	if deref(ref.Group, corev1.GroupName) != corev1.GroupName || deref(ref.Kind, gatewayv1.Kind(KindService)) != gatewayv1.Kind(KindService) {
		return "", &problem{string(gatewayv1.RouteReasonInvalidKind), fmt.Sprintf(
			"%s: %s in group %q is not supported; use a Service", field, short(string(deref(ref.Kind, gatewayv1.Kind(KindService)))), short(string(deref(ref.Group, ""))))}
	}
	key := Key{KindService, string(deref(ref.Namespace, gatewayv1.Namespace(from.Namespace))), string(ref.Name)}
	// What a pod may reach without a route is not for a ReferenceGrant to say (GEP-1294).
	if !over.mesh && !permitted(r, from, key) {
		return "", &problem{string(gatewayv1.RouteReasonRefNotPermitted), notPermitted(field, from, key)}
	}
	notFound := func(format string, args ...any) *problem {
		return &problem{string(gatewayv1.RouteReasonBackendNotFound), field + ": " + fmt.Sprintf(format, args...)}
	}
	service := get[corev1.Service](r, key)
	if service == nil {
		return "", notFound("Service %s/%s does not exist", key.Namespace, key.Name)
	}
	if ref.Port == nil {
		return "", notFound("port: a reference to a Service needs a port")
	}
	port := findPort(service, *ref.Port, over.protocol())
	if port == nil {
		return "", notFound("Service %s/%s has no %s port %d", key.Namespace, key.Name, over.protocol(), *ref.Port)
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName && !safeExternalName(r, service.Spec.ExternalName) {
		return "", notFound("Service %s/%s: externalName %q is not a DNS name outside of this cluster and machine", key.Namespace, key.Name, short(service.Spec.ExternalName))
	}
	if app := deref(port.AppProtocol, ""); strings.HasPrefix(app, appProtocolDomain) && app != appProtocolH2C && app != appProtocolWebSocket && app != appProtocolTLSSocket {
		return "", &problem{string(gatewayv1.RouteReasonUnsupportedProtocol), fmt.Sprintf(
			"%s: Service %s/%s port %d has appProtocol %q, which is not supported", field, key.Namespace, key.Name, *ref.Port, short(app))}
	}
	return servicePort{service: key, port: *ref.Port, h2c: over.h2c, udp: over.udp}.backend(), nil
}

// findPort returns the port of a Service with a number and protocol, or nil.
func findPort(service *corev1.Service, number int32, protocol corev1.Protocol) *corev1.ServicePort {
	for i, port := range service.Spec.Ports {
		if port.Port == number && cmp.Or(port.Protocol, corev1.ProtocolTCP) == protocol {
			return &service.Spec.Ports[i]
		}
	}
	return nil
}

// safeExternalName refuses names that lead back into the cluster, to the cloud's
// metadata or into the machine of the proxy: they would go around
// ReferenceGrants and network policies.
func safeExternalName(r Reader, name string) bool {
	host, ok := normalizeHost(strings.TrimSuffix(name, "."))
	if !ok || strings.HasPrefix(host, "*") {
		return false
	}
	labels := strings.Split(host, ".")
	if labels[len(labels)-1] == "localhost" {
		return r.LocalBackends()
	}
	return len(labels) > 1 && !slices.Contains(labels, "svc") && !strings.HasSuffix(host, "cluster.local") && host != metadataName
}

// metadataName is the name of a cloud's metadata.
const metadataName = "metadata.google.internal"
