package translate

import (
	"fmt"
	"strconv"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// tlsRoute translates a TLSRoute: connections go to backends by server name.
func tlsRoute(r Reader, key Key, object *gatewayv1.TLSRoute) *route {
	t := &route{key: key, object: object, parents: object.Spec.ParentRefs, hostnames: object.Spec.Hostnames}
	t.checkHostnames()
	rules := &ruleSet{route: t, reader: r}
	for i, rule := range object.Spec.Rules {
		rules.addStream(i, rule.Name, rule.BackendRefs, transport{})
	}
	rules.done()
	return t
}

// tcpRoute translates a TCPRoute: every connection of a listener goes to its
// backends. Of several on one listener the oldest is in force.
func tcpRoute(r Reader, key Key, object *gatewayv1.TCPRoute) *route {
	t := &route{key: key, object: object, parents: object.Spec.ParentRefs}
	rules := &ruleSet{route: t, reader: r}
	for i, rule := range object.Spec.Rules {
		rules.addStream(i, rule.Name, rule.BackendRefs, transport{})
	}
	rules.done()
	return t
}

// udpRoute translates a UDPRoute: every client of a listener goes to its
// backends. Of several on one listener the oldest is in force.
func udpRoute(r Reader, key Key, object *gatewayv1.UDPRoute) *route {
	t := &route{key: key, object: object, parents: object.Spec.ParentRefs}
	rules := &ruleSet{route: t, reader: r}
	for i, rule := range object.Spec.Rules {
		rules.addStream(i, rule.Name, rule.BackendRefs, transport{udp: true})
	}
	rules.done()
	return t
}

// addStream adds a rule that shares connections, or clients, among backends.
func (s *ruleSet) addStream(index int, name *gatewayv1.SectionName, refs []gatewayv1.BackendRef, over transport) {
	b := ruleBuilder{reader: s.reader, from: s.route.key, field: fmt.Sprintf("spec.rules[%d]", index), over: over}
	b.rule.Name = string(deref(name, gatewayv1.SectionName(strconv.Itoa(index))))
	for i, ref := range refs {
		b.backend(ref, fmt.Sprintf(".backendRefs[%d]", i), func() []ir.Filter { return nil })
	}
	s.add(&b)
}
