package runtime

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// provider answers every request with the same body.
type provider []byte

func (p provider) RoundTrip(ex *exchange.Exchange, _ *exchange.Target) error {
	ex.Response.Status = 200
	ex.Response.Header.Add("Content-Type", "application/json")
	ex.Response.Body, ex.Response.ContentLength = upstream.NewBody(p), int64(len(p))
	return nil
}

var llmAnswers = map[string]string{
	"openai": `{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":` +
		`{"role":"assistant","content":%q},"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":80,"total_tokens":280}}`,
	"anthropic": `{"id":"1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":%q}],` +
		`"stop_reason":"end_turn","usage":{"input_tokens":200,"output_tokens":80}}`,
	"bedrock": `{"output":{"message":{"role":"assistant","content":[{"text":%q}]}},"stopReason":"end_turn",` +
		`"usage":{"inputTokens":200,"outputTokens":80}}`,
}

// llmHandler has one route, to a provider that to plays.
func llmHandler(t testing.TB, provider string, to exchange.Transport) exchange.Handler {
	t.Helper()
	rt := New(Options{HTTP1: to, HTTP2: to, Observer: &counter{}})
	key := map[string]ir.Bytes{"apiKey": ir.Bytes("sk")}
	if provider == "bedrock" {
		key = map[string]ir.Bytes{"accessKeyID": ir.Bytes("AKID"), "secretAccessKey": ir.Bytes("s")}
	}
	b := backend("b", "10.0.0.1")
	b[0].(*ir.Backend).LLM = &ir.LLMProvider{Provider: provider, Model: "claude-sonnet-4-5", Host: "provider", Credentials: "key", Region: "eu-central-1"}
	err := rt.Apply(ir.Update{Complete: true, Upserts: append(b,
		&ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP},
		&ir.Secret{Name: "key", Values: key},
		routeOf("r", ir.Rule{LLM: &ir.LLMAction{}, Backends: []ir.WeightedBackend{{Backend: "b", Weight: 1}}}))})
	if err != nil {
		t.Fatal(err)
	}
	return rt.Handler(80, "")
}

// BenchmarkServeLLM is all that is done for a chat completion with a prompt of
// 1 KB, but for connections.
func BenchmarkServeLLM(b *testing.B) {
	request := fmt.Sprintf(`{"model":"m","messages":[{"role":"user","content":%q}]}`, strings.Repeat("What does a gateway do? ", 42))
	for name, answer := range llmAnswers {
		b.Run(name, func(b *testing.B) {
			h := llmHandler(b, name, provider(fmt.Sprintf(answer, strings.Repeat("Gateways answer. ", 23))))
			b.ReportAllocs()
			for b.Loop() {
				ex := withBody(request80("POST /v1/chat/completions", "Authorization: Bearer mine", "User-Agent: bench"), request)
				h.Serve(ex)
				if _, err := io.Copy(io.Discard, ex.Response.Body); err != nil || ex.Response.Status != 200 {
					b.Fatal(ex.Response.Status, err)
				}
				h.Finish(ex, exchange.End{})
			}
		})
	}
}
