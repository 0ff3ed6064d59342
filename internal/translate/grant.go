package translate

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// groupOf returns the API group of a kind.
func groupOf(kind Kind) string {
	switch kind {
	case KindService, KindSecret, KindConfigMap, KindNamespace:
		return corev1.GroupName
	case KindLLMRoute, KindLLMBackend, KindConsumer, KindJWTPolicy, KindLLMLimitPolicy, KindLLMPriceTable:
		return v1alpha1.GroupName
	default:
		return gatewayv1.GroupName
	}
}

// permitted says whether an object may refer to another: in its own namespace
// always, in another if a ReferenceGrant there says so.
func permitted(r Reader, from, to Key) bool {
	if from.Namespace == to.Namespace {
		return true
	}
	for _, o := range r.List(Bucket{Relation: ReferenceGrantsIn, Namespace: to.Namespace}) {
		grant, ok := o.(*gatewayv1.ReferenceGrant)
		if ok && grantsFrom(grant, from) && grantsTo(grant, to) {
			return true
		}
	}
	return false
}

func grantsFrom(grant *gatewayv1.ReferenceGrant, from Key) bool {
	for _, f := range grant.Spec.From {
		if string(f.Group) == groupOf(from.Kind) && string(f.Kind) == string(from.Kind) && string(f.Namespace) == from.Namespace {
			return true
		}
	}
	return false
}

func grantsTo(grant *gatewayv1.ReferenceGrant, to Key) bool {
	for _, t := range grant.Spec.To {
		if string(t.Group) == groupOf(to.Kind) && string(t.Kind) == string(to.Kind) && (t.Name == nil || *t.Name == "" || string(*t.Name) == to.Name) {
			return true
		}
	}
	return false
}

// notPermitted is the message for a reference that no ReferenceGrant allows.
func notPermitted(field string, from, to Key) string {
	return fmt.Sprintf("%s: %s %s/%s is in another namespace; create a ReferenceGrant in namespace %s from %s in namespace %s to %s",
		field, to.Kind, to.Namespace, to.Name, to.Namespace, from.Kind, from.Namespace, to.Kind)
}
