package v1alpha1

// Condition types and reasons of the kinds of this package. An LLMRoute uses
// Gateway API's route conditions, the policies use its policy conditions.
const (
	// ConditionAccepted says whether the specification is usable.
	ConditionAccepted = "Accepted"
	// ConditionResolvedRefs says whether every reference leads to something
	// usable.
	ConditionResolvedRefs = "ResolvedRefs"

	// ReasonAccepted is used with Accepted=True.
	ReasonAccepted = "Accepted"
	// ReasonInvalid is used with Accepted=False where a field has no usable
	// value; the message names the field.
	ReasonInvalid = "Invalid"
	// ReasonResolvedRefs is used with ResolvedRefs=True.
	ReasonResolvedRefs = "ResolvedRefs"
	// ReasonRefNotPermitted is used with ResolvedRefs=False where a reference
	// to another namespace lacks a ReferenceGrant.
	ReasonRefNotPermitted = "RefNotPermitted"
	// ReasonCredentialsNotFound is used with ResolvedRefs=False where the
	// Secret does not exist.
	ReasonCredentialsNotFound = "CredentialsNotFound"
	// ReasonInvalidCredentials is used with ResolvedRefs=False where the Secret
	// lacks a key that the provider needs, or holds something else than hashes of
	// a Consumer's keys.
	ReasonInvalidCredentials = "InvalidCredentials"
	// ReasonNoPrices is used with ResolvedRefs=False where an LLMLimitPolicy
	// counts USD and no LLMPriceTable is in force.
	ReasonNoPrices = "NoPrices"
)
