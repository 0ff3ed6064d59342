package translate

import (
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// ReasonConflicted says that a route gives way to one of another kind on the
// same Service port (GEP-1294).
const ReasonConflicted = "Conflicted"

// routesServices says whether routes of a kind can have a Service as parent.
func routesServices(kind Kind) bool { return kind == KindHTTPRoute || kind == KindGRPCRoute }

// ServicesOf returns the Services that a route names as parents.
func ServicesOf(o Object) []Key {
	var out []Key
	for _, ref := range parentRefsOf(o) {
		key, ok := parentKey(ref, o.GetNamespace())
		if ok && key.Kind == KindService && !slices.Contains(out, key) {
			out = append(out, key)
		}
	}
	return out
}

// RoutesOf returns the bucket of the routes that name a Service as parent.
func RoutesOf(service Key) Bucket {
	return Bucket{Relation: MeshRoutesOf, Namespace: service.Namespace, Name: service.Name}
}

// meshRouteBuckets returns the buckets of a route.
func meshRouteBuckets(o Object) []Bucket {
	var out []Bucket
	for _, service := range ServicesOf(o) {
		out = append(out, RoutesOf(service))
	}
	return out
}

// hostnames returns the hostnames of a route that count. In a mesh none does:
// it is the address that tells which Service is meant (GEP-1294).
func (t transport) hostnames(all []gatewayv1.Hostname) []gatewayv1.Hostname {
	if t.mesh {
		return nil
	}
	return all
}

// bindService returns the ports of a Service that take the route, or why none
// does. What is to be said although some do is a problem of reason Accepted.
func (t *route) bindService(ref parentRef, parent *Parent) ([]binding, *problem) {
	ports, refused := openPorts(ref, parent)
	if len(ports) == 0 {
		return nil, &problem{string(gatewayv1.RouteReasonNoMatchingParent), fmt.Sprintf("%s: %s %s", ref.field, parent.Key, refused)}
	}
	var out []binding
	var others []string
	var kind Kind
	for _, p := range ports {
		group := p.group(t.key.Namespace)
		if group.Kind != t.key.Kind {
			kind, others = group.Kind, append(others, fmt.Sprint(p.Port))
			continue
		}
		out = append(out, binding{node: group.Node, resource: p.Resource})
	}
	if len(others) > 0 {
		return out, conflict(out, fmt.Sprintf("%s: on port %s of %s a %s is in force, and kinds of routes are not mixed", ref.field, strings.Join(others, ", "), parent.Key, kind))
	}
	return out, t.nowhere(ref, out)
}

// openPorts returns the ports of a Service that a parentRef is for and that take
// routes, or why there is none.
func openPorts(ref parentRef, parent *Parent) (ports []MeshPort, refused string) {
	if parent.Refused != "" {
		return nil, parent.Refused
	}
	refused = noPort(ref)
	for _, p := range parent.Ports {
		switch {
		case !names(*ref.ParentReference, p.Name, p.Port):
		case p.Refused != "":
			refused = p.Refused
		default:
			ports = append(ports, p)
		}
	}
	return ports, refused
}

func noPort(ref parentRef) string {
	what := "has no TCP port"
	if ref.Port != nil {
		what += fmt.Sprintf(" %d", *ref.Port)
	}
	if ref.SectionName != nil && *ref.SectionName != "" {
		what += fmt.Sprintf(" named %q", *ref.SectionName)
	}
	return what
}

// conflict is what is said of ports that other routes have.
func conflict(bound []binding, message string) *problem {
	if len(bound) > 0 {
		return &problem{string(gatewayv1.RouteReasonAccepted), message}
	}
	return &problem{ReasonConflicted, message}
}

// nowhere tells of a route that no pod of the mesh uses; nil: some may.
func (t *route) nowhere(ref parentRef, bound []binding) *problem {
	if slices.ContainsFunc(bound, func(b binding) bool { return b.node != Key{} }) {
		return nil
	}
	message := "no namespace without routes of its own for this Service is in the mesh; label one"
	if key, _ := parentKey(*ref.ParentReference, t.key.Namespace); key.Namespace != t.key.Namespace {
		message = fmt.Sprintf("the route is for clients in its own namespace, and %s is not in the mesh; label it", t.key.Namespace)
	}
	return &problem{string(gatewayv1.RouteReasonAccepted), fmt.Sprintf(
		"%s: not in force: %s %s=%s", ref.field, message, v1alpha1.LabelInjection, v1alpha1.InjectionEnabled)}
}

// group returns the routes of a namespace that apply to the port.
func (p MeshPort) group(namespace string) MeshGroup {
	i := slices.IndexFunc(p.Groups, func(g MeshGroup) bool { return g.Namespace == namespace })
	if i < 0 {
		return MeshGroup{}
	}
	return p.Groups[i]
}
