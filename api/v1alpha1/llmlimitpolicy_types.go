package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// LLMLimitPolicy bounds what callers of LLMRoutes may use: requests, tokens and
// money. It is a direct policy as GEP-713 describes. Every limit of every policy
// that targets a route, its listener or its Gateway must have room for a
// request: policies add up, and none replaces another.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:metadata:labels="gateway.networking.k8s.io/policy=Direct"
// +kubebuilder:resource:path=llmlimitpolicies,shortName=llmlp,categories=citoroute
// +kubebuilder:printcolumn:name="Target",type=string,JSONPath=`.spec.targetRefs[*].name`
// +kubebuilder:printcolumn:name="Limits",type=string,JSONPath=`.spec.limits[*].name`
// +kubebuilder:printcolumn:name="Store",type=string,JSONPath=`.spec.store.type`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.ancestors[*].conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="ResolvedRefs",type=string,JSONPath=`.status.ancestors[*].conditions[?(@.type=="ResolvedRefs")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type LLMLimitPolicy struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec says what is limited, and how much may be used.
	// +required
	Spec LLMLimitPolicySpec `json:"spec"`

	// Status says for each target whether the policy is in force there.
	// +optional
	Status gatewayv1.PolicyStatus `json:"status,omitzero"`
}

// LLMLimitPolicyList is a list of LLMLimitPolicies.
//
// +kubebuilder:object:root=true
type LLMLimitPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []LLMLimitPolicy `json:"items"`
}

// LLMLimitPolicySpec says what is limited, and how much may be used.
type LLMLimitPolicySpec struct {
	// TargetRefs are the LLMRoutes and Gateways of the policy's namespace that
	// it limits; of a Gateway, with sectionName only that listener.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(t, (t.group == 'gateway.networking.k8s.io' && t.kind == 'Gateway') || (t.group == 'citoroute.io' && t.kind == 'LLMRoute'))",message="spec.targetRefs must name a Gateway of the group gateway.networking.k8s.io or an LLMRoute of the group citoroute.io"
	// +kubebuilder:validation:XValidation:rule="self.all(t, t.kind == 'Gateway' || !has(t.sectionName))",message="spec.targetRefs[].sectionName names a listener of a Gateway: remove it from an LLMRoute"
	// +kubebuilder:validation:XValidation:rule="self.all(t, self.exists_one(u, t == u))",message="spec.targetRefs names the same target twice: remove one"
	TargetRefs []gatewayv1.LocalPolicyTargetReferenceWithSectionName `json:"targetRefs"`

	// Limits are what a request must find room in: in all of them that concern
	// it, or it is refused with status 429 and counts in none.
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Limits []LLMLimit `json:"limits"`

	// MaxReservedOutputTokens is how many output tokens a request takes from its
	// limits at most until it is over, for each answer that it asks for; and how
	// many it takes where it sets no maximum of its own.
	// +optional
	// +kubebuilder:default=4096
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000000
	MaxReservedOutputTokens *int32 `json:"maxReservedOutputTokens,omitempty"`

	// Store is where is counted: the memory of each proxy, or a server that all
	// of them share.
	// +optional
	// +kubebuilder:default={type: "Memory"}
	Store LLMLimitStore `json:"store,omitzero"`

	// OnStoreFailure says what becomes of requests while the store cannot be
	// reached: Deny answers them with status 503, Allow lets them pass without
	// being counted.
	// +optional
	// +kubebuilder:default=Deny
	OnStoreFailure StoreFailureMode `json:"onStoreFailure,omitempty"`
}

// LimitUnit is what a limit counts.
//
// +kubebuilder:validation:Enum=Requests;Tokens;InputTokens;OutputTokens;USD
type LimitUnit string

// The units of limits.
const (
	LimitRequests     LimitUnit = "Requests"
	LimitTokens       LimitUnit = "Tokens" // input and output
	LimitInputTokens  LimitUnit = "InputTokens"
	LimitOutputTokens LimitUnit = "OutputTokens"
	LimitUSD          LimitUnit = "USD" // by the LLMPriceTable in force
)

// LimitWindow is the time in which an amount may be used.
//
// +kubebuilder:validation:Enum=Minute;Hour;Day;Month
type LimitWindow string

// The windows of limits. A day and a month are those of the calendar in UTC and
// begin anew; a minute and an hour slide.
const (
	PerMinute LimitWindow = "Minute"
	PerHour   LimitWindow = "Hour"
	PerDay    LimitWindow = "Day"
	PerMonth  LimitWindow = "Month"
)

// LimitScope says who shares a counter.
//
// +kubebuilder:validation:Enum=Consumer;Route;ConsumerAndRoute;Shared
type LimitScope string

// The scopes of limits.
const (
	// ScopeConsumer gives each Consumer a counter for all that the policy
	// targets. Requests without a known Consumer share one on each route.
	ScopeConsumer LimitScope = "Consumer"
	// ScopeRoute gives each route a counter, whoever calls.
	ScopeRoute LimitScope = "Route"
	// ScopeConsumerAndRoute gives each Consumer a counter on each route.
	ScopeConsumerAndRoute LimitScope = "ConsumerAndRoute"
	// ScopeShared has one counter for all that the policy targets.
	ScopeShared LimitScope = "Shared"
)

