package ir

import "time"

// Protocols of backends.
const (
	ProtocolH2C Protocol = "H2C" // HTTP/2 with prior knowledge, cleartext
)

// Backend is where requests go: a Service port, an external host, an LLM
// provider.
type Backend struct {
	Name   string `json:"name"` // service/<namespace>/<name>:<port>, llm/<namespace>/<name>, …
	Source Source `json:"source"`
	// Protocol is HTTP (HTTP/1.1), H2C, TCP or UDP. With TLS, HTTP means what
	// ALPN chooses.
	Protocol Protocol   `json:"protocol"`
	TLS      *ClientTLS `json:"tls,omitempty"`
	// Endpoints names the Endpoints resource.
	Endpoints string `json:"endpoints"`
	// ConnectTimeout limits dialling and the TLS handshake; zero: 5 s.
	ConnectTimeout time.Duration `json:"connectTimeout,omitempty"`
	LLM            *LLMProvider  `json:"llm,omitempty"`
}

// ResourceType implements [Resource].
func (*Backend) ResourceType() Type { return TypeBackend }

// ResourceName implements [Resource].
func (b *Backend) ResourceName() string { return b.Name }

// ClientTLS says how a backend's certificate is checked (GEP-1897).
type ClientTLS struct {
	// ServerName is sent as SNI and checked against the certificate, unless
	// SubjectAltNames is set: then one of those must be in the certificate.
	ServerName string `json:"serverName"`
	// CAs names Secret resources; SystemCAs uses the machine's instead.
	CAs             []string   `json:"cas,omitempty"`
	SystemCAs       bool       `json:"systemCAs,omitempty"`
	SubjectAltNames []SANMatch `json:"subjectAltNames,omitempty"`
	// Certificate names the Secret resource with the proxy's own certificate.
	Certificate string `json:"certificate,omitempty"`
}

// SANMatch is one acceptable subject alternative name; one field is set.
type SANMatch struct {
	Hostname string `json:"hostname,omitempty"`
	URI      string `json:"uri,omitempty"`
}

// LLMProvider makes a backend an LLM provider.
type LLMProvider struct {
	Provider string `json:"provider"` // openai, anthropic or bedrock
	// Model replaces the model that the client asked for; empty keeps it.
	Model string `json:"model,omitempty"`
	// MaxTokens limits an answer where the client does not; 0: as the provider
	// would, or 4096 where it needs a limit.
	MaxTokens int64 `json:"maxTokens,omitempty"`
	// DenyURLs says that requests that name URLs to be fetched are not for it.
	DenyURLs bool `json:"denyURLs,omitempty"`
	// BasePath is put before the provider's API path ("/v1" for OpenAI).
	BasePath string `json:"basePath,omitempty"`
	// Host is the authority that requests carry.
	Host string `json:"host"`
	// Credentials names the Secret resource; empty: none. Its values are
	// "apiKey" or, for Bedrock, "accessKeyID", "secretAccessKey", "sessionToken".
	Credentials string        `json:"credentials,omitempty"`
	Timeout     time.Duration `json:"timeout,omitempty"`
	Region      string        `json:"region,omitempty"` // bedrock
	// AssumeRole is the role in which Bedrock is asked; nil: the identity of
	// Credentials, or the proxy's own, is used as it is.
	AssumeRole *AWSRole `json:"assumeRole,omitempty"`
}

// AWSRole is a role of AWS IAM that the proxy assumes.
type AWSRole struct {
	ARN        string `json:"arn"`
	ExternalID string `json:"externalID,omitempty"`
	// SessionName is what AWS's own log calls the caller; it is not empty.
	SessionName string            `json:"sessionName"`
	SessionTags map[string]string `json:"sessionTags,omitempty"`
}

// Endpoints are the addresses of a backend, apart from it because they change
// most.
type Endpoints struct {
	Name      string     `json:"name"`
	Source    Source     `json:"source"`
	Addresses []Endpoint `json:"addresses,omitempty"`
}

// ResourceType implements [Resource].
func (*Endpoints) ResourceType() Type { return TypeEndpoints }

// ResourceName implements [Resource].
func (e *Endpoints) ResourceName() string { return e.Name }

// Endpoint is one address. Host is an IP address or, for external names, a
// DNS name that the proxy resolves.
type Endpoint struct {
	Host string `json:"host"`
	Port uint16 `json:"port"`
	Zone string `json:"zone,omitempty"`
}
