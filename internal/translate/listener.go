package translate

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// listener is a listener of the Gateway that is being translated, or of one of
// its ListenerSets.
type listener struct {
	owner    Key
	name     string // of the resource
	spec     gatewayv1.Listener
	hostname string
	kinds    []gatewayv1.RouteGroupKind
	tls      *ir.ServerTLS
	policies []string // names of resources
	limits   []string // the same
	prices   string   // the same
	findings []Finding
	// accepted says that routes may be bound, resolved that all references are
	// good, served that proxies get the listener.
	accepted, resolved, served bool
}

// find notes that a condition of the listener is not as usual.
func (l *listener) find(condition gatewayv1.ListenerConditionType, status metav1.ConditionStatus, reason gatewayv1.ListenerConditionReason, message string) {
	l.findings = append(l.findings, Finding{
		Section: string(l.spec.Name), Condition: string(condition), Status: status, Reason: string(reason), Message: message,
	})
}

// refuse makes the listener not accepted and not served.
func (l *listener) refuse(reason gatewayv1.ListenerConditionReason, message string) {
	l.accepted = false
	l.find(gatewayv1.ListenerConditionAccepted, metav1.ConditionFalse, reason, message)
	programmed := gatewayv1.ListenerReasonInvalid
	if reason == gatewayv1.ListenerReasonHostnameConflict || reason == gatewayv1.ListenerReasonProtocolConflict {
		programmed = reason
	}
	l.stop(programmed, "the listener is not accepted")
}

// stop makes the listener not served.
func (l *listener) stop(reason gatewayv1.ListenerConditionReason, message string) {
	l.served = false
	l.find(gatewayv1.ListenerConditionProgrammed, metav1.ConditionFalse, reason, message)
}

// unresolved notes a reference that cannot be used.
func (l *listener) unresolved(reason gatewayv1.ListenerConditionReason, message string) {
	l.resolved = false
	l.find(gatewayv1.ListenerConditionResolvedRefs, metav1.ConditionFalse, reason, message)
}

// parentListener returns what routes need to know of the listener.
func (l *listener) parentListener() ParentListener {
	out := ParentListener{
		Section: string(l.spec.Name), Resource: l.name, Port: l.spec.Port, Hostname: l.hostname,
		From: gatewayv1.NamespacesFromSame, Accepted: l.accepted, Served: l.served,
	}
	for _, kind := range l.kinds {
		out.Kinds = append(out.Kinds, Kind(kind.Kind))
	}
	if allowed := l.spec.AllowedRoutes; allowed != nil && allowed.Namespaces != nil && allowed.Namespaces.From != nil {
		out.From, out.Selector = *allowed.Namespaces.From, allowed.Namespaces.Selector
	}
	return out
}

// addListeners appends an object's listeners. A second listener of the same
// name is left out, for a status could not tell them apart.
func (t *gatewayTranslation) addListeners(owner Key, specs []gatewayv1.Listener, report *Report) {
	seen := map[gatewayv1.SectionName]bool{}
	for i, spec := range specs {
		if seen[spec.Name] {
			report.add(Finding{
				Condition: string(gatewayv1.GatewayConditionAccepted), Status: metav1.ConditionTrue,
				Reason:  string(gatewayv1.GatewayReasonListenersNotValid),
				Message: fmt.Sprintf("spec.listeners[%d].name: %q is used twice; the second listener is ignored", i, short(string(spec.Name))),
			})
			continue
		}
		seen[spec.Name] = true
		l := &listener{owner: owner, spec: spec, accepted: true, resolved: true, served: true}
		l.name = t.key.Namespace + "/" + t.key.Name + "/" + string(spec.Name)
		if owner != t.key {
			l.name = t.key.Namespace + "/" + t.key.Name + "/" + owner.Namespace + "/" + owner.Name + "/" + string(spec.Name)
		}
		if spec.Hostname != nil && namesHost(spec.Protocol) {
			l.hostname = strings.ToLower(string(*spec.Hostname))
		}
		t.listeners = append(t.listeners, l)
	}
}

