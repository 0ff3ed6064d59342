package status

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/translate"
)

// gateway computes the status of a Gateway of ours.
func (c clock) gateway(o *gatewayv1.Gateway, report translate.Report, facts Facts) {
	if !report.Managed {
		return
	}
	extra := []string{string(gatewayv1.GatewayConditionInsecureFrontendValidationMode)}
	o.Status.Conditions = c.conditions(o.Status.Conditions, gatewayDefaults(o, facts), extra, about(report.Findings, ""))
	o.Status.AttachedListenerSets = &report.AttachedListenerSets
	o.Status.Addresses = facts.Addresses
	o.Status.Listeners = c.listeners(o.Status.Listeners, report, facts)
}

func gatewayDefaults(o *gatewayv1.Gateway, facts Facts) []condition {
	return []condition{
		isTrue(string(gatewayv1.GatewayConditionAccepted), string(gatewayv1.GatewayReasonAccepted)),
		programmed(o, facts),
		isTrue(string(gatewayv1.GatewayConditionResolvedRefs), string(gatewayv1.GatewayReasonResolvedRefs)),
	}
}

// kinds returns the supported kinds of a listener; the API wants a list even if
// it is empty.
func kinds(l translate.ListenerReport) []gatewayv1.RouteGroupKind {
	if l.SupportedKinds == nil {
		return []gatewayv1.RouteGroupKind{}
	}
	return l.SupportedKinds
}

// listenerSet computes the status of a ListenerSet of a Gateway of ours.
func (c clock) listenerSet(o *gatewayv1.ListenerSet, report translate.Report, facts Facts) {
	if !report.Managed {
		return
	}
	o.Status.Conditions = c.conditions(o.Status.Conditions, listenerSetDefaults(facts), nil, about(report.Findings, ""))
	old := make([]gatewayv1.ListenerStatus, 0, len(o.Status.Listeners))
	for _, l := range o.Status.Listeners {
		old = append(old, gatewayv1.ListenerStatus(l))
	}
	o.Status.Listeners = make([]gatewayv1.ListenerEntryStatus, 0, len(report.Listeners))
	for _, l := range c.listeners(old, report, facts) {
		o.Status.Listeners = append(o.Status.Listeners, gatewayv1.ListenerEntryStatus(l))
	}
}

func listenerSetDefaults(facts Facts) []condition {
	serving := served(facts)
	serving.kind = string(gatewayv1.ListenerSetConditionProgrammed)
	return []condition{isTrue(string(gatewayv1.ListenerSetConditionAccepted), string(gatewayv1.ListenerSetReasonAccepted)), serving}
}

// listeners computes the statuses of the listeners of a Gateway or ListenerSet.
func (c clock) listeners(old []gatewayv1.ListenerStatus, report translate.Report, facts Facts) []gatewayv1.ListenerStatus {
	out := make([]gatewayv1.ListenerStatus, 0, len(report.Listeners))
	for _, l := range report.Listeners {
		var before []metav1.Condition
		if i := slices.IndexFunc(old, func(s gatewayv1.ListenerStatus) bool { return s.Name == l.Name }); i >= 0 {
			before = old[i].Conditions
		}
		out = append(out, gatewayv1.ListenerStatus{
			Name: l.Name, SupportedKinds: kinds(l), AttachedRoutes: l.AttachedRoutes,
			Conditions: c.listener(before, report, l, facts),
		})
	}
	return out
}

func (c clock) listener(old []metav1.Condition, report translate.Report, l translate.ListenerReport, facts Facts) []metav1.Condition {
	defaults := []condition{
		isTrue(string(gatewayv1.ListenerConditionAccepted), string(gatewayv1.ListenerReasonAccepted)),
		{kind: string(gatewayv1.ListenerConditionConflicted), status: metav1.ConditionFalse, reason: string(gatewayv1.ListenerReasonNoConflicts)},
		served(facts),
		isTrue(string(gatewayv1.ListenerConditionResolvedRefs), string(gatewayv1.ListenerReasonResolvedRefs)),
	}
	extra := []string{string(gatewayv1.ListenerConditionOverlappingTLSConfig)}
	return c.conditions(old, defaults, extra, about(report.Findings, string(l.Name)))
}

// served is condition Programmed as far as proxies go.
func served(facts Facts) condition {
	out := condition{kind: string(gatewayv1.ListenerConditionProgrammed), status: metav1.ConditionFalse}
	switch {
	case facts.Rejected != "":
		out.reason = string(gatewayv1.ListenerReasonInvalid)
		out.message = "a proxy refused the configuration and keeps the one before: " + facts.Rejected
	case !facts.Serving:
		out.reason = string(gatewayv1.ListenerReasonPending)
		out.message = "waiting for a proxy to serve the configuration"
	default:
		return isTrue(string(gatewayv1.ListenerConditionProgrammed), string(gatewayv1.ListenerReasonProgrammed))
	}
	return out
}

// programmed is condition Programmed of a Gateway: it needs addresses too, and all
// that it asks for.
func programmed(o *gatewayv1.Gateway, facts Facts) condition {
	out := condition{kind: string(gatewayv1.GatewayConditionProgrammed), status: metav1.ConditionFalse}
	missing := missingAddresses(o, facts)
	switch {
	case len(missing) > 0:
		out.reason = string(gatewayv1.GatewayReasonAddressNotUsable)
		out.message = fmt.Sprintf("spec.addresses: the cluster does not assign %s; remove or replace, or see what the Gateway's Services wait for",
			strings.Join(missing, ", "))
	case facts.Unprovided != "":
		out.reason = string(gatewayv1.GatewayReasonInvalid)
		out.message = "the cluster refuses a part of the Gateway's infrastructure, and keeps what was there before: " + facts.Unprovided
	case facts.Rejected == "" && len(facts.Addresses) == 0:
		out.reason = string(gatewayv1.GatewayReasonAddressNotAssigned)
		out.message = "waiting for an address; see the Gateway's Service"
	default:
		return served(facts)
	}
	return out
}

// missingAddresses returns the addresses that a Gateway asks for and does not have.
func missingAddresses(o *gatewayv1.Gateway, facts Facts) []string {
	var out []string
	for _, wanted := range infra.RequestedAddresses(o) {
		if !slices.ContainsFunc(facts.Addresses, func(a gatewayv1.GatewayStatusAddress) bool { return is(a.Value, wanted) }) {
			out = append(out, wanted.String())
		}
	}
	return out
}

// is says that a value is an address, however it is written.
func is(value string, address netip.Addr) bool {
	a, err := netip.ParseAddr(value)
	return err == nil && a.Unmap() == address
}
