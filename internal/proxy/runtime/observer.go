package runtime

import (
	"net/netip"
	"time"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Observer is told of every exchange, for metrics and the access log.
type Observer interface {
	// Series returns what the observer wants to find in [Record.Series] for
	// exchanges of that rule and backend, so that nothing has to be looked up
	// per exchange. backend is "" for exchanges that reach none. It is called
	// when a route is compiled, not while serving, and may return nil.
	Series(route *ir.Route, rule *ir.Rule, backend string) any
	// Done is called once per exchange, from Handler.Finish. rec and its
	// strings are valid until Done returns.
	Done(rec *Record)
}

// LLMRecord is what is known of an exchange with an LLM provider.
type LLMRecord struct {
	Provider string // openai, anthropic or bedrock
	// Asked is the model that the client named, Model the one that the provider
	// was asked for.
	Asked, Model string
	// Usage is what the provider counted; Counted says that it did.
	Usage   chat.Usage
	Counted bool
}

// Record is what is known about an exchange when it has ended.
type Record struct {
	// Start is when the request head had been read; Head is when the response
	// head was ready; Duration spans Start to the end of the response.
	Start          time.Time
	Head, Duration time.Duration

	// Method, Scheme, Authority, Path and Query are as the client sent them.
	Method, Scheme, Authority, Path, Query string
	Proto                                  exchange.Proto
	Remote                                 netip.AddrPort
	UserAgent, RequestID                   string

	// Listener, Route and Rule are nil where none was found.
	Listener *ir.Listener
	Route    *ir.Route
	Rule     *ir.Rule
	// Backend is the name of the backend that was chosen, Endpoint the address
	// of the last attempt; both may be empty.
	Backend, Endpoint string
	// Attempts counts the tries to reach a backend; 0: none was needed.
	Attempts int

	// Status is what the client got.
	Status int
	// Err is why the proxy answered by itself; nil where it did as configured.
	Err error
	// Series is what Observer.Series returned for Rule and Backend.
	Series any
	// LLM is nil where no LLM provider was asked.
	LLM *LLMRecord
	// End says how the exchange ended on the client's side.
	End exchange.End
}
