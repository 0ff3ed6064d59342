package translate

import (
	"fmt"
	"strconv"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// tlsRoute translates a TLSRoute: connections go to backends by server name.
func tlsRoute(r Reader, key Key, object *gatewayv1.TLSRoute) *route {
	t := &route{key: key, object: object, hostnames: object.Spec.Hostnames}
	t.checkHostnames()
	addStreams(r, t, object.Spec.Rules, transport{})
	return t
}

// tcpRoute translates a TCPRoute: every connection of a listener goes to its
// backends. Of several on one listener the oldest is in force.
func tcpRoute(r Reader, key Key, object *gatewayv1.TCPRoute) *route {
	t := &route{key: key, object: object}
	addStreams(r, t, object.Spec.Rules, transport{})
	return t
}

// udpRoute translates a UDPRoute: every client of a listener goes to its
// backends. Of several on one listener the oldest is in force.
func udpRoute(r Reader, key Key, object *gatewayv1.UDPRoute) *route {
	t := &route{key: key, object: object}
	addStreams(r, t, object.Spec.Rules, transport{udp: true})
	return t
}

// streamRule is a rule of a route that shares connections, or clients, among
// backends. The kinds differ in name alone.
type streamRule interface {
	gatewayv1.TLSRouteRule | gatewayv1.TCPRouteRule | gatewayv1.UDPRouteRule
}

// addStreams translates the rules of such a route.
func addStreams[R streamRule](r Reader, t *route, in []R, over transport) {
	rules := &ruleSet{route: t}
	for i := range in {
		rule := gatewayv1.TCPRouteRule(in[i])
		b := ruleBuilder{reader: r, from: t.key, field: fmt.Sprintf("spec.rules[%d]", i), over: over}
		b.rule.Name = string(deref(rule.Name, gatewayv1.SectionName(strconv.Itoa(i))))
		for j, ref := range rule.BackendRefs {
			b.backend(ref, fmt.Sprintf(".backendRefs[%d]", j), func() []ir.Filter { return nil })
		}
		rules.add(&b)
	}
	rules.done()
}
