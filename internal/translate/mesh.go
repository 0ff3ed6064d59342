package translate

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// Namespace says whether a namespace is in the mesh, and so has a node for the
// sidecars of its pods.
func Namespace(r Reader, key Key, options Options) Output {
	namespace := get[corev1.Namespace](r, key)
	return Output{Node: options.Mesh && namespace != nil && meshed(namespace)}
}

func meshed(namespace *corev1.Namespace) bool {
	return namespace.Labels[v1alpha1.LabelInjection] == v1alpha1.InjectionEnabled
}

// WholeMesh stands for the nodes of all namespaces in the mesh. What is made for
// it is in each of them, but for the routes of a listener that the namespace has
// routes of its own for, and what only those refer to.
func WholeMesh() Key { return Key{Kind: KindNamespace} }

// Service translates a Service that routes name as parent: a listener for each
// port that a route is for, in each node that the route is for (GEP-1294).
func Service(r Reader, key Key, options Options) Output {
	service := get[corev1.Service](r, key)
	routes := r.List(RoutesOf(key))
	if !options.Mesh || service == nil || len(routes) == 0 {
		return Output{}
	}
	parent := &Parent{Key: key, Root: key, Refused: frontless(service)}
	out := Output{Parents: []*Parent{parent}}
	if parent.Refused != "" {
		return out
	}
	claims, members := claimsOn(key, routes), r.List(Bucket{Relation: MeshNamespaces})
	for _, port := range service.Spec.Ports {
		if port.Protocol != "" && port.Protocol != corev1.ProtocolTCP {
			continue
		}
		mesh := meshPort(key, port)
		if mesh.Refused == "" {
			mesh.Groups = groups(claims.on(mesh), key.Namespace, members)
		}
		parent.Ports = append(parent.Ports, mesh)
		out.Resources = append(out.Resources, mesh.listeners(service, deref(port.AppProtocol, "") == "")...)
	}
	return out
}

// frontless says why no connection can be told to be for a Service; empty: it
// can.
func frontless(service *corev1.Service) string {
	switch {
	case service.Spec.Type == corev1.ServiceTypeExternalName:
		return "is of type ExternalName, which has no cluster IP; use a Service that has one"
	case service.Spec.ClusterIP == corev1.ClusterIPNone:
		return "is headless: without a cluster IP nothing tells that a connection is for it"
	}
	return ""
}

// meshPort returns a port of a Service without the routes.
func meshPort(service Key, port corev1.ServicePort) MeshPort {
	out := MeshPort{
		Name: port.Name, Port: port.Port,
		Resource: fmt.Sprintf("mesh/%s/%s/%d", service.Namespace, service.Name, port.Port),
	}
	if app := deref(port.AppProtocol, ""); app != "" && !speaksHTTP(app) {
		out.Refused = fmt.Sprintf("has appProtocol %q on port %d, for which there are no HTTP routes", short(app), port.Port)
	}
	return out
}

// speaksHTTP says whether an appProtocol is HTTP in clear text (KEP-3726, and
// the service names of IANA as they are used for it).
func speaksHTTP(app string) bool {
	switch strings.ToLower(app) {
	case "http", "http2", "h2c", "grpc", "grpc-web", "ws", appProtocolH2C, appProtocolWebSocket:
		return true
	}
	return false
}

// listeners returns the port's listener for wherever routes are in force.
func (p MeshPort) listeners(service *corev1.Service, sniff bool) []NodeResource {
	addresses := clusterIPs(service)
	if len(addresses) == 0 {
		return nil // none is assigned yet
	}
	listener := &ir.Listener{
		Name:      p.Resource,
		Source:    ir.Source{Kind: string(KindService), Namespace: service.Namespace, Name: service.Name, Section: strconv.Itoa(int(p.Port))},
		Port:      port(p.Port),
		Addresses: addresses,
		Protocol:  ir.ProtocolHTTP,
		Sniff:     sniff,
	}
	var out []NodeResource
	for _, group := range p.Groups {
		if group.Node != (Key{}) {
			out = append(out, NodeResource{group.Node, listener})
		}
	}
	return out
}

// clusterIPs returns the addresses of a Service, of both families.
func clusterIPs(service *corev1.Service) []netip.Addr {
	values := service.Spec.ClusterIPs
	if len(values) == 0 {
		values = []string{service.Spec.ClusterIP}
	}
	var out []netip.Addr
	for _, value := range values {
		if ip, err := netip.ParseAddr(value); err == nil {
			out = append(out, ip)
		}
	}
	return out
}

// claim is a route's wish to apply to a Service.
type claim struct {
	namespace string
	kind      Kind
	ref       gatewayv1.ParentReference
}

type claims []claim

// claimsOn returns the claims of the routes that can be accepted.
func claimsOn(service Key, routes []Object) claims {
	var out claims
	for _, o := range routes {
		key, _ := KeyOf(o)
		if t := newRoute(alone{o}, key, transport{mesh: true}); t == nil || t.refused {
			continue
		}
		for _, ref := range parentRefsOf(o) {
			if parent, ok := parentKey(ref, key.Namespace); ok && parent == service {
				out = append(out, claim{key.Namespace, key.Kind, ref})
			}
		}
	}
	return out
}

// on returns the kind of the routes that apply to a port, by their namespace.
// Kinds are not mixed: GRPCRoute goes before HTTPRoute (GEP-1294).
func (c claims) on(port MeshPort) map[string]Kind {
	out := map[string]Kind{}
	for _, claim := range c {
		if names(claim.ref, port.Name, port.Port) && out[claim.namespace] != KindGRPCRoute {
			out[claim.namespace] = claim.kind
		}
	}
	return out
}

// groups says where the routes of each namespace are in force: in that of the
// Service they are for all members of the mesh that have none of their own.
func groups(kinds map[string]Kind, producer string, members []Object) []MeshGroup {
	out := make([]MeshGroup, 0, len(kinds))
	for namespace, kind := range kinds {
		group := MeshGroup{Namespace: namespace, Kind: kind}
		inForce := func(member Object) bool { return member.GetName() == namespace }
		node := Key{Kind: KindNamespace, Name: namespace}
		if namespace == producer {
			node = WholeMesh()
			inForce = func(member Object) bool {
				_, own := kinds[member.GetName()]
				return !own || member.GetName() == producer
			}
		}
		if slices.ContainsFunc(members, inForce) {
			group.Node = node
		}
		out = append(out, group)
	}
	slices.SortFunc(out, func(a, b MeshGroup) int { return strings.Compare(a.Namespace, b.Namespace) })
	return out
}

// alone is a world of one object. It is enough to tell whether a route can be
// accepted, for that does not depend on what it refers to.
type alone struct{ object Object }

// Get implements [Reader].
func (a alone) Get(key Key) Object {
	if own, _ := KeyOf(a.object); own == key {
		return a.object
	}
	return nil
}

// List implements [Reader].
func (alone) List(Bucket) []Object { return nil }

// Parent implements [Reader].
func (alone) Parent(Key) *Parent { return nil }

// LocalBackends implements [Reader].
func (alone) LocalBackends() bool { return false }
