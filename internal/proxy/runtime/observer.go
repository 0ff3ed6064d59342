package runtime

import (
	"net/netip"
	"time"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/limit"
	"github.com/citoroute/citoroute/internal/proxy/llm"
	"github.com/citoroute/citoroute/internal/proxy/trace"
)

// Observer is told of every exchange, for metrics and the access log.
type Observer interface {
	// Series returns what the observer wants to find in [Record.Series] for
	// exchanges of that rule and backend, so that nothing has to be looked up
	// per exchange. backend is "" for exchanges that reach none. It is called
	// when a route is compiled, not while serving, and may return nil.
	Series(route *ir.Route, rule *ir.Rule, backend string) any
	// Done is called once per exchange, from Handler.Finish. rec, all that it
	// refers to and its strings are valid until Done returns; those that are the
	// configuration's, like names of backends and consumers, for longer.
	Done(rec *Record)
}

// LLMRecord is what is known of an LLM request.
type LLMRecord struct {
	// Protocol is what the client speaks.
	Protocol ai.Protocol
	// Asked is the model that the client named.
	Asked string
	// Stream says that the client asked for a stream.
	Stream bool
	// Attempts are the tries at providers, in order; the client got its answer
	// from the last one. It is empty where none was asked.
	Attempts []LLMAttempt
	// Content is what was said, where the rule has it logged: JSON members each
	// of which begins with a comma, bounded and without what is secret. It is for
	// the access log alone.
	Content []byte
	// Limited is the limit that refused the request; nil: none did. LimitErr is
	// why limits could not be counted; nil where they could.
	Limited  *limit.Limit
	LimitErr error
}

// LLMAttempt is one try at an LLM provider. Each is accounted for by itself,
// since a provider bills what it has answered, whoever got it.
type LLMAttempt struct {
	// Backend is the name of the backend resource, Provider one of openai,
	// anthropic and bedrock, Model the model that it was asked for.
	Backend, Provider, Model string
	// Configured says that the model is the configuration's choice and not the
	// client's. Host is the provider's, with its port where that is not the
	// usual one: 443 with TLS, else 80.
	Configured bool
	Host       string
	TLS        bool
	// Start is when the attempt began. FirstContent spans from there to the
	// first content of a stream, zero where there was none; Duration to the end
	// of the answer.
	Start                  time.Time
	FirstContent, Duration time.Duration
	// Span is the attempt's own, where the request is recorded in a trace.
	Span trace.Span
	// Status is the provider's; 0: no answer came.
	Status int
	// Err is why the attempt failed; nil where it did not.
	Err error
	// Outcome is what the provider told of the answer as a whole, where the
	// request is recorded in a trace. Pace is how the pieces of a stream came.
	Outcome chat.Outcome
	Pace    llm.Pace
	// Usage is what the provider counted; Counted says that it did.
	Usage   chat.Usage
	Counted bool
	// Assumed is what a stream has used beyond Usage, as far as the gateway can
	// tell: the provider's last count never came.
	Assumed chat.Usage
	// Cost is what Usage costs by the price table in force, in nano-dollars
	// (1e-9 USD); Priced says that it has a price for the model.
	Cost   int64
	Priced bool
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
	// Remote is the client, with port 0 where that is not known. Peer is the
	// trusted proxy that the request came from; invalid: it came from the client.
	Remote, Peer         netip.AddrPort
	UserAgent, RequestID string
	// Trace is zero where the request is not recorded in a trace.
	Trace trace.Trace

	// Listener, Route and Rule are nil where none was found.
	Listener *ir.Listener
	Route    *ir.Route
	Rule     *ir.Rule
	// Consumer is the Consumer who called, as <namespace>/<name>; empty where
	// the rule is open to everyone or the caller is none of its consumers.
	Consumer string
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
	// LLM is nil where the rule is no LLM rule or the request could not be read.
	LLM *LLMRecord
	// End says how the exchange ended on the client's side.
	End exchange.End
}
