package ai

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// conversation is a call and its answer, in memory that serves again.
type conversation struct {
	request, wire, answer, reply []byte

	call    Call
	attempt Attempt
}

// run has a provider answer, and returns what the gateway keeps of it for longer
// than the memory.
func (c *conversation) run(t *testing.T, p Protocol, to Provider, translate bool) (kept []string) {
	t.Helper()
	c.request = []byte(map[Protocol]string{
		Chat:      `{"model":"model-of-client","messages":[{"role":"user","content":"hello"}]}`,
		Messages:  `{"model":"model-of-client","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}`,
		Responses: `{"model":"model-of-client","input":"hello"}`,
	}[p])
	c.answer = []byte(map[Provider]string{
		OpenAI: `{"id":"id-of-answer","object":"chat.completion","created":1,"model":"model-of-answer","choices":[{"index":0,` +
			`"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":3,"total_tokens":5}}`,
		Anthropic: `{"id":"id-of-answer","type":"message","role":"assistant","model":"model-of-answer",` +
			`"content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":2,"output_tokens":3}}`,
		Bedrock: `{"output":{"message":{"role":"assistant","content":[{"text":"hello"}]}},"stopReason":"end_turn","usage":{"inputTokens":2,"outputTokens":3}}`,
	}[to])
	failure := []byte(`{"type":"error","message":"too much","error":{"type":"of-provider","message":"too much","code":"code-of-provider","param":"param"}}`)
	read := c.call.Read
	if translate {
		read = c.call.ReadToTranslate
	}
	if err := read(p, c.request); err != nil {
		t.Fatal(err)
	}
	if err := c.call.Put(&c.attempt, to, chat.Options{Memory: c.wire}); err != nil {
		t.Fatal(err)
	}
	c.wire, c.attempt.Memory = c.attempt.Wire.Body, c.reply
	out, err := c.attempt.Response(c.answer, 1)
	if err != nil {
		t.Fatal(err)
	}
	c.reply = out.Body
	told, e := c.attempt.Outcome(out), c.attempt.Error(429, func(string) string { return "" }, failure)
	kept = []string{c.call.Model, c.attempt.Wire.Model, told.ID, told.Model, e.Message, e.Code, e.Param, e.Type}
	for _, b := range [][]byte{c.request, c.wire, c.answer, c.reply, failure} {
		for i := range b {
			b[i] = 0xDB
		}
	}
	c.call.Reset()
	c.attempt = Attempt{}
	return kept
}

// What is kept of a conversation, for labels, spans and how a model does, is in no
// memory that serves the next one.
func TestConversation_WhatIsKeptOutlivesItsMemory(t *testing.T) {
	var c conversation
	for _, p := range []Protocol{Chat, Messages, Responses} {
		for _, to := range []Provider{OpenAI, Anthropic, Bedrock} {
			for _, translate := range []bool{false, true} {
				t.Run(fmt.Sprint(p, to, translate), func(t *testing.T) {
					if p == Responses && to == OpenAI {
						t.Skip("its answer is another one, which is relayed as it is")
					}
					got := c.run(t, p, to, translate)
					want := []string{"model-of-client", "model-of-client", "id-of-answer", "model-of-answer", "too much"}
					if to == Bedrock {
						want[2], want[3] = "chatcmpl-", "model-of-client"
					}
					if diff := cmp.Diff(want, got[:5]); diff != "" {
						t.Errorf("-want +got:\n%s", diff)
					}
					if slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "\xDB") }) {
						t.Errorf("%q", got)
					}
				})
			}
		}
	}
}
