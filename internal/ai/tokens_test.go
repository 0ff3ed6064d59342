package ai

import (
	"errors"
	"testing"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// TestTokens_AreCountedByAnthropicAlone: a request whose tokens are to be
// counted is relayed, costs nothing, and goes elsewhere where nobody can count.
func TestTokens_AreCountedByAnthropicAlone(t *testing.T) {
	c, err := Parse(Tokens, []byte(`{"model":"m", "messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if size := c.Size(); size != (Size{}) {
		t.Errorf("reserves %+v", size)
	}
	for _, p := range []Provider{OpenAI, Bedrock} {
		_, err := c.Attempt(p, chat.Options{})
		if e, ok := errors.AsType[*chat.Error](err); !ok || e.Status != 400 || e.Code != chat.CodeUnsupported {
			t.Errorf("%s: %v", p, err)
		}
	}
	a, err := c.Attempt(Anthropic, chat.Options{Model: "claude-x"})
	if err != nil {
		t.Fatal(err)
	}
	if got := string(a.Wire.Body); a.Wire.Path != "/v1/messages/count_tokens" || got != `{"model":"claude-x", "messages":[{"role":"user","content":"hi"}]}` {
		t.Errorf("%s %s", a.Wire.Path, got)
	}
	out, err := a.Response([]byte(`{"input_tokens":8}`), 1)
	if err != nil || string(out.Body) != `{"input_tokens":8}` || !out.Counted || out.Usage != (chat.Usage{}) {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := Parse(Tokens, []byte(`{"model":"m","stream":true,"messages":[]}`)); err == nil {
		t.Error("a stream of tokens is taken")
	}
}
