package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// JWTValidationPolicy demands a valid JSON Web Token (RFC 7519) of every
// request to the Gateways, listeners or routes that it targets. It is a direct
// policy as GEP-713 describes: one for a listener replaces the one for its
// Gateway, and one for a route is demanded on top of them; of two for the same
// target the older is in force.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Direct"
// +kubebuilder:resource:path=jwtvalidationpolicies,shortName=jwtp,categories=citoroute
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.targetRefs[*].name`
// +kubebuilder:printcolumn:name="Providers",type=string,JSONPath=`.spec.providers[*].name`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.ancestors[*].conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="ResolvedRefs",type=string,JSONPath=`.status.ancestors[*].conditions[?(@.type=="ResolvedRefs")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type JWTValidationPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec says what is protected and whose tokens are valid.
	// +required
	Spec JWTValidationPolicySpec `json:"spec"`

	// Status says for each Gateway whether the policy is in force there.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitzero"`
}

// JWTValidationPolicyList is a list of JWTValidationPolicies.
//
// +kubebuilder:object:root=true
type JWTValidationPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []JWTValidationPolicy `json:"items"`
}

// JWTValidationPolicySpec says what is protected and whose tokens are valid.
type JWTValidationPolicySpec struct {
	// TargetRefs are what the policy protects, in its own namespace: Gateways,
	// with sectionName only that listener, and HTTPRoutes, GRPCRoutes and
	// LLMRoutes. A kind that is not supported is refused, because a policy that
	// is not in force would leave it open.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(t, t.group == 'gateway.networking.k8s.io' ? t.kind in ['Gateway', 'HTTPRoute', 'GRPCRoute'] : t.group == 'citoroute.io' && t.kind == 'LLMRoute')",message="spec.targetRefs must name a Gateway, HTTPRoute or GRPCRoute of the group gateway.networking.k8s.io or an LLMRoute of the group citoroute.io: other kinds are not protected by this policy"
	// +kubebuilder:validation:XValidation:rule="self.all(t, !has(t.sectionName) || t.kind == 'Gateway')",message="spec.targetRefs[].sectionName names a listener of a Gateway: leave it out for routes"
	// +kubebuilder:validation:XValidation:rule="self.all(t, self.exists_one(u, t == u))",message="spec.targetRefs names the same target twice: remove one"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs"`

	// Providers are the issuers of valid tokens. The token of a request must
	// be valid for one of them.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Providers []JWTProvider `json:"providers"`
}

// JWTAlgorithm is a signature algorithm (RFC 7518 section 3.1, RFC 8037). Only
// algorithms with a public key are known: "none" and shared secrets never are.
//
// +kubebuilder:validation:Enum=RS256;RS384;RS512;PS256;PS384;PS512;ES256;ES384;ES512;EdDSA
type JWTAlgorithm string

// The signature algorithms.
const (
	AlgorithmRS256 JWTAlgorithm = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256
	AlgorithmRS384 JWTAlgorithm = "RS384" // RSASSA-PKCS1-v1_5 with SHA-384
	AlgorithmRS512 JWTAlgorithm = "RS512" // RSASSA-PKCS1-v1_5 with SHA-512
	AlgorithmPS256 JWTAlgorithm = "PS256" // RSASSA-PSS with SHA-256
	AlgorithmPS384 JWTAlgorithm = "PS384" // RSASSA-PSS with SHA-384
	AlgorithmPS512 JWTAlgorithm = "PS512" // RSASSA-PSS with SHA-512
	AlgorithmES256 JWTAlgorithm = "ES256" // ECDSA with P-256 and SHA-256
	AlgorithmES384 JWTAlgorithm = "ES384" // ECDSA with P-384 and SHA-384
	AlgorithmES512 JWTAlgorithm = "ES512" // ECDSA with P-521 and SHA-512
	AlgorithmEdDSA JWTAlgorithm = "EdDSA" // Ed25519
)

// JWTProvider is an issuer of tokens.
type JWTProvider struct {
	// Name tells the providers of a policy apart.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="spec.providers[].name must be lower-case letters, digits and dashes"
	Name string `json:"name"`

	// Issuer is what the claim "iss" must be, compared byte by byte.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Issuer string `json:"issuer"`

	// Audiences are what the claim "aud" may be: a token must have one of
	// them. Without audiences the claim is not looked at.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	Audiences []string `json:"audiences,omitempty"`

	// JWKS says where the provider's public keys are (RFC 7517).
	// +required
	JWKS JWKS `json:"jwks"`

	// Algorithms are those that a token may be signed with. Without them each
	// key allows the ones that fit its type.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=10
	Algorithms []JWTAlgorithm `json:"algorithms,omitempty"`

	// ClaimToHeaders copies claims into header fields of the request to the
	// backend. A field of that name sent by the client is always removed.
	// +optional
	// +listType=map
	// +listMapKey=header
	// +kubebuilder:validation:MaxItems=16
	ClaimToHeaders []ClaimToHeader `json:"claimToHeaders,omitempty"`
}

// JWKS says where a key set is. Exactly one field is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.remote), has(self.inline), has(self.configMapRef)].exists_one(x, x)",message="spec.providers[].jwks must have exactly one of remote, inline and configMapRef"
type JWKS struct {
	// Remote fetches the key set from a URL, in the background.
	// +optional
	Remote *RemoteJWKS `json:"remote,omitempty"`

	// Inline is the key set itself, as JSON.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Inline string `json:"inline,omitempty"`

	// ConfigMapRef names a ConfigMap of the policy's namespace with the key set.
	// +optional
	ConfigMapRef *JWKSConfigMapReference `json:"configMapRef,omitempty"`
}

// RemoteJWKS says where to fetch a key set.
type RemoteJWKS struct {
	// URI is the http or https URL of the key set. Use http inside a cluster
	// only: whoever can change the answer can forge tokens.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''",message="spec.providers[].jwks.remote.uri must be an absolute URL such as https://issuer.example.com/jwks.json, with scheme http or https"
	// +kubebuilder:validation:XValidation:rule="!self.matches('[@#]')",message="spec.providers[].jwks.remote.uri must have no user or fragment: the key set is public"
	URI string `json:"uri"`
}

// JWKSConfigMapReference names one key of a ConfigMap.
type JWKSConfigMapReference struct {
	// Name is the name of the ConfigMap.
	// +required
	Name gatewayv1.ObjectName `json:"name"`

	// Key is the key of the ConfigMap under which the key set is.
	// +optional
	// +kubebuilder:default=jwks
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// ClaimToHeader copies one claim into a header field.
type ClaimToHeader struct {
	// Claim is the claim's name. A nested claim is a path with dots; names may
	// have dots themselves. A list or an object is written as JSON.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('.') && !self.endsWith('.') && !self.contains('..')",message="spec.providers[].claimToHeaders[].claim must have no empty part: write nested claims as parent.child"
	Claim string `json:"claim"`

	// Header is the name of the header field, for example X-User.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9-]+$')",message="spec.providers[].claimToHeaders[].header must be letters, digits and dashes"
	// +kubebuilder:validation:XValidation:rule="!(self.lowerAscii() in ['authorization', 'connection', 'content-length', 'expect', 'host', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding', 'upgrade'])",message="spec.providers[].claimToHeaders[].header must not be a field that the proxy itself controls, such as Host or Authorization: use a name of your own, such as X-User"
	Header string `json:"header"`
}
