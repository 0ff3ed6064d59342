package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// LLMRoute offers the models of LLMBackends on a Gateway, in the protocol of
// the OpenAI API whatever the backends speak.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:shortName=llmr,categories=citoroute
// +kubebuilder:printcolumn:name="Hostnames",type=string,JSONPath=`.spec.hostnames`
// +kubebuilder:printcolumn:name="Path",type=string,JSONPath=`.spec.path.value`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.parents[*].conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="ResolvedRefs",type=string,JSONPath=`.status.parents[*].conditions[?(@.type=="ResolvedRefs")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type LLMRoute struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec says where the route attaches, who may use it and where it leads.
	// +required
	Spec LLMRouteSpec `json:"spec"`

	// Status says for each parent whether the route is in force there.
	// +optional
	Status LLMRouteStatus `json:"status,omitzero"`
}

// LLMRouteList is a list of LLMRoutes.
//
// +kubebuilder:object:root=true
type LLMRouteList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []LLMRoute `json:"items"`
}

// LLMRouteSpec says where a route attaches, who may use it and where it leads.
type LLMRouteSpec struct {
	// ParentRefs are the Gateways or ListenerSets, or single listeners of
	// them, that the route attaches to.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule="self.all(p, (!has(p.group) || p.group == 'gateway.networking.k8s.io') && (!has(p.kind) || p.kind in ['Gateway', 'ListenerSet']))",message="spec.parentRefs must name a Gateway or ListenerSet of the group gateway.networking.k8s.io: an LLMRoute attaches to nothing else"
	// +kubebuilder:validation:XValidation:rule="self.all(p, self.exists_one(q, p == q))",message="spec.parentRefs names the same parent twice: remove one, or give each another sectionName or port"
	ParentRefs []gatewayv1.ParentReference `json:"parentRefs"`

	// Hostnames are the hosts that the route serves, each exact or with one
	// leading wildcard label. Without them the route serves every host of its
	// listeners.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Hostnames []gatewayv1.Hostname `json:"hostnames,omitempty"`

	// ConsumerRefs are the Consumers that may use the route. Without them
	// everyone may.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	ConsumerRefs []ConsumerReference `json:"consumerRefs,omitempty"`

	// Path is what the path of a request must match.
	// +optional
	// +kubebuilder:default={type: "PathPrefix", value: "/v1/chat/completions"}
	Path LLMPathMatch `json:"path,omitzero"`

	// MaxRequestBody is the size of the largest request body that the route
	// takes, images included, up to 256Mi. Larger ones are answered with 413.
	// +optional
	// +kubebuilder:default="32Mi"
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('1Ki')) >= 0 && quantity(string(self)).compareTo(quantity('256Mi')) <= 0",message="spec.maxRequestBody must be from 1Ki to 256Mi"
	MaxRequestBody *resource.Quantity `json:"maxRequestBody,omitempty"`

	// BackendRefs are the backends that requests go to: to those that serve the
	// model that a request asks for, the lowest priority first, and among those
	// of one priority by weight.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	BackendRefs []LLMBackendReference `json:"backendRefs"`

	// Failover says when another backend is asked, and how long one may take.
	// It also works without.
	// +optional
	Failover *LLMFailover `json:"failover,omitempty"`

	// BackendHeader says whether responses name the LLMBackend that served them,
	// in the header field X-Llm-Backend.
	// +optional
	// +kubebuilder:default=Name
	BackendHeader BackendHeader `json:"backendHeader,omitempty"`

	// UnsupportedParameters says what becomes of a parameter that changes an
	// answer and that the provider has no way to express, or not as it is: the
	// default is Drop.
	// +optional
	UnsupportedParameters UnsupportedParameters `json:"unsupportedParameters,omitempty"`

	// ContentLog has what was said written to the access log, where the proxies
	// write one, without what must not be in a log. Without it nothing of prompts
	// and answers is logged.
	// +optional
	ContentLog *LLMContentLog `json:"contentLog,omitempty"`
}

// LLMContent is a side of a conversation.
//
// +kubebuilder:validation:Enum=Prompts;Answers
type LLMContent string

