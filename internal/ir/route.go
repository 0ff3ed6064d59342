package ir

import "time"

// Route is one route object bound to one listener. Its hostnames are already
// the intersection of the route's and the listener's.
type Route struct {
	Name     string `json:"name"` // <kind>/<namespace>/<name>@<listener name>
	Source   Source `json:"source"`
	Listener string `json:"listener"`
	// Hostnames is empty for any host; entries are exact or "*.suffix", lower case.
	Hostnames []string `json:"hostnames,omitempty"`
	// Declared, where set, holds for each of Hostnames the hostname that the
	// route itself asked for ("" for any). Of two routes with the same entry in
	// Hostnames the one that asked for the more specific hostname wins, before
	// any other rule of precedence. Unset: the same as Hostnames.
	Declared []string `json:"declared,omitempty"`
	// Created is the creation time in Unix seconds; the older of two otherwise
	// equal routes wins, then the alphabetically first namespace/name.
	Created int64  `json:"created,omitempty"`
	Rules   []Rule `json:"rules,omitempty"`
}

// ResourceType implements [Resource].
func (*Route) ResourceType() Type { return TypeRoute }

// ResourceName implements [Resource].
func (r *Route) ResourceName() string { return r.Name }

// Rule is one rule of a route: if one of Matches fits, run Filters in order
// and then the action. Exactly one action is taken: Direct where set, else a
// redirect among the filters, else LLM where set, else Backends by weight. A
// rule with no action answers 500, as Gateway API demands of a rule without a
// usable backend.
type Rule struct {
	Name     string            `json:"name,omitempty"`    // the rule's name, else its index
	Matches  []Match           `json:"matches,omitempty"` // empty: everything
	Filters  []Filter          `json:"filters,omitempty"`
	Direct   *Direct           `json:"direct,omitempty"`
	Backends []WeightedBackend `json:"backends,omitempty"`
	LLM      *LLMAction        `json:"llm,omitempty"`
	Timeouts Timeouts          `json:"timeouts,omitzero"`
	Retry    *Retry            `json:"retry,omitempty"`
	// Policies names the policies that apply to this rule, after the listener's.
	Policies []string `json:"policies,omitempty"`
}

// MatchType says how a value is compared.
type MatchType string

// Kinds of comparison. Prefix is by whole path segments: /a matches /a and
// /a/b but not /ab.
const (
	MatchExact  MatchType = "exact"
	MatchPrefix MatchType = "prefix"
	MatchRegex  MatchType = "regex" // RE2, anchored at both ends
)

// Match is one alternative of a rule; all that is set must fit.
type Match struct {
	Path    PathMatch    `json:"path,omitzero"` // zero: any path
	Method  string       `json:"method,omitempty"`
	Headers []ValueMatch `json:"headers,omitempty"`
	Query   []ValueMatch `json:"query,omitempty"`
}

// PathMatch compares the path of a request, without the query.
type PathMatch struct {
	Type  MatchType `json:"type,omitempty"`
	Value string    `json:"value,omitempty"`
}

// ValueMatch compares a header field or query parameter. Header names are
// compared without regard to case.
type ValueMatch struct {
	Name  string    `json:"name"`
	Type  MatchType `json:"type"` // exact or regex
	Value string    `json:"value"`
}

// Direct is an answer that the proxy gives by itself.
type Direct struct {
	Status int    `json:"status"`
	Body   string `json:"body,omitempty"`
}

// WeightedBackend is one choice among the backends of a rule. A reference
// that could not be resolved keeps its weight and has a Status (500) instead
// of a Backend.
type WeightedBackend struct {
	Backend string   `json:"backend,omitempty"`
	Weight  uint32   `json:"weight"`
	Status  int      `json:"status,omitempty"`
	Filters []Filter `json:"filters,omitempty"`
	// LLM is for the backends of a rule with an LLM action; nil: all is default.
	LLM *LLMTarget `json:"llm,omitempty"`
}

