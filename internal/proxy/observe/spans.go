package observe

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
	"github.com/citoroute/citoroute/internal/proxy/trace"
)

// spansOf returns the spans of an exchange: the server's, and the client's of
// each attempt at an LLM provider. They share no memory with it. Nothing of
// prompts, answers and queries is among them.
func spansOf(rec *runtime.Record) []*tracepb.Span {
	out := []*tracepb.Span{serverSpan(rec)}
	if rec.LLM == nil {
		return out
	}
	for i := range rec.LLM.Attempts {
		left := i == len(rec.LLM.Attempts)-1 && rec.End.Err != nil
		out = append(out, attemptSpan(rec, &rec.LLM.Attempts[i], left))
	}
	return out
}

// serverSpan follows the semantic conventions for HTTP servers.
func serverSpan(rec *runtime.Record) *tracepb.Span {
	method := knownMethod(rec.Method)
	s := &tracepb.Span{
		TraceId: slices.Clone(rec.Trace.ID[:]), SpanId: slices.Clone(rec.Trace.Own[:]), Flags: spanFlags,
		Name: method, Kind: tracepb.Span_SPAN_KIND_SERVER,
		StartTimeUnixNano: nanos(rec.Start), EndTimeUnixNano: nanos(rec.Start.Add(rec.Duration)),
	}
	if rec.Trace.Parent != (trace.Span{}) {
		s.ParentSpanId = slices.Clone(rec.Trace.Parent[:])
	}
	var a attributes
	a.text("http.request.method", method)
	a.text("url.scheme", rec.Scheme)
	a.text("url.path", rec.Path)
	a.text("server.address", (&url.URL{Host: rec.Authority}).Hostname())
	a.text("network.protocol.version", strings.TrimPrefix(rec.Proto.String(), "HTTP/"))
	a.text("user_agent.original", rec.UserAgent)
	a.number("http.response.status_code", int64(rec.Status))
	if rec.Remote.IsValid() {
		a.text("client.address", rec.Remote.Addr().String())
	}
	if rec.Route != nil {
		src := rec.Route.Source
		src.Section = ""
		s.Name += " " + src.String()
		a.text("citoroute.route", src.String())
		a.text("citoroute.listener", rec.Route.Listener)
	}
	a.text("citoroute.backend", rec.Backend)
	a.text("citoroute.consumer", rec.Consumer)
	kind := ""
	switch {
	case rec.Rule != nil && rec.Rule.LLM != nil:
		kind = endingOfRequest(rec).kind
	case rec.Status >= 500:
		kind = strconv.Itoa(rec.Status)
	}
	// What a client did wrong is no error of the server (HTTP conventions).
	s.Attributes, s.Status = a.failed(kind, rec.Status < 400 || rec.Status >= 500)
	return s
}

// attemptSpan follows the semantic conventions for generative AI clients.
func attemptSpan(rec *runtime.Record, a *runtime.LLMAttempt, left bool) *tracepb.Span {
	operation, end := operationOf(rec.LLM.Protocol), endingOf(a, left)
	s := &tracepb.Span{
		TraceId: slices.Clone(rec.Trace.ID[:]), SpanId: slices.Clone(a.Span[:]), Flags: spanFlags,
		ParentSpanId: slices.Clone(rec.Trace.Own[:]),
		Name:         operation + " " + shortName(a.Model), Kind: tracepb.Span_SPAN_KIND_CLIENT,
		StartTimeUnixNano: nanos(a.Start), EndTimeUnixNano: nanos(a.Start.Add(a.Duration)),
	}
	var t attributes
	t.text("gen_ai.operation.name", operation)
	t.text("gen_ai.provider.name", providerName(a.Provider))
	t.text("gen_ai.request.model", shortName(a.Model))
	address, port := splitHost(a.Host, a.TLS)
	t.text("server.address", address)
	if n, err := strconv.Atoi(port); err == nil {
		t.number("server.port", int64(n))
	}
	if rec.LLM.Stream {
		t = append(t, &commonpb.KeyValue{Key: "gen_ai.request.stream", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: true}}})
	}
	if a.FirstContent > 0 {
		t = append(t, &commonpb.KeyValue{Key: "gen_ai.response.time_to_first_chunk", Value: &commonpb.AnyValue{
			Value: &commonpb.AnyValue_DoubleValue{DoubleValue: a.FirstContent.Seconds()},
		}})
	}
	t.outcome(a.Outcome)
	if a.Counted {
		t.usage(a.Usage)
	}
	t.number("http.response.status_code", int64(a.Status))
	t.text("citoroute.backend", a.Backend)
	s.Attributes, s.Status = t.failed(end.kind, true)
	return s
}

// spanFlags is the flag "sampled" of W3C Trace Context.
const spanFlags = 1

// attributes of a span. What is empty or zero is left out.
type attributes []*commonpb.KeyValue

// text adds s, which may be the exchange's own.
func (a *attributes) text(key, s string) {
	if s != "" {
		*a = append(*a, &commonpb.KeyValue{Key: key, Value: textValue(s)})
	}
}

func (a *attributes) number(key string, n int64) {
	if n != 0 {
		*a = append(*a, &commonpb.KeyValue{Key: key, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: n}}})
	}
}

func (a *attributes) outcome(o chat.Outcome) {
	a.text("gen_ai.response.id", shortName(o.ID))
	a.text("gen_ai.response.model", shortName(o.Model))
	if len(o.Finishes) == 0 {
		return
	}
	var reasons []*commonpb.AnyValue
	for _, f := range o.Finishes {
		reasons = append(reasons, textValue(f.String()))
	}
	*a = append(*a, &commonpb.KeyValue{Key: "gen_ai.response.finish_reasons", Value: &commonpb.AnyValue{
		Value: &commonpb.AnyValue_ArrayValue{ArrayValue: &commonpb.ArrayValue{Values: reasons}},
	}})
}

func (a *attributes) usage(u chat.Usage) {
	a.number("gen_ai.usage.input_tokens", u.Prompt)
	a.number("gen_ai.usage.output_tokens", u.Completion)
	a.number("gen_ai.usage.cache_read.input_tokens", u.CacheRead)
	a.number("gen_ai.usage.cache_creation.input_tokens", u.CacheWrite)
	a.number("gen_ai.usage.reasoning.output_tokens", u.Reasoning)
}

// failed adds error.type, and says what the span's status is.
func (a attributes) failed(kind string, ours bool) (attributes, *tracepb.Status) {
	if kind == "" {
		return a, nil
	}
	a.text("error.type", kind)
	if !ours || kind == errorCancelled {
		return a, nil
	}
	return a, &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
}

// textValue copies s: what a client has sent lives no longer than its exchange.
// A protobuf string must be UTF-8.
func textValue(s string) *commonpb.AnyValue {
	return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: strings.Clone(strings.ToValidUTF8(s, "\uFFFD"))}}
}

func nanos(t time.Time) uint64 { return uint64(max(t.UnixNano(), 0)) }

// knownMethod keeps the names of spans few.
func knownMethod(method string) string {
	for _, known := range [...]string{"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "CONNECT", "TRACE"} {
		if method == known {
			return known
		}
	}
	return errorOther
}
