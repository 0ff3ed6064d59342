package status

import (
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/translate"
)

// Limits of the lists in a status, for all controllers together.
const (
	maxParents   = 32
	maxAncestors = 16
)

// policyDefaults are the conditions of a policy for one ancestor.
func policyDefaults() []condition {
	return []condition{
		isTrue(string(gatewayv1.PolicyConditionAccepted), string(gatewayv1.PolicyReasonAccepted)),
		isTrue(string(gatewayv1.BackendTLSPolicyConditionResolvedRefs), string(gatewayv1.BackendTLSPolicyReasonResolvedRefs)),
	}
}

// parents computes the parents of a route's status.
func (c clock) parents(old []gatewayv1.RouteParentStatus, report translate.Report) []gatewayv1.RouteParentStatus {
	extra := []string{string(gatewayv1.RouteConditionPartiallyInvalid)}
	return entries(old, report, maxParents, func(before []metav1.Condition, findings []translate.Finding) []metav1.Condition {
		return c.conditions(before, routeDefaults(), extra, findings)
	})
}

// routeDefaults are the conditions of a route for one parent.
func routeDefaults() []condition {
	return []condition{
		isTrue(string(gatewayv1.RouteConditionAccepted), string(gatewayv1.RouteReasonAccepted)),
		isTrue(string(gatewayv1.RouteConditionResolvedRefs), string(gatewayv1.RouteReasonResolvedRefs)),
	}
}

// entries returns ours in the order of the report's parents, then those of
// other controllers as they are. The list is required, also when it is empty.
func entries(old []gatewayv1.RouteParentStatus, report translate.Report, most int, conditions func([]metav1.Condition, []translate.Finding) []metav1.Condition) []gatewayv1.RouteParentStatus {
	isOurs := func(p gatewayv1.RouteParentStatus) bool { return p.ControllerName == report.ControllerName }
	others := slices.DeleteFunc(slices.Clone(old), isOurs)
	out := []gatewayv1.RouteParentStatus{}
	for _, ref := range report.Parents[:min(len(report.Parents), max(0, most-len(others)))] {
		p := gatewayv1.RouteParentStatus{ParentRef: ref, ControllerName: report.ControllerName}
		p.Conditions = conditions(before(old, p), aboutParent(report.Findings, ref))
		out = append(out, p)
	}
	return append(out, others...)
}

// before returns the conditions that an entry has in old.
func before(old []gatewayv1.RouteParentStatus, p gatewayv1.RouteParentStatus) []metav1.Condition {
	i := slices.IndexFunc(old, func(o gatewayv1.RouteParentStatus) bool {
		return o.ControllerName == p.ControllerName && reflect.DeepEqual(o.ParentRef, p.ParentRef)
	})
	if i < 0 {
		return nil
	}
	return old[i].Conditions
}

// ancestors computes the ancestors of a policy's status: they are to a policy
// what parents are to a route.
func (c clock) ancestors(old []gatewayv1.PolicyAncestorStatus, report translate.Report, defaults []condition) []gatewayv1.PolicyAncestorStatus {
	parents := make([]gatewayv1.RouteParentStatus, 0, len(old))
	for _, a := range old {
		parents = append(parents, gatewayv1.RouteParentStatus{ParentRef: a.AncestorRef, ControllerName: a.ControllerName, Conditions: a.Conditions})
	}
	parents = entries(parents, report, maxAncestors, func(before []metav1.Condition, findings []translate.Finding) []metav1.Condition {
		return c.conditions(before, defaults, nil, findings)
	})
	out := make([]gatewayv1.PolicyAncestorStatus, 0, len(parents))
	for _, p := range parents {
		out = append(out, gatewayv1.PolicyAncestorStatus{AncestorRef: p.ParentRef, ControllerName: p.ControllerName, Conditions: p.Conditions})
	}
	return out
}

// aboutParent returns the findings that are about one parent or ancestor.
func aboutParent(findings []translate.Finding, ref gatewayv1.ParentReference) []translate.Finding {
	var out []translate.Finding
	for _, f := range findings {
		if f.Parent != nil && reflect.DeepEqual(*f.Parent, ref) {
			out = append(out, f)
		}
	}
	return out
}
