package controller

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	xv1alpha1 "sigs.k8s.io/gateway-api/apisx/v1alpha1"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// NewScheme returns the types that the controller reads and writes.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, gatewayv1.Install, xv1alpha1.Install, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// source is a kind of object that translation reads.
type source struct {
	kind schema.GroupVersionKind
	// object is an empty one, by its Go type.
	object client.Object
}

// definition returns the name of the kind's CustomResourceDefinition.
func (s source) definition() string {
	plural, _ := meta.UnsafeGuessKindToResource(s.kind)
	for wrong, right := range map[string]string{"shs": "shes", "rses": "rs"} { // the guess does not know
		if stem, ok := strings.CutSuffix(plural.Resource, wrong); ok {
			plural.Resource = stem + right
		}
	}
	return plural.GroupResource().String()
}

// sources lists the kinds that translation reads. Those that a CRD defines may
// be missing: the rest works without them, and they join when their CRD is
// installed.
func sources() []source {
	core, discovery := corev1.SchemeGroupVersion, discoveryv1.SchemeGroupVersion
	gateway, ours := schema.GroupVersion(gatewayv1.GroupVersion), v1alpha1.GroupVersion
	return []source{
		{core.WithKind("Namespace"), &corev1.Namespace{}},
		{core.WithKind("Service"), &corev1.Service{}},
		{core.WithKind("Secret"), &corev1.Secret{}},
		{core.WithKind("ConfigMap"), &corev1.ConfigMap{}},
		{discovery.WithKind("EndpointSlice"), &discoveryv1.EndpointSlice{}},
		{gateway.WithKind("GatewayClass"), &gatewayv1.GatewayClass{}},
		{gateway.WithKind("Gateway"), &gatewayv1.Gateway{}},
		{gateway.WithKind("ListenerSet"), &gatewayv1.ListenerSet{}},
		{gateway.WithKind("HTTPRoute"), &gatewayv1.HTTPRoute{}},
		{gateway.WithKind("GRPCRoute"), &gatewayv1.GRPCRoute{}},
		{gateway.WithKind("TLSRoute"), &gatewayv1.TLSRoute{}},
		{gateway.WithKind("TCPRoute"), &gatewayv1.TCPRoute{}},
		{gateway.WithKind("UDPRoute"), &gatewayv1.UDPRoute{}},
		{gateway.WithKind("ReferenceGrant"), &gatewayv1.ReferenceGrant{}},
		{gateway.WithKind("BackendTLSPolicy"), &gatewayv1.BackendTLSPolicy{}},
		{schema.GroupVersion(xv1alpha1.GroupVersion).WithKind("XMesh"), &xv1alpha1.XMesh{}},
		{ours.WithKind("LLMRoute"), &v1alpha1.LLMRoute{}},
		{ours.WithKind("LLMBackend"), &v1alpha1.LLMBackend{}},
		{ours.WithKind("Consumer"), &v1alpha1.Consumer{}},
		{ours.WithKind("JWTValidationPolicy"), &v1alpha1.JWTValidationPolicy{}},
		{ours.WithKind("LLMLimitPolicy"), &v1alpha1.LLMLimitPolicy{}},
		{ours.WithKind("LLMPriceTable"), &v1alpha1.LLMPriceTable{}},
		{ours.WithKind("GatewayParameters"), &v1alpha1.GatewayParameters{}},
	}
}
