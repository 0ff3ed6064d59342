package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Provider names the protocol that an LLM provider speaks.
//
// +kubebuilder:validation:Enum=OpenAI;Anthropic;Bedrock
type Provider string

// The providers.
const (
	// ProviderOpenAI is the OpenAI API, and whatever else speaks its protocol.
	ProviderOpenAI Provider = "OpenAI"
	// ProviderAnthropic is the Anthropic Messages API.
	ProviderAnthropic Provider = "Anthropic"
	// ProviderBedrock is the Amazon Bedrock Converse API.
	ProviderBedrock Provider = "Bedrock"
)

// Keys of the Secret that credentialsRef names.
const (
	// SecretKeyAPIKey holds the API key of OpenAI, Anthropic or Bedrock.
	SecretKeyAPIKey = "apiKey"
	// SecretKeyAccessKeyID holds an AWS access key ID.
	SecretKeyAccessKeyID = "accessKeyID"
	// SecretKeySecretAccessKey holds the secret of that access key.
	SecretKeySecretAccessKey = "secretAccessKey"
	// SecretKeySessionToken holds an AWS session token. It is optional.
	SecretKeySessionToken = "sessionToken"
)

// LLMBackend is a large language model at a provider, to which LLMRoutes send
// chat completions.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:shortName=llmb,categories=citoroute
// +kubebuilder:printcolumn:name="Provider",type=string,JSONPath=`.spec.provider`
// +kubebuilder:printcolumn:name="Model",type=string,JSONPath=`.spec.model`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="ResolvedRefs",type=string,JSONPath=`.status.conditions[?(@.type=="ResolvedRefs")].status`
// +kubebuilder:printcolumn:name="Endpoint",type=string,JSONPath=`.spec.endpoint`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type LLMBackend struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec says which model this is and how it is reached.
	// +required
	Spec LLMBackendSpec `json:"spec"`

	// Status says whether the backend can be used.
	// +optional
	Status LLMBackendStatus `json:"status,omitzero"`
}

// LLMBackendList is a list of LLMBackends.
//
// +kubebuilder:object:root=true
type LLMBackendList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []LLMBackend `json:"items"`
}

// LLMBackendSpec says which model a backend is and how it is reached.
//
// +kubebuilder:validation:XValidation:rule="self.provider != 'Bedrock' || has(self.bedrock)",fieldPath=".bedrock",reason=FieldValueRequired,message="spec.bedrock is required when spec.provider is Bedrock: set spec.bedrock.region"
// +kubebuilder:validation:XValidation:rule="self.provider == 'Bedrock' || !has(self.bedrock)",fieldPath=".bedrock",reason=FieldValueForbidden,message="spec.bedrock is for the provider Bedrock only: remove it or set spec.provider to Bedrock"
// +kubebuilder:validation:XValidation:rule="self.provider != 'Bedrock' || has(self.model)",fieldPath=".model",reason=FieldValueRequired,message="spec.model is required when spec.provider is Bedrock: set a model ID, an inference profile or an ARN"
// +kubebuilder:validation:XValidation:rule="!has(self.bedrock) || !has(self.model) || !self.model.startsWith('arn:') || self.model.split(':').size() > 5 && self.model.split(':')[3] == self.bedrock.region",fieldPath=".model",message="spec.model is an ARN of another region: set spec.bedrock.region to the fourth part of the ARN"
type LLMBackendSpec struct {
	// Provider is the protocol that the backend speaks: OpenAI (also for
	// everything compatible with it), Anthropic or Bedrock.
	// +required
	Provider Provider `json:"provider"`

	// Model is the provider's name of the model. It replaces the model that the
	// client asked for. Without it the client's choice is passed on. For
	// Bedrock it is required: a model ID, an inference profile or an ARN.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="!self.matches('[[:space:][:cntrl:]]')",message="spec.model must not contain white space: use the name exactly as the provider writes it"
	Model string `json:"model,omitempty"`

	// MaxTokens is how long an answer may be, in tokens, where the client sets no
	// limit and speaks another protocol than the provider. The default is 4096
	// for Anthropic, which needs a limit, and the provider's own for the others.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	MaxTokens int64 `json:"maxTokens,omitempty"`

	// Endpoint is the http or https URL of the provider's API, for example of
	// a proxy, a self-hosted model or a private endpoint. Its path is the base
	// of the API ("/v1" for OpenAI). The default is the provider's public
	// endpoint; that of Bedrock is the one of spec.bedrock.region. Requests to
	// another Bedrock endpoint (FIPS, dual-stack, private) are signed for
	// spec.bedrock.region all the same.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="isURL(self) && url(self).getScheme() in ['http', 'https'] && url(self).getHostname() != ''",message="spec.endpoint must be an absolute URL such as https://llm.example.com/v1, with scheme http or https"
	// +kubebuilder:validation:XValidation:rule="!self.matches('[@?#]')",message="spec.endpoint must have no user, query or fragment: put credentials in the Secret that spec.credentialsRef names"
	Endpoint string `json:"endpoint,omitempty"`

	// MediaURLs says whether requests may name URLs for the provider to fetch
	// images, documents and the like from. The gateway never fetches any. Deny it
	// to an engine that runs in your own network, which a client could otherwise
	// have read addresses there: it then gets data URIs only.
	// +optional
	// +kubebuilder:default=Allow
	MediaURLs MediaURLs `json:"mediaURLs,omitempty"`

	// CredentialsRef names the Secret with the provider's credentials: the key
	// apiKey or, for Bedrock, either that or accessKeyID, secretAccessKey and,
	// where there is one, sessionToken. In another namespace, a ReferenceGrant
	// there must allow it. Without it requests are sent with no credentials,
	// except to Bedrock, where the proxy's own AWS identity is used.
	// +optional
	// +kubebuilder:validation:XValidation:rule="(!has(self.group) || self.group == '') && (!has(self.kind) || self.kind == 'Secret')",message="spec.credentialsRef must name a Secret: leave out group and kind"
	CredentialsRef *gatewayv1.SecretObjectReference `json:"credentialsRef,omitempty"`

	// Timeout limits one attempt: the time until the response begins, and then
	// the silence between two parts of it. "0s" turns it off.
	// +optional
	// +kubebuilder:default="5m"
	Timeout *gatewayv1.Duration `json:"timeout,omitempty"`

	// Bedrock holds what only Amazon Bedrock needs.
	// +optional
	Bedrock *BedrockOptions `json:"bedrock,omitempty"`
}