// The sides of a conversation.
const (
	// LLMContentPrompts is what clients send: instructions, messages and the
	// results of tools.
	LLMContentPrompts LLMContent = "Prompts"
	// LLMContentAnswers is what they get: texts, thoughts and calls of tools.
	LLMContentAnswers LLMContent = "Answers"
)

// LLMContentLog says what of a conversation is logged. Keys, tokens, passwords,
// e-mail addresses, numbers of payment cards, images and other binary data are
// taken out as far as they are known by their form.
type LLMContentLog struct {
	// Include are the sides of a conversation that are logged.
	// +optional
	// +listType=set
	// +kubebuilder:default={"Prompts","Answers"}
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	Include []LLMContent `json:"include,omitempty"`

	// MaxTextSize is how much of one text is logged, 64 to 64Ki. Each side of a
	// conversation gets sixteen times as much: the newest messages are logged,
	// and how many were left out.
	// +optional
	// +kubebuilder:default="4Ki"
	// +kubebuilder:validation:XValidation:rule="isQuantity(string(self)) && quantity(string(self)).compareTo(quantity('64')) >= 0 && quantity(string(self)).compareTo(quantity('64Ki')) <= 0",message="spec.contentLog.maxTextSize must be from 64 to 64Ki"
	MaxTextSize *resource.Quantity `json:"maxTextSize,omitempty"`

	// Redact are patterns of what else is taken out.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Redact []LLMRedaction `json:"redact,omitempty"`
}

// LLMRedaction is something that is taken out of what is logged.
type LLMRedaction struct {
	// Name is what stands in the log instead.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([a-z0-9 -]*[a-z0-9])?$')",message="the name of a redaction must be lower-case letters, digits, spaces and hyphens"
	Name string `json:"name"`

	// Pattern is a regular expression in RE2 syntax. It must not match the empty
	// text.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Pattern string `json:"pattern"`
}

// BackendHeader says what responses tell about the backend that served them.
//
// +kubebuilder:validation:Enum=Name;Omit
type BackendHeader string

// What responses tell.
const (
	// BackendHeaderName has responses name the LLMBackend.
	BackendHeaderName BackendHeader = "Name"
	// BackendHeaderOmit has them not.
	BackendHeaderOmit BackendHeader = "Omit"
)

// UnsupportedParameters says what becomes of a parameter that a provider has no
// way to express.
//
// +kubebuilder:validation:Enum=Drop;Refuse
type UnsupportedParameters string

// What becomes of them.
const (
	// UnsupportedParametersDrop leaves them out, or changes them, and names them
	// in the header field X-Llm-Dropped-Params of the response.
	UnsupportedParametersDrop UnsupportedParameters = "Drop"
	// UnsupportedParametersRefuse has another backend asked, and where none can
	// express them answers with 400.
	UnsupportedParametersRefuse UnsupportedParameters = "Refuse"
)

// FailoverCause is a class of failures after which another backend is asked.
// All of them come before the first content of an answer: afterwards nothing
// is tried again.
//
// +kubebuilder:validation:Enum=Unreachable;RateLimited;ServerError;Timeout
type FailoverCause string

// The classes of failures.
const (
	// FailoverUnreachable is a backend that cannot be connected to.
	FailoverUnreachable FailoverCause = "Unreachable"
	// FailoverRateLimited is status 429.
	FailoverRateLimited FailoverCause = "RateLimited"
	// FailoverServerError is a status of 500 or more, a refusal of the gateway's
	// own credentials, and an answer that breaks off or cannot be read.
	FailoverServerError FailoverCause = "ServerError"
	// FailoverTimeout is a backend that does not answer in time.
	FailoverTimeout FailoverCause = "Timeout"
)

// LLMFailover says when another backend is asked, and how long one may take.
type LLMFailover struct {
	// MaxAttempts is how many backends a request is put to at most, the first
	// one included; 1 turns failover off.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16
	MaxAttempts *int32 `json:"maxAttempts,omitempty"`

	// Causes are the failures after which another backend is asked. Without them it
	// is asked after every one that another backend may not have.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	Causes []FailoverCause `json:"causes,omitempty"`

	// FirstTokenTimeout is how long a backend may take to the first content of a
	// stream, from the beginning of the attempt, while there is another one to
	// ask instead. Models that think before they answer need more of it. The
	// last backend has the timeout of its LLMBackend, as all have without this.
	// +optional
	FirstTokenTimeout *gatewayv1.Duration `json:"firstTokenTimeout,omitempty"`

	// IdleTimeout limits the silence between two parts of an answer. Without it
	// the timeout of the LLMBackend does that, too.
	// +optional
	IdleTimeout *gatewayv1.Duration `json:"idleTimeout,omitempty"`
}

