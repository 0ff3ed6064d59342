package translate

import (
	"cmp"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	xv1alpha1 "sigs.k8s.io/gateway-api/apisx/v1alpha1"

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
	KindTLSRoute         Kind = "TLSRoute"
	KindTCPRoute         Kind = "TCPRoute"
	KindUDPRoute         Kind = "UDPRoute"
	KindReferenceGrant   Kind = "ReferenceGrant"
	KindBackendTLSPolicy Kind = "BackendTLSPolicy"
	KindXMesh            Kind = "XMesh"
	KindService          Kind = "Service"
	KindEndpointSlice    Kind = "EndpointSlice"
	KindSecret           Kind = "Secret"
	KindConfigMap        Kind = "ConfigMap"
	KindNamespace        Kind = "Namespace"
	KindLLMRoute         Kind = "LLMRoute"
	KindLLMBackend       Kind = "LLMBackend"
	KindConsumer         Kind = "Consumer"
	KindJWTPolicy        Kind = "JWTValidationPolicy"
	KindLLMLimitPolicy   Kind = "LLMLimitPolicy"
	KindLLMPriceTable    Kind = "LLMPriceTable"

	KindGatewayParameters Kind = "GatewayParameters"
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
	for _, kindOf := range []func(Object) Kind{gatewayKind, coreKind, ownKind} {
		if kind := kindOf(o); kind != "" {
			return kind, true
		}
	}
	return "", false
}

// gatewayKind returns the kind of an object of the Gateway API.
func gatewayKind(o Object) Kind {
	switch o.(type) {
	case *gatewayv1.GatewayClass:
		return KindGatewayClass
	case *gatewayv1.Gateway:
		return KindGateway
	case *gatewayv1.ListenerSet:
		return KindListenerSet
	case *gatewayv1.HTTPRoute:
		return KindHTTPRoute
	case *gatewayv1.GRPCRoute:
		return KindGRPCRoute
	case *gatewayv1.TLSRoute:
		return KindTLSRoute
	case *gatewayv1.TCPRoute:
		return KindTCPRoute
	case *gatewayv1.UDPRoute:
		return KindUDPRoute
	case *gatewayv1.ReferenceGrant:
		return KindReferenceGrant
	case *gatewayv1.BackendTLSPolicy:
		return KindBackendTLSPolicy
	case *xv1alpha1.XMesh:
		return KindXMesh
	}
	return ""
}

// coreKind returns the kind of an object of Kubernetes itself.
func coreKind(o Object) Kind {
	switch o.(type) {
	case *corev1.Service:
		return KindService
	case *discoveryv1.EndpointSlice:
		return KindEndpointSlice
	case *corev1.Secret:
		return KindSecret
	case *corev1.ConfigMap:
		return KindConfigMap
	case *corev1.Namespace:
		return KindNamespace
	}
	return ""
}

// ownKind returns the kind of an object of CitoRoute.
func ownKind(o Object) Kind {
	switch o.(type) {
	case *v1alpha1.LLMRoute:
		return KindLLMRoute
	case *v1alpha1.LLMBackend:
		return KindLLMBackend
	case *v1alpha1.Consumer:
		return KindConsumer
	case *v1alpha1.JWTValidationPolicy:
		return KindJWTPolicy
	case *v1alpha1.LLMLimitPolicy:
		return KindLLMLimitPolicy
	case *v1alpha1.LLMPriceTable:
		return KindLLMPriceTable
	case *v1alpha1.GatewayParameters:
		return KindGatewayParameters
	}
	return ""
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
