package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of every kind of this package.
const GroupName = "citoroute.io"

// GroupVersion is the API group and version of every kind of this package.
var GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

// AddToScheme registers the kinds of this package with scheme. It fails only
// if scheme has other types under the same names.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Consumer{}, &ConsumerList{},
		&GatewayParameters{}, &GatewayParametersList{},
		&JWTValidationPolicy{}, &JWTValidationPolicyList{},
		&LLMBackend{}, &LLMBackendList{},
		&LLMLimitPolicy{}, &LLMLimitPolicyList{},
		&LLMPriceTable{}, &LLMPriceTableList{},
		&LLMRoute{}, &LLMRouteList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
