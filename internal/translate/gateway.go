package translate

import (
	"fmt"
	"net/netip"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// GatewayClass reports on a GatewayClass, if its controllerName is ours.
func GatewayClass(r Reader, key Key, options Options) Output {
	class := get[gatewayv1.GatewayClass](r, key)
	if !managedBy(class, options) {
		return Output{}
	}
	report := Report{ControllerName: class.Spec.ControllerName, Managed: true}
	if _, problem := classParameters(r, class); problem != "" {
		deny(&report, gatewayv1.GatewayClassConditionStatusAccepted, gatewayv1.GatewayClassReasonInvalidParameters, problem)
	}
	return Output{Reports: []ObjectReport{{key, report}}}
}

func managedBy(class *gatewayv1.GatewayClass, options Options) bool {
	return class != nil && string(class.Spec.ControllerName) == options.ControllerName
}

// Gateway translates a Gateway of one of controller's classes with the
// ListenerSets that belong to it.
func Gateway(r Reader, key Key, options Options) Output {
	gw := get[gatewayv1.Gateway](r, key)
	if gw == nil {
		return Output{}
	}
	class := get[gatewayv1.GatewayClass](r, Key{Kind: KindGatewayClass, Name: string(gw.Spec.GatewayClassName)})
	if !managedBy(class, options) {
		return Output{}
	}
	t := &gatewayTranslation{reader: r, key: key, gateway: gw}
	t.report = Report{ControllerName: class.Spec.ControllerName, Managed: true}
	t.translate(class)
	return t.output()
}

// gatewayTranslation is the state of one run of Gateway.
type gatewayTranslation struct {
	reader  Reader
	key     Key
	gateway *gatewayv1.Gateway
	report  Report
	// accepted says that the Gateway can be accepted as far as its listeners do not
	// matter, served that its listeners can be. Both are false for what is wrong
	// with more than the infrastructure.
	accepted, served bool
	// parameters are nil where they cannot be resolved.
	parameters *v1alpha1.GatewayParametersSpec
	// clients is part of all listeners but those of UDP; nil where the parameters
	// say nothing of it.
	clients *ir.Clients
	// sets are the ListenerSets that refer to the Gateway, accepted or not.
	sets []*listenerSet
	// listeners are in order of precedence: the Gateway's own first.
	listeners []*listener
}

// translate goes through the Gateway's listeners and those of its ListenerSets.
func (t *gatewayTranslation) translate(class *gatewayv1.GatewayClass) {
	t.served = t.checkSpec()
	t.accepted = t.resolveParameters(class) && t.served
	t.addListeners(t.key, t.gateway.Spec.Listeners, &t.report)
	t.addListenerSets()
	t.checkConflicts()
	for _, l := range t.listeners {
		t.translateListener(l)
	}
	t.checkOverlaps()
	t.applyPolicies()
	t.applyLLMPolicies()
}

// resolveParameters says whether the Gateway's infrastructure can be made. While
// it cannot, what there is stays as it is, and goes on serving.
func (t *gatewayTranslation) resolveParameters(class *gatewayv1.GatewayClass) bool {
	spec, problem := gatewayParameters(t.reader, t.gateway, class)
	if problem == "" {
		t.clients, problem = clients(spec.Clients)
	}
	if problem == "" {
		t.parameters = &spec
		return true
	}
	t.clients = &ir.Clients{Unknown: true}
	deny(&t.report, gatewayv1.GatewayConditionAccepted, gatewayv1.GatewayReasonInvalidParameters,
		problem+"; until that is mended, what the Gateway has in the cluster stays as it is")
	return false
}

// checkSpec checks what is part neither of a listener nor of the infrastructure,
// and says whether the Gateway can be accepted as far as that goes.
func (t *gatewayTranslation) checkSpec() bool {
	before := len(t.report.Findings)
	for i, address := range t.gateway.Spec.Addresses {
		if message := unsupportedAddress(address); message != "" {
			deny(&t.report, gatewayv1.GatewayConditionAccepted, gatewayv1.GatewayReasonUnsupportedAddress, fmt.Sprintf("spec.addresses[%d]%s", i, message))
		}
	}
	return len(t.report.Findings) == before
}

// unsupportedAddress says what is wrong with an address; empty: nothing.
func unsupportedAddress(address gatewayv1.GatewaySpecAddress) string {
	if address.Type != nil && *address.Type != gatewayv1.IPAddressType {
		return fmt.Sprintf(".type: %q is not supported; use %q", short(string(*address.Type)), gatewayv1.IPAddressType)
	}
	if address.Value == "" {
		return ""
	}
	if _, err := netip.ParseAddr(address.Value); err != nil {
		return fmt.Sprintf(".value: %q is not an IP address", short(address.Value))
	}
	return ""
}

// clientCertificate resolves spec.tls.backend.clientCertificateRef to the name
// of a Secret resource; empty: there is none, or it cannot be used.
func (t *gatewayTranslation) clientCertificate() string {
	tls := t.gateway.Spec.TLS
	if tls == nil || tls.Backend == nil || tls.Backend.ClientCertificateRef == nil {
		return ""
	}
	name, p := resolveCertificate(t.reader, t.key, *tls.Backend.ClientCertificateRef, "spec.tls.backend.clientCertificateRef")
	if p == nil {
		return name
	}
	reason := gatewayv1.GatewayReasonInvalidClientCertificateRef
	if p.reason == string(gatewayv1.ListenerReasonRefNotPermitted) {
		reason = gatewayv1.GatewayReasonRefNotPermitted
	}
	deny(&t.report, gatewayv1.GatewayConditionResolvedRefs, reason, p.message)
	return ""
}

// output collects the resources, reports and parents of the Gateway and its
// ListenerSets.
func (t *gatewayTranslation) output() Output {
	var out Output
	out.Node, out.Parameters = true, t.parameters
	own := &Parent{Key: t.key, Root: t.key, ClientCertificate: t.clientCertificate()}
	t.summarize()
	if t.accepted {
		t.report.AttachedListenerSets = t.acceptedSets()
	}
	out.Reports = append(out.Reports, ObjectReport{t.key, t.report})
	out.Parents = append(out.Parents, own)
	for _, set := range t.sets {
		out.Parents = append(out.Parents, t.parent(set))
		out.Reports = append(out.Reports, ObjectReport{set.key, set.report})
	}
	t.outputListeners(&out)
	return out
}

// parent summarizes a ListenerSet and returns what it offers, but for the
// listeners that it shares with its Gateway.
func (t *gatewayTranslation) parent(set *listenerSet) *Parent {
	p := &Parent{Key: set.key, Root: t.key}
	if set.allowed {
		t.summarizeSet(set)
	} else {
		p.Listeners = set.closedListeners()
	}
	return p
}

// outputListeners adds the listeners to the parents that they are of, and those
// that are served to the resources.
func (t *gatewayTranslation) outputListeners(out *Output) {
	parents := map[Key]*Parent{}
	for _, p := range out.Parents {
		parents[p.Key] = p
	}
	for _, l := range t.listeners {
		parent := parents[l.owner]
		parent.Listeners = append(parent.Listeners, l.parentListener())
		if l.served || t.holdsName(l) {
			out.Resources = append(out.Resources, NodeResource{t.key, l.resource(t.clients)})
		}
	}
}

// holdsName says that proxies get a listener without a certificate, to refuse its
// clients: otherwise another one of the port, perhaps of another owner, would
// speak for its hostname.
func (t *gatewayTranslation) holdsName(l *listener) bool {
	if !t.served || !l.accepted || l.tls == nil || l.tls.Passthrough || len(l.tls.Certificates) > 0 {
		return false
	}
	return slices.ContainsFunc(t.listeners, func(o *listener) bool {
		return o.served && o.spec.Port == l.spec.Port && sharePort(o.spec.Protocol, l.spec.Protocol) && (o.hostname == "" || covers(o.hostname, l.hostname))
	})
}

// summarize derives the Gateway's own conditions from those of its listeners.
func (t *gatewayTranslation) summarize() {
	var all, refused, unresolved int
	for _, l := range t.listeners {
		if l.owner != t.key {
			continue
		}
		all++
		if !l.accepted {
			refused++
		}
		if !l.resolved {
			unresolved++
		}
		t.report.addListener(l)
		t.warnOfFallback(l)
	}
	if unresolved > 0 {
		deny(&t.report, gatewayv1.GatewayConditionResolvedRefs, gatewayv1.GatewayReasonListenersNotResolved,
			fmt.Sprintf("%d of %d listeners have references that cannot be resolved; see their conditions", unresolved, all))
	}
	if !t.accepted {
		deny(&t.report, gatewayv1.GatewayConditionProgrammed, gatewayv1.GatewayReasonInvalid, "the Gateway is not accepted")
	} else if refused > 0 {
		t.summarizeRefused(refused, all)
	}
}

// summarizeRefused says that some listeners are not accepted. Without a single
// one that is, the Gateway is not either.
func (t *gatewayTranslation) summarizeRefused(refused, all int) {
	status := metav1.ConditionTrue
	if refused == all {
		status = metav1.ConditionFalse
		deny(&t.report, gatewayv1.GatewayConditionProgrammed, gatewayv1.GatewayReasonInvalid, "no listener is accepted")
	}
	t.report.add(Finding{
		Condition: string(gatewayv1.GatewayConditionAccepted), Status: status,
		Reason:  string(gatewayv1.GatewayReasonListenersNotValid),
		Message: fmt.Sprintf("%d of %d listeners are not accepted; see their conditions", refused, all),
	})
}

// warnOfFallback says that a listener lets in clients without a certificate.
func (t *gatewayTranslation) warnOfFallback(l *listener) {
	if !l.insecureFallback() {
		return
	}
	t.report.add(Finding{
		Condition: string(gatewayv1.GatewayConditionInsecureFrontendValidationMode), Status: metav1.ConditionTrue,
		Reason:  string(gatewayv1.GatewayReasonConfigurationChanged),
		Message: fmt.Sprintf("spec.tls.frontend: the mode for port %d is AllowInsecureFallback, so clients without a valid certificate are let in", l.spec.Port),
	})
}

func (l *listener) insecureFallback() bool {
	return l.tls != nil && l.tls.ClientValidation != nil && l.tls.ClientValidation.AllowInsecureFallback
}

// resource returns the listener as the Gateway's proxies need it.
func (l *listener) resource(clients *ir.Clients) *ir.Listener {
	if l.spec.Protocol == gatewayv1.UDPProtocolType {
		clients = nil
	}
	return &ir.Listener{
		Name:     l.name,
		Source:   ir.Source{Kind: string(l.owner.Kind), Namespace: l.owner.Namespace, Name: l.owner.Name, Section: string(l.spec.Name)},
		Port:     port(l.spec.Port),
		Protocol: ir.Protocol(l.spec.Protocol),
		Hostname: l.hostname,
		TLS:      l.tls,
		Policies: l.policies,
		Limits:   l.limits,
		Prices:   l.prices,
		Clients:  clients,
	}
}
