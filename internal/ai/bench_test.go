package ai

import (
	"fmt"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// Bodies of a chat completion with a prompt of 1 KB, and of its answers.
var (
	benchRequest = fmt.Appendf(nil, `{"model":"bench","messages":[{"role":"system","content":"Be brief."},`+
		`{"role":"user","content":%q}],"max_tokens":256,"temperature":0.2,"stream":false}`, strings.Repeat("What does a gateway do? ", 42))
	benchText    = strings.Repeat("Gateways answer. ", 23)
	benchAnswers = map[Provider][]byte{
		OpenAI: fmt.Appendf(nil, `{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"bench",`+
			`"choices":[{"index":0,"message":{"role":"assistant","content":%q,"refusal":null},"logprobs":null,"finish_reason":"stop"}],`+
			`"usage":{"prompt_tokens":200,"completion_tokens":80,"total_tokens":280}}`, benchText),
		Anthropic: fmt.Appendf(nil, `{"id":"msg_1","type":"message","role":"assistant","model":"bench",`+
			`"content":[{"type":"text","text":%q}],"stop_reason":"end_turn","stop_sequence":null,`+
			`"usage":{"input_tokens":200,"output_tokens":80}}`, benchText),
		Bedrock: fmt.Appendf(nil, `{"output":{"message":{"role":"assistant","content":[{"text":%q}]}},"stopReason":"end_turn",`+
			`"usage":{"inputTokens":200,"outputTokens":80,"totalTokens":280},"metrics":{"latencyMs":1}}`, benchText),
	}
)

// BenchmarkCall takes one chat completion through a provider: read, translated,
// its answer translated back.
func BenchmarkCall(b *testing.B) {
	for _, p := range []Provider{OpenAI, Anthropic, Bedrock} {
		b.Run(string(p), func(b *testing.B) {
			b.ReportAllocs()
			var call Call
			var a Attempt
			for b.Loop() {
				read := call.ReadToTranslate
				if p == OpenAI {
					read = call.Read
				}
				if err := read(Chat, benchRequest); err != nil {
					b.Fatal(err)
				}
				if err := call.Put(&a, p, chat.Options{Model: "claude-sonnet-4-5"}); err != nil {
					b.Fatal(err)
				}
				if _, err := a.Response(benchAnswers[p], 1_700_000_000); err != nil {
					b.Fatal(err)
				}
				call.Reset()
				a = Attempt{}
			}
		})
	}
}
