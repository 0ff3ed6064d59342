package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// LLMPriceTable says what models cost, for budgets and for the metrics of cost.
// It is a direct policy as GEP-713 describes: the table for a route is in force
// before that for its listener, and that before the one for its Gateway; of two
// for the same target the older is.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Direct"
// +kubebuilder:resource:shortName=llmpt,categories=citoroute
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.targetRefs[*].name`
// +kubebuilder:printcolumn:name="Models",type=string,JSONPath=`.spec.prices[*].model`,priority=1
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.ancestors[*].conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type LLMPriceTable struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec says where the prices hold, and what they are.
	// +required
	Spec LLMPriceTableSpec `json:"spec"`

	// Status says for each target whether the table is in force there.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitzero"`
}

// LLMPriceTableList is a list of LLMPriceTables.
//
// +kubebuilder:object:root=true
type LLMPriceTableList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []LLMPriceTable `json:"items"`
}

// LLMPriceTableSpec says where prices hold, and what they are.
type LLMPriceTableSpec struct {
	// TargetRefs are the LLMRoutes and Gateways of the table's namespace that it
	// is for; of a Gateway, with sectionName only that listener.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(t, (t.group == 'gateway.networking.k8s.io' && t.kind == 'Gateway') || (t.group == 'citoroute.io' && t.kind == 'LLMRoute'))",message="spec.targetRefs must name a Gateway of the group gateway.networking.k8s.io or an LLMRoute of the group citoroute.io"
	// +kubebuilder:validation:XValidation:rule="self.all(t, t.kind == 'Gateway' || !has(t.sectionName))",message="spec.targetRefs[].sectionName names a listener of a Gateway: remove it from an LLMRoute"
	// +kubebuilder:validation:XValidation:rule="self.all(t, self.exists_one(u, t == u))",message="spec.targetRefs names the same target twice: remove one"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs"`

	// Currency is what the prices are in.
	// +optional
	// +kubebuilder:default=USD
	Currency Currency `json:"currency,omitempty"`

	// Prices are what a million tokens cost. Of those that fit a model, the one
	// whose pattern has the most characters besides * holds; of two such, one
	// for the provider before one for all.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	Prices []LLMPrice `json:"prices"`
}

// Currency is what prices are in.
//
// +kubebuilder:validation:Enum=USD
type Currency string

// CurrencyUSD is the dollar of the United States.
const CurrencyUSD Currency = "USD"

// Price is an amount of money, with up to 9 decimal places.
//
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:Pattern=`^[0-9]{1,6}([.][0-9]{1,9})?$`
type Price string

// LLMPrice is what a million tokens of a model cost.
type LLMPrice struct {
	// Provider is whose model it is. Without it the price holds for every
	// provider.
	// +optional
	Provider Provider `json:"provider,omitempty"`

	// Model is the model as the provider names it, which is spec.model of the
	// LLMBackend where that is set; * stands for any characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Model string `json:"model"`

	// Input is the price of a million input tokens, such as "2.50".
	// +required
	Input Price `json:"input"`

	// CachedInput is the price of a million input tokens that the provider
	// reads from its cache. The default is that of input.
	// +optional
	CachedInput *Price `json:"cachedInput,omitempty"`

	// CacheWrite is the price of a million input tokens that the provider writes
	// to its cache. The default is that of input.
	// +optional
	CacheWrite *Price `json:"cacheWrite,omitempty"`

	// Output is the price of a million output tokens, reasoning included.
	// +required
	Output Price `json:"output"`
}