// LLMTarget says what one backend of an LLM rule is asked for, and when.
type LLMTarget struct {
	// Priority orders groups of backends: the lowest number is asked first.
	Priority int `json:"priority,omitempty"`
	// Models are the models that the backend serves by the names that clients
	// use. One "*" in a name stands for anything. Empty: every model.
	Models []string `json:"models,omitempty"`
	// Model is what the provider is asked for, before LLMProvider.Model; "*" in
	// it stands for what that of the matching entry of Models stood for, and for
	// the whole name where there is none. Empty: no rewrite.
	Model string `json:"model,omitempty"`
}

// Timeouts of a rule; zero is no limit.
type Timeouts struct {
	// Request limits the whole exchange as the client sees it, retries included.
	Request time.Duration `json:"request,omitempty"`
	// Backend limits one attempt, up to the response head.
	Backend time.Duration `json:"backend,omitempty"`
}

// Retry says which failures are tried again (GEP-1731).
type Retry struct {
	Attempts int           `json:"attempts"` // beyond the first
	Codes    []int         `json:"codes,omitempty"`
	Backoff  time.Duration `json:"backoff,omitempty"` // minimum wait between attempts
}

// LLMAction routes a rule by LLM semantics: see package internal/ai.
type LLMAction struct {
	// Consumers names those who may call; empty means everyone.
	Consumers []string `json:"consumers,omitempty"`
	// MaxBody is the size of the largest request body, in bytes; 0: 32 MiB.
	MaxBody  int64       `json:"maxBody,omitempty"`
	Failover LLMFailover `json:"failover,omitzero"`
	// Faithful has a backend passed over that cannot express all that a request
	// asks for.
	Faithful bool `json:"faithful,omitempty"`
	// HideBackend leaves the name of the backend out of responses.
	HideBackend bool `json:"hideBackend,omitempty"`
	// Content says what of conversations is logged; nil: nothing.
	Content *LLMContent `json:"content,omitempty"`
	// Limits names the policies whose limits a request must find room in, each
	// with a LimitPolicy. Prices names the one with the PriceTable; empty: the
	// listener's.
	Limits []string `json:"limits,omitempty"`
	Prices string   `json:"prices,omitempty"`
}

// LLMContent says what of conversations is logged.
type LLMContent struct {
	Prompts bool `json:"prompts,omitempty"`
	Answers bool `json:"answers,omitempty"`
	// MaxText is how much of a text is logged, in bytes; 0: 4 KiB.
	MaxText int `json:"maxText,omitempty"`
	// Redact is what is taken out besides what always is.
	Redact []Redaction `json:"redact,omitempty"`
}

// Redaction is a regular expression (RE2) of what is not to be logged, and what
// stands there instead.
type Redaction struct {
	Name    string `json:"name"`
	Pattern string `json:"pattern"`
}

// LLMFailover says when another backend of an LLM rule is asked.
type LLMFailover struct {
	// Attempts is how many backends are asked at most; 0: 3.
	Attempts int `json:"attempts,omitempty"`
	// Causes are the failures after which another one is asked; empty: all of them.
	Causes []LLMFault `json:"causes,omitempty"`
	// FirstToken limits the time until the first content of a stream while there
	// is another backend to ask, Idle the silence between two parts of an answer;
	// 0: LLMProvider.Timeout.
	FirstToken time.Duration `json:"firstToken,omitempty"`
	Idle       time.Duration `json:"idle,omitempty"`
}

// LLMFault is a class of failures of a provider.
type LLMFault string

// The classes of failures. All of them happen before the client has got any
// content.
const (
	// LLMFaultConnect: the provider could not be reached.
	LLMFaultConnect LLMFault = "connect"
	// LLMFaultThrottled: it answered 429.
	LLMFaultThrottled LLMFault = "throttled"
	// LLMFaultServer: it answered 5xx, refused the gateway's credential, or gave
	// no valid answer.
	LLMFaultServer LLMFault = "server"
	// LLMFaultTimeout: it was silent for too long.
	LLMFaultTimeout LLMFault = "timeout"
)