// LLMLimit is an amount that may be used within a window of time.
//
// +kubebuilder:validation:XValidation:rule="self.unit == 'USD' || quantity(string(self.amount)).isInteger()",fieldPath=".amount",message="spec.limits[].amount must be a whole number, unless its unit is USD"
type LLMLimit struct {
	// Name tells the limits of a policy apart: in answers, in metrics, and in
	// what is counted. A limit with another name starts from zero.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="spec.limits[].name must be lower-case letters, digits and dashes"
	Name string `json:"name"`

	// Unit is what is counted. USD needs an LLMPriceTable in force; requests
	// for a model that has no price in it are refused.
	// +required
	Unit LimitUnit `json:"unit"`

	// Per is the window of time.
	// +required
	Per LimitWindow `json:"per"`

	// Amount is how much may be used within the window: a whole number, such as
	// 60 or 2M, or for USD an amount of money such as "49.50".
	// +required
	// +kubebuilder:validation:XValidation:rule="quantity(string(self)).isGreaterThan(quantity('0'))",message="spec.limits[].amount must be more than 0"
	// +kubebuilder:validation:XValidation:rule="!quantity(string(self)).isGreaterThan(quantity('1T'))",message="spec.limits[].amount must be at most 1T"
	Amount resource.Quantity `json:"amount"`

	// Scope says who shares the counter.
	// +optional
	// +kubebuilder:default=Consumer
	Scope LimitScope `json:"scope,omitempty"`

	// ConsumerRefs are the Consumers whom the limit concerns. Without them it
	// concerns everyone.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	ConsumerRefs []ConsumerReference `json:"consumerRefs,omitempty"`

	// Models are the models that the limit concerns, by the name that the
	// client asks for; * stands for any characters. Without them it concerns
	// all. Where a backend sets its own model, clients may ask for any name:
	// leave this out there.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Models []string `json:"models,omitempty"`
}

// LimitStoreType says where limits are counted.
//
// +kubebuilder:validation:Enum=Memory;Redis
type LimitStoreType string

// The types of stores.
const (
	// StoreMemory counts in each proxy by itself.
	StoreMemory LimitStoreType = "Memory"
	// StoreRedis counts in a server that speaks the Redis protocol, such as
	// Valkey, for all proxies together.
	StoreRedis LimitStoreType = "Redis"
)

// LLMLimitStore says where limits are counted.
//
// +kubebuilder:validation:XValidation:rule="(self.type == 'Redis') == has(self.redis)",message="spec.store.redis is required for the type Redis, and for no other"
type LLMLimitStore struct {
	// Type is Memory or Redis. In memory each replica of a proxy counts by
	// itself, and from zero when it starts: use it with one replica.
	// +optional
	// +kubebuilder:default=Memory
	Type LimitStoreType `json:"type,omitempty"`

	// Redis says how a server that speaks the Redis protocol is reached.
	// +optional
	Redis *RedisStore `json:"redis,omitempty"`
}

// RedisStore says how a server that speaks the Redis protocol is reached.
type RedisStore struct {
	// Address is host:port of the server.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=320
	// +kubebuilder:validation:XValidation:rule="self.matches('^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[[][0-9A-Fa-f:.]+[]]):[0-9]{1,5}$')",message="spec.store.redis.address must be host:port, such as valkey.infra.svc:6379"
	Address string `json:"address"`

	// TLS encrypts the connection and checks the server's certificate: against
	// the authorities in ca.crt of the Secret that credentialsRef names, else
	// against those of the proxy's image.
	// +optional
	TLS bool `json:"tls,omitempty"`

	// CredentialsRef names a Secret of the policy's namespace with the keys
	// password and, where there is one, username; and for TLS ca.crt, and
	// tls.crt with tls.key where the server asks for a certificate.
	// +optional
	CredentialsRef *LocalSecretReference `json:"credentialsRef,omitempty"`

	// KeyPrefix begins the name of every key. Clusters that share a server need
	// different ones, unless they are to share their limits as well.
	// +optional
	// +kubebuilder:default=citoroute
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9._-]+$')",message="spec.store.redis.keyPrefix must be letters, digits, dots, dashes and underscores"
	KeyPrefix string `json:"keyPrefix,omitempty"`
}

// LocalSecretReference names a Secret of the same namespace.
type LocalSecretReference struct {
	// Name is the name of the Secret.
	// +required
	Name gatewayv1.ObjectName `json:"name"`
}

// StoreFailureMode says what becomes of requests while a store cannot be reached.
//
// +kubebuilder:validation:Enum=Allow;Deny
type StoreFailureMode string

// What becomes of requests while a store cannot be reached.
const (
	FailureAllow StoreFailureMode = "Allow" // they pass and are not counted
	FailureDeny  StoreFailureMode = "Deny"  // they are refused
)