// MediaURLs says whether requests may name URLs for the provider to fetch.
//
// +kubebuilder:validation:Enum=Allow;Deny
type MediaURLs string

// What becomes of requests that name URLs.
const (
	MediaURLsAllow MediaURLs = "Allow" // they are passed on
	MediaURLsDeny  MediaURLs = "Deny"  // they are answered with 400, or go to another backend
)

// BedrockOptions holds what only Amazon Bedrock needs.
type BedrockOptions struct {
	// Region is the AWS region whose Bedrock is called and for which requests
	// are signed, for example us-east-1.
	// +required
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z]{2,}(-[a-z]+)+-[0-9]+$')",message="spec.bedrock.region must be an AWS region such as us-east-1"
	Region string `json:"region"`

	// AssumeRole is an IAM role that the gateway assumes, with the access key
	// of spec.credentialsRef or else with its own AWS identity, and in which it
	// calls Bedrock. An API key cannot assume a role.
	// +optional
	AssumeRole *AssumeRole `json:"assumeRole,omitempty"`
}

// AssumeRole says which IAM role is assumed, and how.
type AssumeRole struct {
	// RoleARN is the ARN of the role.
	// +required
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^arn:aws[a-z-]*:iam::[0-9]{12}:role/[a-zA-Z0-9_+=,.@/-]+$')",message="spec.bedrock.assumeRole.roleARN must be the ARN of an IAM role such as arn:aws:iam::123456789012:role/bedrock"
	RoleARN string `json:"roleARN"`

	// ExternalID is what the role's trust policy may ask for, where the role
	// belongs to another party.
	// +optional
	// +kubebuilder:validation:MaxLength=1224
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9_+=,.@:/-]{2,}$')",message="spec.bedrock.assumeRole.externalID must be 2 or more letters, digits and characters of _+=,.@:/-"
	ExternalID string `json:"externalID,omitempty"`

	// SessionName is what CloudTrail calls the gateway.
	// +optional
	// +kubebuilder:default=citoroute
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9_+=,.@-]{2,}$')",message="spec.bedrock.assumeRole.sessionName must be 2 to 64 letters, digits and characters of _+=,.@-"
	SessionName string `json:"sessionName,omitempty"`

	// SessionTags are attributes of the session, for policies and for the
	// allocation of costs. The role's trust policy must allow sts:TagSession.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=50
	SessionTags []SessionTag `json:"sessionTags,omitempty"`
}

// DefaultSessionName is the session name of an AssumeRole that sets none.
const DefaultSessionName = "citoroute"

// SessionTag is an attribute of a role's session.
type SessionTag struct {
	// Name is the key of the tag.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="!self.lowerAscii().startsWith('aws:') && self.matches('^[a-zA-Z0-9 _.:/=+@-]*$')",message="spec.bedrock.assumeRole.sessionTags name must be letters, digits, spaces and characters of _.:/=+@-, and not begin with aws:"
	Name string `json:"name"`

	// Value is the value of the tag; it may be empty.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-zA-Z0-9 _.:/=+@-]*$')",message="spec.bedrock.assumeRole.sessionTags value must be letters, digits, spaces and characters of _.:/=+@-"
	Value string `json:"value,omitempty"`
}

// LLMBackendStatus says whether a backend can be used.
type LLMBackendStatus struct {
	// Conditions are Accepted (the specification is usable) and ResolvedRefs
	// (the credentials are there, complete, and may be read).
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