// ConsumerReference names a Consumer.
type ConsumerReference struct {
	// Name is the name of the Consumer.
	// +required
	Name gatewayv1.ObjectName `json:"name"`

	// Namespace is that of the Consumer; the default is the route's own. In
	// another namespace, a ReferenceGrant there must allow it.
	// +optional
	Namespace *gatewayv1.Namespace `json:"namespace,omitempty"`
}

// PathMatchType says how a path is compared.
//
// +kubebuilder:validation:Enum=Exact;PathPrefix
type PathMatchType string

// The ways to compare a path.
const (
	// PathMatchExact compares the whole path.
	PathMatchExact PathMatchType = "Exact"
	// PathMatchPathPrefix compares whole leading segments: /a matches /a and
	// /a/b but not /ab.
	PathMatchPathPrefix PathMatchType = "PathPrefix"
)

// DefaultLLMPath is the path of an LLMRoute that sets none.
const DefaultLLMPath = "/v1/chat/completions"

// LLMPathMatch compares the path of a request.
type LLMPathMatch struct {
	// Type is Exact, or PathPrefix for whole leading segments.
	// +optional
	// +kubebuilder:default=PathPrefix
	Type PathMatchType `json:"type,omitempty"`

	// Value is the path to compare with.
	// +optional
	// +kubebuilder:default="/v1/chat/completions"
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.startsWith('/')",message="spec.path.value must be an absolute path: begin it with /"
	// +kubebuilder:validation:XValidation:rule="!self.matches('//|/[.]{1,2}(/|$)|%2[fF]|[?#[:space:][:cntrl:]]')",message="spec.path.value must be a plain path: it must not contain //, /./, /../, %2F, ?, # or white space"
	Value string `json:"value,omitempty"`
}

// LLMBackendReference names an LLMBackend, what it is asked for, and its share
// of the requests.
//
// +kubebuilder:validation:XValidation:rule="!has(self.model) || !self.model.contains('*') || !has(self.models) || self.models.all(m, m.contains('*'))",fieldPath=".model",message="model has a * for which nothing stands: write a * into every entry of models, or the full name into model"
type LLMBackendReference struct {
	// Name is the name of the LLMBackend.
	// +required
	Name gatewayv1.ObjectName `json:"name"`

	// Namespace is that of the LLMBackend; the default is the route's own. In
	// another namespace, a ReferenceGrant there must allow it.
	// +optional
	Namespace *gatewayv1.Namespace `json:"namespace,omitempty"`

	// Models are the models that the backend serves, by the names that clients
	// use. One * in a name stands for any characters. Without them the backend
	// serves every model that no other backendRef of the route names. Of several
	// entries that fit a request the most specific counts: a full name before
	// one with a *, and of those the longest.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.all(m, m.matches('^[^*[:space:][:cntrl:]]*[*]?[^*[:space:][:cntrl:]]*$'))",message="an entry of models must be a model's name, with at most one * in it and no white space"
	Models []string `json:"models,omitempty"`

	// Model is what the provider is asked for instead, before spec.model of the
	// LLMBackend. A * in it stands for what the * of the entry in models stood
	// for, or for the whole name where there are no models.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^*[:space:][:cntrl:]]*[*]?[^*[:space:][:cntrl:]]*$')",message="model must be a model's name as the provider writes it, with at most one * in it and no white space"
	Model string `json:"model,omitempty"`

	// Priority orders the backends: those with the lowest number are asked
	// first, the others when none of them can answer.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Priority *int32 `json:"priority,omitempty"`

	// Weight is the backend's share of the requests among those of its priority:
	// weight divided by the sum of all weights. A backend with weight 0 gets none.
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	Weight *int32 `json:"weight,omitempty"`
}

// LLMRouteStatus says for each parent whether the route is in force there.
type LLMRouteStatus struct {
	gatewayv1.RouteStatus `json:",inline"`
}