// namesHost says whether clients of a protocol name a host, so that listeners
// can be told apart by it.
func namesHost(p gatewayv1.ProtocolType) bool {
	return p != gatewayv1.TCPProtocolType && p != gatewayv1.UDPProtocolType
}

// checkConflicts refuses listeners that cannot share a port with one of higher
// precedence. Those that are invalid by themselves take nothing away from
// others.
func (t *gatewayTranslation) checkConflicts() {
	type bind struct {
		port int32
		udp  bool
	}
	protocols := map[bind]*listener{}
	hosts := map[bind]map[string]*listener{}
	for _, l := range t.listeners {
		at := bind{l.spec.Port, l.spec.Protocol == gatewayv1.UDPProtocolType}
		if first := protocols[at]; first != nil && !sharePort(first.spec.Protocol, l.spec.Protocol) {
			l.conflict(gatewayv1.ListenerReasonProtocolConflict, fmt.Sprintf("port %d is used with protocol %s by listener %s; use another port", l.spec.Port, first.spec.Protocol, first.label()))
			continue
		}
		if first := hosts[at][l.hostname]; first != nil {
			l.conflict(gatewayv1.ListenerReasonHostnameConflict, fmt.Sprintf("port %d and hostname %q are used by listener %s; use another port or hostname", l.spec.Port, l.hostname, first.label()))
			continue
		}
		if !l.checkSpec() {
			continue
		}
		protocols[at] = l
		if hosts[at] == nil {
			hosts[at] = map[string]*listener{}
		}
		hosts[at][l.hostname] = l
	}
}

// sharePort says whether listeners of two protocols can be told apart on one
// port: both by server name, or both by host.
func sharePort(a, b gatewayv1.ProtocolType) bool {
	byName := func(p gatewayv1.ProtocolType) bool {
		return p == gatewayv1.HTTPSProtocolType || p == gatewayv1.TLSProtocolType
	}
	return a == b || byName(a) && byName(b)
}

func (l *listener) label() string {
	return fmt.Sprintf("%s of %s %s/%s", l.spec.Name, l.owner.Kind, l.owner.Namespace, l.owner.Name)
}

func (l *listener) conflict(reason gatewayv1.ListenerConditionReason, message string) {
	l.refuse(reason, message)
	l.find(gatewayv1.ListenerConditionConflicted, metav1.ConditionTrue, reason, message)
}

// checkSpec refuses a listener whose own fields are wrong.
func (l *listener) checkSpec() bool {
	_, hostOK := normalizeHost(l.hostname)
	switch {
	case supportedKinds(l.spec.Protocol) == nil:
		l.refuse(gatewayv1.ListenerReasonUnsupportedProtocol, fmt.Sprintf("protocol: %q is not supported; use HTTP, HTTPS, TLS, TCP or UDP", short(string(l.spec.Protocol))))
	case port(l.spec.Port) == 0:
		l.refuse(gatewayv1.ListenerReasonUnsupportedValue, fmt.Sprintf("port: %d is not in the range 1 to 65535", l.spec.Port))
	case l.hostname != "" && !hostOK:
		l.refuse(gatewayv1.ListenerReasonUnsupportedValue, fmt.Sprintf(`hostname: %q is neither a DNS name nor "*." and a DNS name`, short(l.hostname)))
	case !validSelector(l.spec.AllowedRoutes):
		l.refuse(gatewayv1.ListenerReasonUnsupportedValue, "allowedRoutes.namespaces.selector: is not a label selector")
	case l.spec.Filters != nil && len(l.spec.Filters.Requests) > 0:
		l.refuse(gatewayv1.ListenerReasonUnsupportedValue, "filters: listener filters are not supported; put the filters into routes")
	case l.spec.Protocol == gatewayv1.HTTPSProtocolType && passthrough(l.spec.TLS):
		l.refuse(gatewayv1.ListenerReasonUnsupportedValue, "tls.mode: Passthrough cannot be used with protocol HTTPS; use Terminate, or protocol TLS")
	}
	return l.accepted
}

