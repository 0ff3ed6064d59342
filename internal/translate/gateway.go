package translate

import (
	"fmt"
	"net/netip"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// GatewayClass reports on a GatewayClass, if its controllerName is ours.
func GatewayClass(r Reader, key Key, options Options) Output {
	class := get[gatewayv1.GatewayClass](r, key)
	if class == nil || string(class.Spec.ControllerName) != options.ControllerName {
		return Output{}
	}
	report := Report{ControllerName: class.Spec.ControllerName, Managed: true}
	if ref := class.Spec.ParametersRef; ref != nil {
		report.add(Finding{
			Condition: string(gatewayv1.GatewayClassConditionStatusAccepted),
			Status:    metav1.ConditionFalse,
			Reason:    string(gatewayv1.GatewayClassReasonInvalidParameters),
			Message:   fmt.Sprintf("spec.parametersRef: %s %s is not supported; remove the field", ref.Kind, ref.Name),
		})
	}
	return Output{Reports: []ObjectReport{{key, report}}}
}

// Gateway translates a Gateway of one of controller's classes with the
// ListenerSets that belong to it.
func Gateway(r Reader, key Key, options Options) Output {
	gw := get[gatewayv1.Gateway](r, key)
	if gw == nil {
		return Output{}
	}
	class := get[gatewayv1.GatewayClass](r, Key{Kind: KindGatewayClass, Name: string(gw.Spec.GatewayClassName)})
	if class == nil || string(class.Spec.ControllerName) != options.ControllerName {
		return Output{}
	}
	t := &gatewayTranslation{reader: r, key: key, gateway: gw}
	t.report = Report{ControllerName: class.Spec.ControllerName, Managed: true}
	t.accepted = t.checkSpec()
	t.addListeners(key, gw.Spec.Listeners, &t.report)
	t.addListenerSets()
	t.checkConflicts()
	for _, l := range t.listeners {
		t.translateListener(l)
	}
	t.checkOverlaps()
	t.applyPolicies()
	t.applyLLMPolicies()
	return t.output()
}

// gatewayTranslation is the state of one run of Gateway.
type gatewayTranslation struct {
	reader   Reader
	key      Key
	gateway  *gatewayv1.Gateway
	report   Report
	accepted bool
	// sets are the ListenerSets that refer to the Gateway, accepted or not.
	sets []*listenerSet
	// listeners are in order of precedence: the Gateway's own first.
	listeners []*listener
}

// checkSpec checks what is not part of a listener, and says whether the
// Gateway can be accepted as far as that goes.
func (t *gatewayTranslation) checkSpec() bool {
	accepted := true
	refuse := func(reason gatewayv1.GatewayConditionReason, message string) {
		accepted = false
		t.report.add(Finding{
			Condition: string(gatewayv1.GatewayConditionAccepted), Status: metav1.ConditionFalse,
			Reason: string(reason), Message: message,
		})
	}
	if infra := t.gateway.Spec.Infrastructure; infra != nil && infra.ParametersRef != nil {
		ref := infra.ParametersRef
		refuse(gatewayv1.GatewayReasonInvalidParameters,
			fmt.Sprintf("spec.infrastructure.parametersRef: %s %s in group %q is not supported; remove the field", ref.Kind, ref.Name, ref.Group))
	}
	for i, address := range t.gateway.Spec.Addresses {
		if message := unsupportedAddress(address); message != "" {
			refuse(gatewayv1.GatewayReasonUnsupportedAddress, fmt.Sprintf("spec.addresses[%d]%s", i, message))
		}
	}
	return accepted
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
	t.report.add(Finding{
		Condition: string(gatewayv1.GatewayConditionResolvedRefs), Status: metav1.ConditionFalse,
		Reason: string(reason), Message: p.message,
	})
	return ""
}

// output collects the resources, reports and parents of the Gateway and its
// ListenerSets.
func (t *gatewayTranslation) output() Output {
	var out Output
	own := &Parent{Key: t.key, Gateway: t.key, ClientCertificate: t.clientCertificate()}
	t.summarize(t.key, &t.report)
	if t.accepted {
		t.report.AttachedListenerSets = t.acceptedSets()
	}
	out.Reports = append(out.Reports, ObjectReport{t.key, t.report})
	out.Parents = append(out.Parents, own)
	parents := map[Key]*Parent{t.key: own}
	for _, set := range t.sets {
		p := &Parent{Key: set.key, Gateway: t.key}
		out.Parents = append(out.Parents, p)
		parents[set.key] = p
		if set.allowed {
			t.summarizeSet(set)
		} else {
			p.Listeners = set.closedListeners()
		}
		out.Reports = append(out.Reports, ObjectReport{set.key, set.report})
	}
	for _, l := range t.listeners {
		parent := parents[l.owner]
		parent.Listeners = append(parent.Listeners, l.parentListener())
		if l.served {
			out.Resources = append(out.Resources, NodeResource{t.key, l.resource()})
		}
	}
	return out
}

// summarize derives the Gateway's own conditions from those of its listeners.
func (t *gatewayTranslation) summarize(owner Key, report *Report) {
	var accepted, refused, unresolved int
	for _, l := range t.listeners {
		if l.owner != owner {
			continue
		}
		if l.accepted {
			accepted++
		} else {
			refused++
		}
		if !l.resolved {
			unresolved++
		}
		report.addListener(l)
		if l.insecureFallback() {
			report.add(Finding{
				Condition: string(gatewayv1.GatewayConditionInsecureFrontendValidationMode), Status: metav1.ConditionTrue,
				Reason:  string(gatewayv1.GatewayReasonConfigurationChanged),
				Message: fmt.Sprintf("spec.tls.frontend: the mode for port %d is AllowInsecureFallback, so clients without a valid certificate are let in", l.spec.Port),
			})
		}
	}
	if unresolved > 0 {
		report.add(Finding{
			Condition: string(gatewayv1.GatewayConditionResolvedRefs), Status: metav1.ConditionFalse,
			Reason:  string(gatewayv1.GatewayReasonListenersNotResolved),
			Message: fmt.Sprintf("%d of %d listeners have references that cannot be resolved; see their conditions", unresolved, accepted+refused),
		})
	}
	if !t.accepted {
		report.add(Finding{
			Condition: string(gatewayv1.GatewayConditionProgrammed), Status: metav1.ConditionFalse,
			Reason: string(gatewayv1.GatewayReasonInvalid), Message: "the Gateway is not accepted",
		})
		return
	}
	if refused == 0 {
		return
	}
	status := metav1.ConditionTrue
	if accepted == 0 {
		status = metav1.ConditionFalse
		report.add(Finding{
			Condition: string(gatewayv1.GatewayConditionProgrammed), Status: status,
			Reason: string(gatewayv1.GatewayReasonInvalid), Message: "no listener is accepted",
		})
	}
	report.add(Finding{
		Condition: string(gatewayv1.GatewayConditionAccepted), Status: status,
		Reason:  string(gatewayv1.GatewayReasonListenersNotValid),
		Message: fmt.Sprintf("%d of %d listeners are not accepted; see their conditions", refused, accepted+refused),
	})
}

func (l *listener) insecureFallback() bool {
	return l.tls != nil && l.tls.ClientValidation != nil && l.tls.ClientValidation.AllowInsecureFallback
}

// resource returns the listener as the Gateway's proxies need it.
func (l *listener) resource() *ir.Listener {
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
	}
}
