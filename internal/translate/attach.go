package translate

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Route translates a route of any kind and binds it to the listeners of its
// parents that are ours. Parents that are not are left alone.
func Route(r Reader, key Key, options Options) Output {
	a := &attachment{reader: r, key: key, seen: map[string]bool{}}
	a.report = Report{ControllerName: gatewayv1.GatewayController(options.ControllerName), Managed: true}
	refs := parentRefsOf(r.Get(key))
	for i := range refs {
		if parent := routeParent(r, refs[i], key, options); parent != nil {
			a.attach(parentRef{&refs[i], fmt.Sprintf("spec.parentRefs[%d]", i)}, parent)
		}
	}
	if len(a.report.Parents) > 0 {
		a.out.Reports = []ObjectReport{{key, a.report}}
	}
	return a.out
}

// routeParent returns what a parent of a route offers; nil: it is not ours. In
// a mesh all Services are, also one that does not exist.
func routeParent(r Reader, ref gatewayv1.ParentReference, route Key, options Options) *Parent {
	key, ok := parentKey(ref, route.Namespace)
	if !ok || key.Kind == KindService && !options.Mesh {
		return nil
	}
	parent := r.Parent(key)
	switch {
	case key.Kind != KindService:
	case !routesServices(route.Kind):
		return &Parent{Key: key, Refused: "takes HTTPRoutes and GRPCRoutes only"}
	case parent == nil:
		return &Parent{Key: key, Refused: "does not exist"}
	}
	return parent
}

// parentKey returns the key of a parent that can be ours.
func parentKey(ref gatewayv1.ParentReference, namespace string) (Key, bool) {
	kind := Kind(deref(ref.Kind, gatewayv1.Kind(KindGateway)))
	supported := kind == KindGateway || kind == KindListenerSet || kind == KindService
	key := Key{kind, string(deref(ref.Namespace, gatewayv1.Namespace(namespace))), string(ref.Name)}
	return key, supported && string(deref(ref.Group, gatewayv1.GroupName)) == groupOf(kind)
}

// parentRef is a parentRef of a route and where it is, for messages.
type parentRef struct {
	*gatewayv1.ParentReference
	field string
}

// attachment binds a route to its parents. The route is translated once as
// Gateways serve it and once as a mesh does, if it has such parents.
type attachment struct {
	reader        Reader
	key           Key
	gateway, mesh *route
	seen          map[string]bool // names of listeners
	report        Report
	out           Output
}

// route returns the route as it is for a kind of parent.
func (a *attachment) route(parent Kind) *route {
	t := &a.gateway
	if parent == KindService {
		t = &a.mesh
	}
	if *t == nil {
		*t = newRoute(a.reader, a.key, transport{mesh: parent == KindService})
		(*t).protect(a.reader)
	}
	return *t
}

// attach binds the route to the listeners of one parent, and reports on it.
func (a *attachment) attach(ref parentRef, parent *Parent) {
	a.report.Parents = append(a.report.Parents, *ref.ParentReference)
	t := a.route(parent.Key.Kind)
	for _, f := range t.findings {
		f.Parent = ref.ParentReference
		a.report.add(f)
	}
	if t.refused {
		return
	}
	var bindings []binding
	var p *problem
	if parent.Key.Kind == KindService {
		bindings, p = t.bindService(ref, parent)
	} else {
		bindings, p = t.bind(a.reader, ref, parent)
	}
	if p != nil {
		a.tell(ref, p, len(bindings) > 0)
	}
	for _, b := range bindings {
		a.output(t, b)
	}
}

// tell reports why a parent does not accept the route, or what is to be said
// although it does.
func (a *attachment) tell(ref parentRef, p *problem, accepted bool) {
	status := metav1.ConditionFalse
	if accepted {
		status = metav1.ConditionTrue
	}
	a.report.add(Finding{
		Parent: ref.ParentReference, Condition: string(gatewayv1.RouteConditionAccepted), Status: status,
		Reason: p.reason, Message: p.message,
	})
}

// binding is a listener that a route is bound to, with the hostnames that both
// have.
type binding struct {
	node      Key          // zero: the route is in force nowhere
	resource  string       // name of the ir.Listener
	counted   *ListenerKey // whose status counts the route; nil: nobody's
	hostnames []string
	declared  []string
}

// output adds the route as bound to a listener.
func (a *attachment) output(t *route, b binding) {
	if a.seen[b.resource] {
		return
	}
	a.seen[b.resource] = true
	if b.counted != nil {
		a.out.Attached = append(a.out.Attached, *b.counted)
	}
	if b.node != (Key{}) {
		a.out.Resources = append(a.out.Resources, NodeResource{b.node, t.resource(b)})
	}
}

// bind returns the listeners of a Gateway or ListenerSet that take the route,
// or why none does.
func (t *route) bind(r Reader, ref parentRef, parent *Parent) ([]binding, *problem) {
	named := matchingListeners(*ref.ParentReference, parent)
	if len(named) == 0 {
		return nil, &problem{string(gatewayv1.RouteReasonNoMatchingParent), ref.field + ": " + noListener(ref, parent)}
	}
	var allowed []ParentListener
	for _, l := range named {
		if l.Accepted && slices.Contains(l.Kinds, t.key.Kind) && namespaceAllowed(r, l.From, l.Selector, parent.Key.Namespace, t.key.Namespace) {
			allowed = append(allowed, l)
		}
	}
	if len(allowed) == 0 {
		return nil, &problem{string(gatewayv1.RouteReasonNotAllowedByListeners), fmt.Sprintf(
			"%s: no listener of %s that is accepted allows %s from namespace %s; see allowedRoutes and the conditions of its listeners", ref.field, parent.Key, t.key.Kind, t.key.Namespace)}
	}
	var out []binding
	for _, l := range allowed {
		hostnames, declared, ok := t.intersect(l.Hostname)
		if ok {
			out = append(out, binding{l.node(parent), l.Resource, &ListenerKey{parent.Key, l.Section}, hostnames, declared})
		}
	}
	if len(out) == 0 {
		return nil, &problem{string(gatewayv1.RouteReasonNoMatchingListenerHostname), fmt.Sprintf(
			"spec.hostnames: none fits the hostname of a listener of %s", parent.Key)}
	}
	return out, nil
}

// node returns the node that serves the listener: the Gateway's, or zero for none.
func (l ParentListener) node(parent *Parent) Key {
	if !l.Served {
		return Key{}
	}
	return parent.Root
}

func matchingListeners(ref gatewayv1.ParentReference, parent *Parent) []ParentListener {
	var out []ParentListener
	for _, l := range parent.Listeners {
		if names(ref, l.Section, l.Port) {
			out = append(out, l)
		}
	}
	return out
}

// names says whether a parentRef is for a part of its parent: it may name all,
// or one by name, by port or both.
func names(ref gatewayv1.ParentReference, section string, port int32) bool {
	own := string(deref(ref.SectionName, ""))
	return (own == "" || own == section) && (ref.Port == nil || *ref.Port == port)
}

func noListener(ref parentRef, parent *Parent) string {
	what := "no listener"
	if ref.SectionName != nil && *ref.SectionName != "" {
		what += fmt.Sprintf(" named %q", *ref.SectionName)
	}
	if ref.Port != nil {
		what += fmt.Sprintf(" with port %d", *ref.Port)
	}
	return fmt.Sprintf("%s has %s", parent.Key, what)
}