func validSelector(allowed *gatewayv1.AllowedRoutes) bool {
	if allowed == nil || allowed.Namespaces == nil {
		return true
	}
	_, err := metav1.LabelSelectorAsSelector(allowed.Namespaces.Selector)
	return err == nil
}

func passthrough(tls *gatewayv1.ListenerTLSConfig) bool {
	return tls != nil && tls.Mode != nil && *tls.Mode != gatewayv1.TLSModeTerminate
}

// translateListener resolves the references of a listener.
func (t *gatewayTranslation) translateListener(l *listener) {
	l.resolveKinds()
	switch {
	case !l.accepted:
	case l.spec.Protocol == gatewayv1.TLSProtocolType && passthrough(l.spec.TLS):
		l.tls = &ir.ServerTLS{Passthrough: true}
	case l.spec.Protocol == gatewayv1.TLSProtocolType, l.spec.Protocol == gatewayv1.HTTPSProtocolType:
		t.resolveTLS(l)
	}
	if l.served && !t.served {
		l.stop(gatewayv1.ListenerReasonInvalid, "the Gateway is not accepted")
	}
}

// supportedKinds lists the kinds of routes that a protocol can carry.
func supportedKinds(protocol gatewayv1.ProtocolType) []Kind {
	switch protocol {
	case gatewayv1.HTTPProtocolType, gatewayv1.HTTPSProtocolType:
		return []Kind{KindHTTPRoute, KindGRPCRoute, KindLLMRoute}
	case gatewayv1.TLSProtocolType:
		return []Kind{KindTLSRoute}
	case gatewayv1.TCPProtocolType:
		return []Kind{KindTCPRoute}
	case gatewayv1.UDPProtocolType:
		return []Kind{KindUDPRoute}
	default:
		return nil
	}
}

// resolveKinds sets which kinds of routes may attach.
func (l *listener) resolveKinds() {
	supported := supportedKinds(l.spec.Protocol)
	if l.spec.AllowedRoutes == nil || len(l.spec.AllowedRoutes.Kinds) == 0 {
		for _, kind := range supported {
			l.kinds = append(l.kinds, routeGroupKind(kind))
		}
		return
	}
	for i, allowed := range l.spec.AllowedRoutes.Kinds {
		group := string(deref(allowed.Group, gatewayv1.GroupName))
		kind := Kind(allowed.Kind)
		if slices.Contains(supported, kind) && group == groupOf(kind) {
			l.kinds = append(l.kinds, routeGroupKind(kind))
			continue
		}
		l.unresolved(gatewayv1.ListenerReasonInvalidRouteKinds,
			fmt.Sprintf("allowedRoutes.kinds[%d]: %s in group %q cannot be used with protocol %s", i, short(string(allowed.Kind)), short(group), short(string(l.spec.Protocol))))
	}
}

func routeGroupKind(kind Kind) gatewayv1.RouteGroupKind {
	group := gatewayv1.Group(groupOf(kind))
	return gatewayv1.RouteGroupKind{Group: &group, Kind: gatewayv1.Kind(kind)}
}

// checkOverlaps marks HTTPS listeners on one port whose hostnames overlap:
// clients that coalesce connections may reach the one with the certificate of
// the other.
func (t *gatewayTranslation) checkOverlaps() {
	ports := map[int32][]*listener{}
	for _, l := range t.listeners {
		if l.accepted && l.spec.Protocol == gatewayv1.HTTPSProtocolType {
			ports[l.spec.Port] = append(ports[l.spec.Port], l)
		}
	}
	for _, l := range t.listeners {
		for _, other := range ports[l.spec.Port] {
			if _, overlap := intersectHosts(l.hostname, other.hostname); overlap && l != other && l.accepted {
				l.find(gatewayv1.ListenerConditionOverlappingTLSConfig, metav1.ConditionTrue, gatewayv1.ListenerReasonOverlappingHostnames,
					fmt.Sprintf("hostname %q overlaps with hostname %q of listener %s on port %d", l.hostname, other.hostname, other.label(), l.spec.Port))
				break
			}
		}
	}
}
