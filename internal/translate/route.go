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

// newRoute translates the rules of a route; nil: there is none. Of over only
// mesh counts.
func newRoute(r Reader, key Key, over transport) *route {
	switch o := r.Get(key).(type) {
	case *gatewayv1.HTTPRoute:
		return httpRoute(r, key, o, over)
	case *gatewayv1.GRPCRoute:
		return grpcRoute(r, key, o, over)
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

// parentRefsOf returns the parents of a route of any kind; nil is no route.
func parentRefsOf(o Object) []gatewayv1.ParentReference {
	switch o := o.(type) {
	case *gatewayv1.HTTPRoute:
		return o.Spec.ParentRefs
	case *gatewayv1.GRPCRoute:
		return o.Spec.ParentRefs
	case *gatewayv1.TLSRoute:
		return o.Spec.ParentRefs
	case *gatewayv1.TCPRoute:
		return o.Spec.ParentRefs
	case *gatewayv1.UDPRoute:
		return o.Spec.ParentRefs
	case *v1alpha1.LLMRoute:
		return o.Spec.ParentRefs
	}
	return nil
}

// route is what all kinds of routes have in common.
type route struct {
	key       Key
	object    Object
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
		Name:      strings.ToLower(string(t.key.Kind)) + "/" + t.key.Namespace + "/" + t.key.Name + "@" + b.resource,
		Source:    ir.Source{Kind: string(t.key.Kind), Namespace: t.key.Namespace, Name: t.key.Name},
		Listener:  b.resource,
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
