package translate

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// Object is a Kubernetes object that translation reads. Objects are immutable
// once they have been handed over.
type Object interface {
	metav1.Object
	runtime.Object
}

// Kind names a kind of object. Kinds of all groups that are read have
// different names, so the group is left out.
type Kind string

// The kinds that are read.
const (
	KindGatewayClass     Kind = "GatewayClass"
	KindGateway          Kind = "Gateway"
	KindListenerSet      Kind = "ListenerSet"
	KindHTTPRoute        Kind = "HTTPRoute"
	KindGRPCRoute        Kind = "GRPCRoute"
	KindReferenceGrant   Kind = "ReferenceGrant"
	KindBackendTLSPolicy Kind = "BackendTLSPolicy"
	KindService          Kind = "Service"
	KindEndpointSlice    Kind = "EndpointSlice"
	KindSecret           Kind = "Secret"
	KindConfigMap        Kind = "ConfigMap"
	KindNamespace        Kind = "Namespace"
	KindLLMRoute         Kind = "LLMRoute"
	KindLLMBackend       Kind = "LLMBackend"
	KindConsumer         Kind = "Consumer"
	KindJWTPolicy        Kind = "JWTValidationPolicy"
)

// Key names one object. Namespace is empty for cluster-scoped kinds.
type Key struct {
	Kind      Kind
	Namespace string
	Name      string
}

// String returns Kind/namespace/name, without the namespace where there is none.
func (k Key) String() string {
	if k.Namespace == "" {
		return string(k.Kind) + "/" + k.Name
	}
	return string(k.Kind) + "/" + k.Namespace + "/" + k.Name
}

// Compare orders keys by kind, namespace and name.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Kind, o.Kind), cmp.Compare(k.Namespace, o.Namespace), cmp.Compare(k.Name, o.Name))
}

// KindOf returns the kind of o by its Go type, and false for an object that
// translation does not read.
func KindOf(o Object) (Kind, bool) {
	switch o.(type) {
	case *gatewayv1.GatewayClass:
		return KindGatewayClass, true
	case *gatewayv1.Gateway:
		return KindGateway, true
	case *gatewayv1.ListenerSet:
		return KindListenerSet, true
	case *gatewayv1.HTTPRoute:
		return KindHTTPRoute, true
	case *gatewayv1.GRPCRoute:
		return KindGRPCRoute, true
	case *gatewayv1.ReferenceGrant:
		return KindReferenceGrant, true
	case *gatewayv1.BackendTLSPolicy:
		return KindBackendTLSPolicy, true
	case *corev1.Service:
		return KindService, true
	case *discoveryv1.EndpointSlice:
		return KindEndpointSlice, true
	case *corev1.Secret:
		return KindSecret, true
	case *corev1.ConfigMap:
		return KindConfigMap, true
	case *corev1.Namespace:
		return KindNamespace, true
	case *v1alpha1.LLMRoute:
		return KindLLMRoute, true
	case *v1alpha1.LLMBackend:
		return KindLLMBackend, true
	case *v1alpha1.Consumer:
		return KindConsumer, true
	case *v1alpha1.JWTValidationPolicy:
		return KindJWTPolicy, true
	}
	return "", false
}

// KeyOf returns the key of o, and false for an object that translation does
// not read.
func KeyOf(o Object) (Key, bool) {
	kind, ok := KindOf(o)
	if !ok {
		return Key{}, false
	}
	return Key{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}, true
}
