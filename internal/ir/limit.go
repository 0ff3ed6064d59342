package ir

// LimitPolicy says how much callers of LLM rules may use.
type LimitPolicy struct {
	Limits []Limit `json:"limits"`
	// Redis is where counters are; nil: in the proxy's own memory.
	Redis *Redis `json:"redis,omitempty"`
	// Open lets requests pass while Redis cannot be reached.
	Open bool `json:"open,omitempty"`
	// MaxOutput is the most output tokens that a request reserves for each
	// answer, and what it reserves where it sets no maximum itself.
	MaxOutput int64 `json:"maxOutput"`
}

// Limit bounds what may be used within a window of time.
type Limit struct {
	Name  string     `json:"name"` // of the limits of one policy
	Unit  LimitUnit  `json:"unit"`
	Per   LimitPer   `json:"per"`
	Scope LimitScope `json:"scope"`
	// Amount is in Unit; USD in nano-dollars (1e-9 USD).
	Amount int64 `json:"amount"`
	// Consumers are those whom the limit concerns, as <namespace>/<name>; empty:
	// everyone.
	Consumers []string `json:"consumers,omitempty"`
	// Models are the models that it concerns, as clients name them; "*" stands
	// for any characters. Empty: all.
	Models []string `json:"models,omitempty"`
}

// LimitUnit is what a limit counts.
type LimitUnit string

// Units of limits.
const (
	LimitRequests     LimitUnit = "Requests"
	LimitTokens       LimitUnit = "Tokens" // input and output
	LimitInputTokens  LimitUnit = "InputTokens"
	LimitOutputTokens LimitUnit = "OutputTokens"
	LimitUSD          LimitUnit = "USD"
)

// LimitPer is a window of time.
type LimitPer string

// Windows of limits, of the calendar in UTC.
const (
	PerMinute LimitPer = "Minute"
	PerHour   LimitPer = "Hour"
	PerDay    LimitPer = "Day"
	PerMonth  LimitPer = "Month"
)

// LimitScope says who shares a counter.
type LimitScope string

// Scopes of limits.
const (
	ScopeConsumer         LimitScope = "Consumer"         // each consumer, on all routes together
	ScopeRoute            LimitScope = "Route"            // each route, whoever calls
	ScopeConsumerAndRoute LimitScope = "ConsumerAndRoute" // each consumer on each route
	ScopeShared           LimitScope = "Shared"           // all
)

// Redis is a server that speaks the Redis protocol.
type Redis struct {
	// Address is host:port.
	Address string `json:"address"`
	TLS     bool   `json:"tls,omitempty"`
	// Credentials names the Secret with the values "username" and "password",
	// the certificate authorities of the server, and the certificate that it is
	// shown; empty: none.
	Credentials string `json:"credentials,omitempty"`
	// Prefix begins the names of all keys.
	Prefix string `json:"prefix"`
}
