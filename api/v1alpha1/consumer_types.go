package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Consumer is someone who calls LLMRoutes, known by a claim of a valid token or
// by an API key. A JWTValidationPolicy says which tokens are valid.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:shortName=cons,categories=citoroute
// +kubebuilder:printcolumn:name="Claim",type=string,JSONPath=`.spec.jwtClaimMatch.key`
// +kubebuilder:printcolumn:name="Value",type=string,JSONPath=`.spec.jwtClaimMatch.value`
// +kubebuilder:printcolumn:name="Keys",type=string,JSONPath=`.spec.apiKeys.secretRef.name`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="ResolvedRefs",type=string,JSONPath=`.status.conditions[?(@.type=="ResolvedRefs")].status`
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

// ConsumerSpec says how a consumer is recognised: by each of the ways that are
// set.
//
// +kubebuilder:validation:XValidation:rule="has(self.jwtClaimMatch) || has(self.apiKeys)",reason=FieldValueRequired,message="spec must have jwtClaimMatch, apiKeys or both: without either nobody is this consumer"
type ConsumerSpec struct {
	// JWTClaimMatch recognises the consumer by a claim of its token.
	// +optional
	JWTClaimMatch *JWTClaimMatch `json:"jwtClaimMatch,omitempty"`

	// APIKeys recognises the consumer by a key, sent as "Authorization: Bearer",
	// "x-api-key" or "api-key".
	// +optional
	APIKeys *ConsumerAPIKeys `json:"apiKeys,omitempty"`
}

// MinAPIKeyLength is the least length of an API key in bytes: a shorter one is
// not accepted, whatever its hash. Keys must be random, since a hash keeps
// secret only what cannot be guessed.
const MinAPIKeyLength = 32

// ConsumerAPIKeys says where the hashes of a consumer's keys are.
type ConsumerAPIKeys struct {
	// SecretRef names a Secret. Each of its entries is the SHA-256 hash of one
	// key of 32 characters or more, as 64 hexadecimal digits; the key itself is
	// stored nowhere. All entries are valid at the same time, so that a key is
	// replaced by adding the next and later removing the old. In another
	// namespace, a ReferenceGrant there must allow it.
	// +required
	// +kubebuilder:validation:XValidation:rule="(!has(self.group) || self.group == '') && (!has(self.kind) || self.kind == 'Secret')",message="spec.apiKeys.secretRef must name a Secret: leave out group and kind"
	SecretRef gatewayv1.SecretObjectReference `json:"secretRef"`
}

// JWTClaimMatch compares one claim of a token.
type JWTClaimMatch struct {
	// Key is the claim's name. A nested claim is a path with dots, such as
	// "realm_access.roles". Names may have dots themselves: of those that fit,
	// the longest is followed first.
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
	// Conditions are Accepted (the specification is usable) and ResolvedRefs
	// (the Secret holds hashes of keys).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
