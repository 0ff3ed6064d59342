package observe

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/llm"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
)

// failedOver is a streaming request that a second provider has answered.
func failedOver(o *Observer) *runtime.Record {
	route := testRoute("chat")
	rule := &ir.Rule{Name: "0", LLM: &ir.LLMAction{}}
	start := time.Unix(0, 0)
	return &runtime.Record{
		Start: start, Duration: 3 * time.Second, Method: "POST", Path: "/v1/chat/completions", Status: 200,
		Listener: &ir.Listener{Name: "ns/gw/http"}, Route: route, Rule: rule, Series: o.Series(route, rule, "b2"),
		Backend: "b2", Consumer: "ns/team-alpha",
		LLM: &runtime.LLMRecord{Protocol: ai.Chat, Asked: "gpt", Stream: true, Attempts: []runtime.LLMAttempt{
			{
				Backend: "b1", Provider: "bedrock", Model: "eu.claude", Configured: true, Host: "bedrock.test", TLS: true, Start: start,
				Duration: time.Second, Assumed: chat.Usage{Completion: 7}, Status: 429, Err: chat.ProviderError(429, "ThrottlingException", "slow down"),
			},
			{
				Backend: "b2", Provider: "openai", Model: "gpt", Host: "127.0.0.1:9090", Start: start.Add(time.Second),
				FirstContent: 500 * time.Millisecond, Duration: 2 * time.Second, Status: 200, Counted: true, Priced: true, Cost: 1_250_000,
				Outcome: chat.Outcome{ID: "chatcmpl-1", Model: "gpt-2026", Finishes: []chat.Finish{chat.FinishStop, chat.FinishTools}},
				Pace:    llm.Pace{Counts: [llm.PaceBuckets + 1]uint32{1, 0, 2, llm.PaceBuckets: 1}, Sum: 90 * time.Second},
				Usage:   chat.Usage{Prompt: 100, Completion: 16, CacheRead: 60, CacheWrite: 5, Reasoning: 4},
			},
		}},
	}
}

func TestCountLLM_FailedOver(t *testing.T) {
	o := New(Options{})
	o.Done(failedOver(o))
	labels := func(backend, provider, model string) string {
		return `backend="` + backend + `",consumer="ns/team-alpha",listener="ns/gw/http",model="` + model + `"`
	}
	b1, b2 := labels("b1", "bedrock", "eu.claude"), labels("b2", "openai", "gpt")
	want := `
# HELP citoroute_llm_attempts_total Attempts at LLM providers by what they answered: several where one failed over.
# TYPE citoroute_llm_attempts_total counter
citoroute_llm_attempts_total{` + b1 + `,outcome="error",provider="bedrock",route="HTTPRoute/ns/chat",status="429"} 1
citoroute_llm_attempts_total{` + b2 + `,outcome="ok",provider="openai",route="HTTPRoute/ns/chat",status="200"} 1
# HELP citoroute_llm_assumed_tokens_total Tokens beyond those counted by the providers, by size: of streams whose last count never came.
# TYPE citoroute_llm_assumed_tokens_total counter
citoroute_llm_assumed_tokens_total{` + b1 + `,provider="bedrock",route="HTTPRoute/ns/chat",type="output"} 7
# HELP citoroute_llm_cost_usd_total What the tokens cost by the price table, in US dollars; models without a price are left out.
# TYPE citoroute_llm_cost_usd_total counter
citoroute_llm_cost_usd_total{` + b2 + `,provider="openai",route="HTTPRoute/ns/chat"} 0.00125
# HELP citoroute_llm_requests_total Requests to LLM routes by what the client got, from the backend that was asked last.
# TYPE citoroute_llm_requests_total counter
citoroute_llm_requests_total{` + b2 + `,outcome="ok",provider="openai",route="HTTPRoute/ns/chat",status="200"} 1
# HELP citoroute_llm_tokens_total Tokens as the providers counted them, over all attempts. cached_input and cache_write are part of input, reasoning is part of output.
# TYPE citoroute_llm_tokens_total counter
`
	for _, n := range []struct {
		kind  string
		count int
	}{{"cache_write", 5}, {"cached_input", 60}, {"input", 100}, {"output", 16}, {"reasoning", 4}} {
		want += fmt.Sprintf("citoroute_llm_tokens_total{%s,provider=\"openai\",route=\"HTTPRoute/ns/chat\",type=%q} %d\n", b2, n.kind, n.count)
	}
	if err := testutil.GatherAndCompare(o.Registry(), strings.NewReader(want),
		"citoroute_llm_requests_total", "citoroute_llm_attempts_total", "citoroute_llm_assumed_tokens_total", "citoroute_llm_tokens_total", "citoroute_llm_cost_usd_total"); err != nil {
		t.Error(err)
	}
}

