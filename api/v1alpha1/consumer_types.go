package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Consumer is someone who calls LLMRoutes, known by a claim of a valid token.
// A JWTValidationPolicy on the Gateway says which tokens are valid.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:shortName=cons,categories=citoroute
// +kubebuilder:printcolumn:name="Claim",type=string,JSONPath=`.spec.jwtClaimMatch.key`
// +kubebuilder:printcolumn:name="Value",type=string,JSONPath=`.spec.jwtClaimMatch.value`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Consumer struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec says how the consumer is recognised.
	// +required
	Spec ConsumerSpec `json:"spec"`

	// Status says whether the consumer can be recognised.
	// +optional
	Status ConsumerStatus `json:"status,omitzero"`
}

// ConsumerList is a list of Consumers.
//
// +kubebuilder:object:root=true
type ConsumerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []Consumer `json:"items"`
}

// ConsumerSpec says how a consumer is recognised.
//
// +kubebuilder:validation:XValidation:rule="has(self.jwtClaimMatch)",fieldPath=".jwtClaimMatch",reason=FieldValueRequired,message="spec.jwtClaimMatch is required: set the key and value of the claim that identifies the consumer"
type ConsumerSpec struct {
	// JWTClaimMatch recognises the consumer by a claim of its token.
	// +optional
	JWTClaimMatch *JWTClaimMatch `json:"jwtClaimMatch,omitempty"`
}

// JWTClaimMatch compares one claim of a token.
type JWTClaimMatch struct {
	// Key is the claim's name. A nested claim is a path with dots, such as
	// "realm_access.roles".
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('.') && !self.endsWith('.') && !self.contains('..')",message="spec.jwtClaimMatch.key must have no empty part: write nested claims as parent.child"
	Key string `json:"key"`

	// Value is what the claim must be. Where the claim is an array, one of its
	// members must be it. Numbers and booleans are compared as JSON writes them.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Value string `json:"value"`
}

// ConsumerStatus says whether a consumer can be recognised.
type ConsumerStatus struct {
	// Conditions are Accepted (the specification is usable).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
