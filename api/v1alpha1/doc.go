// Package v1alpha1 holds the kinds that CitoRoute adds to Gateway API, in the
// API group citoroute.io: [LLMRoute] and [LLMBackend] for calls to large
// language models, [JWTValidationPolicy] and [Consumer] for who may make them.
//
//	Gateway <── targetRefs ── JWTValidationPolicy
//	   ▲
//	   └──── parentRefs ── LLMRoute ── consumerRefs ──> Consumer
//	                          └── backendRefs ──> LLMBackend ── credentialsRef ──> Secret
//
// Rules that one object can break by itself are part of the schema (CEL), so
// that the API server refuses the object with a message that says what to do.
// Rules about several objects become status conditions.
//
// This package imports apimachinery and Gateway API types only.
//
// +kubebuilder:object:generate=true
// +groupName=citoroute.io
package v1alpha1
