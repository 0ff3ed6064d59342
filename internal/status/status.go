package status

import (
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	xv1alpha1 "sigs.k8s.io/gateway-api/apisx/v1alpha1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/translate"
)

// Facts are what translation cannot know. For a ListenerSet they are those of
// its Gateway; for other kinds they do not matter.
type Facts struct {
	// Addresses are where clients reach the Gateway; empty: none is assigned yet.
	Addresses []gatewayv1.GatewayStatusAddress
	// Serving says that a proxy serves the Gateway's current configuration.
	Serving bool
	// Rejected is why a proxy refused the current configuration; empty: none did.
	Rejected string
	// Unprovided is why the cluster refuses a part of the Gateway's infrastructure;
	// empty: it takes all of it.
	Unprovided string
}

// Compute returns a copy of obj with the status that report and facts give it
// at the time now, and whether that differs from the status that obj has. Kinds
// without a status, and objects that are not ours, come back unchanged.
func Compute(obj translate.Object, report translate.Report, facts Facts, now metav1.Time) (updated translate.Object, changed bool) {
	updated, ok := obj.DeepCopyObject().(translate.Object)
	if !ok {
		return obj, false
	}
	c := clock{now: now, generation: obj.GetGeneration()}
	if !c.parent(updated, report, facts) && !c.route(updated, report) && !c.policy(updated, report) && !c.own(updated, report) {
		return obj, false
	}
	if equality.Semantic.DeepEqual(obj, updated) {
		return obj, false
	}
	return updated, true
}

// parent computes the status of what routes attach to; ok is false for any
// other kind.
func (c clock) parent(o translate.Object, report translate.Report, facts Facts) (ok bool) {
	switch o := o.(type) {
	case *gatewayv1.GatewayClass:
		c.gatewayClass(o, report)
	case *xv1alpha1.XMesh:
		c.mesh(o, report)
	case *gatewayv1.Gateway:
		c.gateway(o, report, facts)
	case *gatewayv1.ListenerSet:
		c.listenerSet(o, report, facts)
	default:
		return false
	}
	return true
}

// route computes the status of a route; ok is false for any other kind.
func (c clock) route(o translate.Object, report translate.Report) (ok bool) {
	switch o := o.(type) {
	case *gatewayv1.HTTPRoute:
		o.Status.Parents = c.parents(o.Status.Parents, report)
	case *gatewayv1.GRPCRoute:
		o.Status.Parents = c.parents(o.Status.Parents, report)
	case *gatewayv1.TLSRoute:
		o.Status.Parents = c.parents(o.Status.Parents, report)
	case *gatewayv1.TCPRoute:
		o.Status.Parents = c.parents(o.Status.Parents, report)
	case *gatewayv1.UDPRoute:
		o.Status.Parents = c.parents(o.Status.Parents, report)
	case *v1alpha1.LLMRoute:
		o.Status.Parents = c.parents(o.Status.Parents, report)
	default:
		return false
	}
	return true
}

// own computes the status of our kinds that have no parents; ok is false for
// any other kind.
func (c clock) own(o translate.Object, report translate.Report) (ok bool) {
	switch o := o.(type) {
	case *v1alpha1.LLMBackend:
		o.Status.Conditions = c.conditions(o.Status.Conditions, resolvedDefaults(), nil, report.Findings)
	case *v1alpha1.Consumer:
		o.Status.Conditions = c.conditions(o.Status.Conditions, resolvedDefaults(), nil, report.Findings)
	default:
		return false
	}
	return true
}

// policy computes the status of a policy; ok is false for any other kind.
func (c clock) policy(o translate.Object, report translate.Report) (ok bool) {
	switch o := o.(type) {
	case *gatewayv1.BackendTLSPolicy:
		o.Status.Ancestors = c.ancestors(o.Status.Ancestors, report, policyDefaults())
	case *v1alpha1.JWTValidationPolicy:
		o.Status.Ancestors = c.ancestors(o.Status.Ancestors, report, policyDefaults())
	case *v1alpha1.LLMLimitPolicy:
		o.Status.Ancestors = c.ancestors(o.Status.Ancestors, report, policyDefaults())
	case *v1alpha1.LLMPriceTable:
		o.Status.Ancestors = c.ancestors(o.Status.Ancestors, report, policyDefaults()[:1])
	default:
		return false
	}
	return true
}

func (c clock) gatewayClass(o *gatewayv1.GatewayClass, report translate.Report) {
	if !report.Managed {
		return
	}
	accepted := isTrue(string(gatewayv1.GatewayClassConditionStatusAccepted), string(gatewayv1.GatewayClassReasonAccepted))
	o.Status.Conditions = c.conditions(o.Status.Conditions, []condition{accepted}, nil, report.Findings)
	o.Status.SupportedFeatures = SupportedFeatures()
}

// resolvedDefaults are the conditions of our own kinds.
func resolvedDefaults() []condition {
	return []condition{
		isTrue(v1alpha1.ConditionAccepted, v1alpha1.ReasonAccepted),
		isTrue(v1alpha1.ConditionResolvedRefs, v1alpha1.ReasonResolvedRefs),
	}
}

func (c clock) mesh(o *xv1alpha1.XMesh, report translate.Report) {
	if !report.Managed {
		return
	}
	accepted := isTrue(string(xv1alpha1.MeshConditionAccepted), string(xv1alpha1.MeshReasonAccepted))
	o.Status.Conditions = c.conditions(o.Status.Conditions, []condition{accepted}, nil, report.Findings)
	o.Status.SupportedFeatures = MeshFeatures()
}
