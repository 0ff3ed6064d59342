package translate

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// Route translates a route of any kind and binds it to the listeners of its
// parents that are ours.
func Route(r Reader, key Key, options Options) Output {
	t := newRoute(r, key)
	if t == nil {
		return Output{}
	}
	t.protect(r)
	return t.attach(r, options)
}

// newRoute translates the rules of a route; nil: there is none.
func newRoute(r Reader, key Key) *route {
	switch o := r.Get(key).(type) {
	case *gatewayv1.HTTPRoute:
		return httpRoute(r, key, o)
	case *gatewayv1.GRPCRoute:
		return grpcRoute(r, key, o)
	case *gatewayv1.TLSRoute:
		return tlsRoute(r, key, o)
	case *gatewayv1.TCPRoute:
		return tcpRoute(r, key, o)
	case *gatewayv1.UDPRoute:
		return udpRoute(r, key, o)
	case *v1alpha1.LLMRoute:
		return llmRoute(r, key, o)
	}
	return nil
}

// route is what all kinds of routes have in common.
type route struct {
	key       Key
	object    Object
	parents   []gatewayv1.ParentReference
	hostnames []gatewayv1.Hostname
	rules     []ir.Rule
	// findings hold for every parent.
	findings []Finding
	// refused says that no rule is usable, so that the route is bound nowhere.
	refused bool
}

// find notes that a condition of the route is not as usual, for every parent.
func (t *route) find(condition gatewayv1.RouteConditionType, status metav1.ConditionStatus, reason, message string) {
	t.findings = append(t.findings, Finding{Condition: string(condition), Status: status, Reason: reason, Message: message})
}

// unresolved notes a reference that cannot be used.
func (t *route) unresolved(p *problem) {
	t.find(gatewayv1.RouteConditionResolvedRefs, metav1.ConditionFalse, p.reason, p.message)
}

// binding is a listener that a route is bound to, with the hostnames that both
// have.
type binding struct {
	gateway   Key
	owner     Key
	listener  ParentListener
	hostnames []string
	declared  []string
}

// attach binds a route to listeners of its parents. Parents that are not ours
// are left alone.
func (t *route) attach(r Reader, options Options) Output {
	var out Output
	report := Report{ControllerName: gatewayv1.GatewayController(options.ControllerName), Managed: true}
	seen := map[string]bool{}
	for i, ref := range t.parents {
		parent := t.parent(r, ref)
		if parent == nil {
			continue
		}
		report.Parents = append(report.Parents, ref)
		for _, b := range t.bindParent(r, i, parent, &report) {
			if !seen[b.listener.Resource] {
				seen[b.listener.Resource] = true
				t.outputBinding(b, &out)
			}
		}
	}
	if len(report.Parents) > 0 {
		out.Reports = []ObjectReport{{t.key, report}}
	}
	return out
}

// parent returns what a parent offers; nil: it is not ours.
func (t *route) parent(r Reader, ref gatewayv1.ParentReference) *Parent {
	key, ok := parentKey(ref, t.key.Namespace)
	if !ok {
		return nil
	}
	return r.Parent(key)
}

// bindParent returns the bindings to the listeners of one parent, and reports
// on it.
func (t *route) bindParent(r Reader, index int, parent *Parent, report *Report) []binding {
	ref := &t.parents[index]
	for _, f := range t.findings {
		f.Parent = ref
		report.add(f)
	}
	if t.refused {
		return nil
	}
	bindings, p := t.bind(r, *ref, index, parent)
	if p != nil {
		report.add(Finding{
			Parent: ref, Condition: string(gatewayv1.RouteConditionAccepted), Status: metav1.ConditionFalse,
			Reason: p.reason, Message: p.message,
		})
	}
	return bindings
}

func (t *route) outputBinding(b binding, out *Output) {
	out.Attached = append(out.Attached, ListenerKey{b.owner, b.listener.Section})
	if b.listener.Served {
		out.Resources = append(out.Resources, NodeResource{b.gateway, t.resource(b)})
	}
}

// parentKey returns the key of a parent that can be ours.
func parentKey(ref gatewayv1.ParentReference, namespace string) (Key, bool) {
	kind := Kind(deref(ref.Kind, gatewayv1.Kind(KindGateway)))
	if deref(ref.Group, gatewayv1.GroupName) != gatewayv1.GroupName || (kind != KindGateway && kind != KindListenerSet) {
		return Key{}, false
	}
	return Key{kind, string(deref(ref.Namespace, gatewayv1.Namespace(namespace))), string(ref.Name)}, true
}