// sums returns sum and count of every series of a histogram, by its labels.
func sums(t *testing.T, o *Observer, name string) []string {
	t.Helper()
	families, err := o.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			out = append(out, fmt.Sprintf("%s: %v in %d", strings.Join(labels, " "), m.GetHistogram().GetSampleSum(), m.GetHistogram().GetSampleCount()))
		}
	}
	return out
}

func TestGenAI_FollowsTheConventions(t *testing.T) {
	o := New(Options{})
	o.Done(failedOver(o))
	for name, want := range map[string][]string{
		"gen_ai_client_token_usage": {
			"chat openai gpt input 127.0.0.1 9090: 100 in 1", "chat openai gpt output 127.0.0.1 9090: 16 in 1",
		},
		"gen_ai_client_operation_duration_seconds": {
			" chat openai gpt 127.0.0.1 9090: 2 in 1", "429 chat aws.bedrock eu.claude bedrock.test 443: 1 in 1",
		},
		"gen_ai_client_operation_time_to_first_chunk_seconds":   {"chat openai gpt 127.0.0.1 9090: 0.5 in 1"},
		"gen_ai_client_operation_time_per_output_chunk_seconds": {"chat openai gpt 127.0.0.1 9090: 90 in 4"},
		"gen_ai_server_request_duration_seconds":                {" chat openai gpt: 3 in 1"},
		"gen_ai_server_time_to_first_token_seconds":             {"chat openai gpt: 1.5 in 1"},
		"gen_ai_server_time_per_output_token_seconds":           {"chat openai gpt: 0.1 in 1"},
	} {
		if diff := cmp.Diff(want, sums(t, o, name)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

func TestCountLLM_RefusedAndForgotten(t *testing.T) {
	o := New(Options{})
	rec := failedOver(o)
	o.Done(rec)
	refused := *rec
	refused.LLM, refused.Backend, refused.Status, refused.Err = nil, "", 401, errors.New("no token")
	o.Done(&refused)
	if n := testutil.CollectAndCount(o.metrics.llm.requests); n != 2 {
		t.Errorf("%d counters of requests, want that of the refused one too", n)
	}
	o.Applied([]ir.Ref{ir.RefOf(rec.Route)})
	o.Done(rec) // it was in flight
	for name, vec := range map[string]int{
		"requests": testutil.CollectAndCount(o.metrics.llm.requests),
		"attempts": testutil.CollectAndCount(o.metrics.llm.attempts),
		"tokens":   testutil.CollectAndCount(o.metrics.llm.tokens),
		"assumed":  testutil.CollectAndCount(o.metrics.llm.assumed),
		"cost":     testutil.CollectAndCount(o.metrics.llm.cost),
	} {
		if vec != 0 {
			t.Errorf("%d counters of %s of a route that is gone", vec, name)
		}
	}
}

func TestEnding(t *testing.T) {
	left := exchange.End{Err: net.ErrClosed}
	gone := &exchange.Failure{Stage: exchange.StageClient, Err: exchange.ErrClientGone}
	for name, c := range map[string]struct {
		attempt runtime.LLMAttempt
		end     exchange.End
		status  int
		want    ending
	}{
		"OK":            {attempt: runtime.LLMAttempt{Status: 200}, status: 200, want: ending{200, "ok", ""}},
		"ProviderError": {attempt: runtime.LLMAttempt{Status: 529, Err: chat.ProviderError(503, "overloaded_error", "x")}, status: 503, want: ending{529, "error", "529"}},
		"ErrorInStream": {attempt: runtime.LLMAttempt{Status: 200, Err: chat.ProviderError(503, "overloaded_error", "x")}, status: 200, want: ending{200, "error", "503"}},
		"BrokeOff":      {attempt: runtime.LLMAttempt{Status: 200, Err: chat.Truncated()}, status: 200, want: ending{200, "error", "stream_truncated"}},
		"Unreadable":    {attempt: runtime.LLMAttempt{Status: 200, Err: chat.BadUpstream("x")}, status: 502, want: ending{200, "error", "upstream_invalid"}},
		"NoConnection":  {attempt: runtime.LLMAttempt{Err: &exchange.Failure{Stage: exchange.StageConnect, Err: net.ErrClosed}}, status: 503, want: ending{0, "error", "connection_error"}},
		"TooSlow":       {attempt: runtime.LLMAttempt{Err: &exchange.Failure{Stage: exchange.StageTimeout, Err: net.ErrClosed}}, status: 504, want: ending{0, "error", "timeout"}},
		"ClientGone":    {attempt: runtime.LLMAttempt{Status: 200, Err: gone}, end: left, status: 200, want: ending{200, "cancelled", "cancelled"}},
		"ClientLeft":    {attempt: runtime.LLMAttempt{Status: 200}, end: left, status: 200, want: ending{200, "cancelled", "cancelled"}},
		"Odd":           {attempt: runtime.LLMAttempt{Err: net.ErrClosed}, status: 500, want: ending{0, "error", "_OTHER"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := endingOf(&c.attempt, c.end.Err != nil); got != c.want {
				t.Errorf("got %+v", got)
			}
			rec := runtime.Record{Status: c.status, End: c.end, LLM: &runtime.LLMRecord{Attempts: []runtime.LLMAttempt{c.attempt}}}
			if got := endingOfRequest(&rec); got.outcome != c.want.outcome {
				t.Errorf("request: %+v", got)
			}
		})
	}
}

func TestModels_LM028(t *testing.T) {
	var m models
	for name, c := range map[string]struct {
		model                string
		configured, answered bool
		want                 string
	}{
		"None":       {"", true, true, ""},
		"OnlyAsked":  {"gpt-invented", false, false, "other"},
		"Answered":   {"gpt", false, true, "gpt"},
		"Configured": {"claude", true, false, "claude"},
		"TooLong":    {strings.Repeat("m", maxModelName+1), true, true, "other"},
		"NotUTF8":    {"m\xff", true, true, "other"},
		"LineBreaks": {"x\r\nHost: y", false, true, "x\r\nHost: y"}, // which the text format escapes
	} {
		t.Run(name, func(t *testing.T) {
			if got := m.label(c.model, c.configured, c.answered); got != c.want {
				t.Errorf("got %q", got)
			}
		})
	}
	if got := m.label("gpt", false, false); got != "gpt" {
		t.Errorf("a known model that failed is %q", got)
	}
	for i := range 2 * maxModels {
		m.label(fmt.Sprint(i), false, true)
	}
	if m.chosen != maxModels || len(m.known.all) != maxModels+1 {
		t.Errorf("%d models of clients, %d in all", m.chosen, len(m.known.all))
	}
	if got := m.label("new", true, false); got != "new" {
		t.Errorf("clients have pushed out a model of the configuration: %q", got)
	}
}

func TestAccessLog_LLM(t *testing.T) {
	var out bytes.Buffer
	o := New(Options{AccessLog: &out})
	o.Done(failedOver(o))
	o.Close()
	want := `"llm":{"protocol":"chat","asked":"gpt","stream":true,"provider":"openai","model":"gpt",` +
		`"attempts":[{"backend":"b1","provider":"bedrock","model":"eu.claude","status":429,"duration":1.000000,"error":"429"},` +
		`{"backend":"b2","provider":"openai","model":"gpt","status":200,"duration":2.000000}],"firstToken":1.500000,` +
		`"tokens":{"input":100,"output":16,"cached_input":60,"cache_write":5,"reasoning":4},"costUSD":0.00125}`
	if !strings.Contains(out.String(), want) {
		t.Errorf("got %s\nwant %s", &out, want)
	}
}

func BenchmarkDoneLLM(b *testing.B) {
	o := New(Options{})
	rec := failedOver(o)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := *rec
		for pb.Next() {
			o.Done(&r)
		}
	})
}
