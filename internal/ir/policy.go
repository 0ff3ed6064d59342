package ir

// Policy is a rule that a request must pass before its route's filters run.
// Exactly one kind is set.
type Policy struct {
	Name   string `json:"name"` // <kind>/<namespace>/<name>
	Source Source `json:"source"`
	JWT    *JWT   `json:"jwt,omitempty"`
	// Consumer says who a caller is.
	Consumer *Consumer `json:"consumer,omitempty"`
	// Limits and Prices are of LLM rules: see [LLMAction].
	Limits *LimitPolicy `json:"limits,omitempty"`
	Prices *PriceTable  `json:"prices,omitempty"`
}

// ResourceType implements [Resource].
func (*Policy) ResourceType() Type { return TypePolicy }

// ResourceName implements [Resource].
func (p *Policy) ResourceName() string { return p.Name }

// JWT demands a valid bearer token of one of the providers (RFC 6750, RFC 7519).
type JWT struct {
	Providers []JWTProvider `json:"providers"`
}

// JWTProvider is an issuer whose tokens are accepted.
type JWTProvider struct {
	Name       string   `json:"name"`
	Issuer     string   `json:"issuer"`
	Audiences  []string `json:"audiences,omitempty"`
	Algorithms []string `json:"algorithms,omitempty"`
	// JWKS is an inline key set; RemoteJWKS is where to fetch one. One is set.
	JWKS       string `json:"jwks,omitempty"`
	RemoteJWKS string `json:"remoteJWKS,omitempty"`
	// ClaimHeaders copies claims into request header fields.
	ClaimHeaders []ClaimHeader `json:"claimHeaders,omitempty"`
}

// ClaimHeader copies the claim at a dotted path into a header field.
type ClaimHeader struct {
	Claim  string `json:"claim"`
	Header string `json:"header"`
}

// Consumer is who a caller is, by a claim of its token or by an API key. One
// with neither is nobody.
type Consumer struct {
	// Claim is a dotted path, empty for none; an array matches where one member
	// does.
	Claim string `json:"claim,omitempty"`
	Value string `json:"value,omitempty"`
	// APIKeys names a Secret resource whose values are the SHA-256 hashes of the
	// consumer's keys, 32 bytes each.
	APIKeys string `json:"apiKeys,omitempty"`
}