// bind returns the listeners of one parent that take the route, or why none
// does.
func (t *route) bind(r Reader, ref gatewayv1.ParentReference, index int, parent *Parent) ([]binding, *problem) {
	field := fmt.Sprintf("spec.parentRefs[%d]", index)
	named := matchingListeners(ref, parent)
	if len(named) == 0 {
		return nil, &problem{string(gatewayv1.RouteReasonNoMatchingParent), field + ": " + noListener(ref, parent)}
	}
	var allowed []ParentListener
	for _, l := range named {
		if l.Accepted && slices.Contains(l.Kinds, t.key.Kind) && namespaceAllowed(r, l.From, l.Selector, parent.Key.Namespace, t.key.Namespace) {
			allowed = append(allowed, l)
		}
	}
	if len(allowed) == 0 {
		return nil, &problem{string(gatewayv1.RouteReasonNotAllowedByListeners), fmt.Sprintf(
			"%s: no listener of %s that is accepted allows %s from namespace %s; see allowedRoutes and the conditions of its listeners", field, parent.Key, t.key.Kind, t.key.Namespace)}
	}
	var out []binding
	for _, l := range allowed {
		hostnames, declared, ok := t.intersect(l.Hostname)
		if ok {
			out = append(out, binding{parent.Gateway, parent.Key, l, hostnames, declared})
		}
	}
	if len(out) == 0 {
		return nil, &problem{string(gatewayv1.RouteReasonNoMatchingListenerHostname), fmt.Sprintf(
			"spec.hostnames: none fits the hostname of a listener of %s", parent.Key)}
	}
	return out, nil
}

func matchingListeners(ref gatewayv1.ParentReference, parent *Parent) []ParentListener {
	var out []ParentListener
	for _, l := range parent.Listeners {
		if (ref.SectionName == nil || *ref.SectionName == "" || string(*ref.SectionName) == l.Section) && (ref.Port == nil || *ref.Port == l.Port) {
			out = append(out, l)
		}
	}
	return out
}

func noListener(ref gatewayv1.ParentReference, parent *Parent) string {
	what := "no listener"
	if ref.SectionName != nil && *ref.SectionName != "" {
		what = fmt.Sprintf("no listener named %q", *ref.SectionName)
	}
	if ref.Port != nil {
		what += fmt.Sprintf(" with port %d", *ref.Port)
	}
	return fmt.Sprintf("%s has %s", parent.Key, what)
}

// intersect returns the hostnames that the route and a listener have in
// common, sorted, and for each the route's own hostname that it came from. No
// hostnames and ok mean every host.
func (t *route) intersect(listener string) (hostnames, declared []string, ok bool) {
	if len(t.hostnames) == 0 {
		if listener == "" {
			return nil, nil, true
		}
		return []string{listener}, []string{""}, true
	}
	from := t.declaredHosts(listener)
	hostnames = slices.Sorted(maps.Keys(from))
	differs := false
	for _, host := range hostnames {
		declared = append(declared, from[host])
		differs = differs || from[host] != host
	}
	if !differs {
		declared = nil
	}
	return hostnames, declared, len(hostnames) > 0
}

// declaredHosts maps the hostnames that the route and a listener have in common
// to the route's own, the more general of two.
func (t *route) declaredHosts(listener string) map[string]string {
	from := map[string]string{}
	for _, h := range t.hostnames {
		own, valid := normalizeHost(string(h))
		if !valid {
			continue
		}
		host, overlap := intersectHosts(own, listener)
		if before, twice := from[host]; overlap && (!twice || covers(before, own)) {
			from[host] = own
		}
	}
	return from
}

// checkHostnames notes hostnames that can match nothing.
func (t *route) checkHostnames() {
	valid := 0
	for i, h := range t.hostnames {
		if _, ok := normalizeHost(string(h)); ok {
			valid++
			continue
		}
		t.find(gatewayv1.RouteConditionPartiallyInvalid, metav1.ConditionTrue, string(gatewayv1.RouteReasonUnsupportedValue),
			fmt.Sprintf(`Dropped hostname: spec.hostnames[%d]: %q is neither a DNS name nor "*." and a DNS name`, i, short(string(h))))
	}
	if valid == 0 && len(t.hostnames) > 0 {
		t.refuse(string(gatewayv1.RouteReasonUnsupportedValue), "spec.hostnames: none is a DNS name")
	}
}

// refuse makes the route not accepted by any parent.
func (t *route) refuse(reason, message string) {
	t.refused = true
	t.findings = slices.DeleteFunc(t.findings, func(f Finding) bool {
		return f.Condition == string(gatewayv1.RouteConditionPartiallyInvalid)
	})
	t.find(gatewayv1.RouteConditionAccepted, metav1.ConditionFalse, reason, message)
}

// resource returns the route as bound to one listener.
func (t *route) resource(b binding) *ir.Route {
	return &ir.Route{
		Name:      strings.ToLower(string(t.key.Kind)) + "/" + t.key.Namespace + "/" + t.key.Name + "@" + b.listener.Resource,
		Source:    ir.Source{Kind: string(t.key.Kind), Namespace: t.key.Namespace, Name: t.key.Name},
		Listener:  b.listener.Resource,
		Hostnames: b.hostnames,
		Declared:  b.declared,
		Created:   created(t.object),
		Rules:     t.rules,
	}
}

// created returns an object's creation time in Unix seconds, zero if it has none.
func created(o metav1.Object) int64 {
	if at := o.GetCreationTimestamp(); !at.IsZero() {
		return at.Unix()
	}
	return 0
}
