package status

import (
	"reflect"

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

// parents computes the parents of a route's status: ours in the order of its
// parentRefs, then those of other controllers as they are.
func (c clock) parents(old []gatewayv1.RouteParentStatus, report translate.Report) []gatewayv1.RouteParentStatus {
	var ours, others []gatewayv1.RouteParentStatus
	for _, p := range old {
		if p.ControllerName != report.ControllerName {
			others = append(others, p)
		}
	}
	defaults := []condition{
		isTrue(string(gatewayv1.RouteConditionAccepted), string(gatewayv1.RouteReasonAccepted)),
		isTrue(string(gatewayv1.RouteConditionResolvedRefs), string(gatewayv1.RouteReasonResolvedRefs)),
	}
	extra := []string{string(gatewayv1.RouteConditionPartiallyInvalid)}
	for _, ref := range report.Parents {
		if len(ours)+len(others) == maxParents {
			break
		}
		var before []metav1.Condition
		for _, p := range old {
			if p.ControllerName == report.ControllerName && reflect.DeepEqual(p.ParentRef, ref) {
				before = p.Conditions
			}
		}
		ours = append(ours, gatewayv1.RouteParentStatus{
			ParentRef: ref, ControllerName: report.ControllerName,
			Conditions: c.conditions(before, defaults, extra, aboutParent(report.Findings, ref)),
		})
	}
	// The list is required, also when it is empty.
	return append(append([]gatewayv1.RouteParentStatus{}, ours...), others...)
}

// ancestors computes the ancestors of a policy's status in the same way.
func (c clock) ancestors(old []gatewayv1.PolicyAncestorStatus, report translate.Report, defaults []condition) []gatewayv1.PolicyAncestorStatus {
	var ours, others []gatewayv1.PolicyAncestorStatus
	for _, a := range old {
		if a.ControllerName != report.ControllerName {
			others = append(others, a)
		}
	}
	for _, ref := range report.Parents {
		if len(ours)+len(others) == maxAncestors {
			break
		}
		var before []metav1.Condition
		for _, a := range old {
			if a.ControllerName == report.ControllerName && reflect.DeepEqual(a.AncestorRef, ref) {
				before = a.Conditions
			}
		}
		ours = append(ours, gatewayv1.PolicyAncestorStatus{
			AncestorRef: ref, ControllerName: report.ControllerName,
			Conditions: c.conditions(before, defaults, nil, aboutParent(report.Findings, ref)),
		})
	}
	return append(append([]gatewayv1.PolicyAncestorStatus{}, ours...), others...)
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
