package ai

import (
	"testing"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// TestB21_SpoiltStreamIsCounted: what an answer cost is known also where the model
// spoilt it, since Bedrock tells it after the reason.
func TestB21_SpoiltStreamIsCounted(t *testing.T) {
	c, err := Parse(Chat, []byte(`{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	const begin = "messageStart {\"role\":\"assistant\"}\ncontentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\"x\"}}\nmessageStop {\"stopReason\":\"malformed_tool_use\"}\n"
	for name, test := range map[string]struct {
		stream string
		usage  chat.Usage
	}{
		"Told":    {begin + "metadata {\"usage\":{\"inputTokens\":7,\"outputTokens\":3}}\n", chat.Usage{Prompt: 7, Completion: 3}},
		"NotTold": {begin, chat.Usage{}},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := c.Attempt(Bedrock, chat.Options{Model: models[Bedrock]})
			if err != nil {
				t.Fatal(err)
			}
			s := a.Stream(1)
			out, err := s.Write(nil, rawStream("bedrock", []byte(test.stream)))
			if err == nil {
				_, err = s.Close(out)
			}
			if e := asError(err); err == nil || e.Code != chat.CodeUpstream {
				t.Errorf("the stream ends with %v", err)
			}
			if got, _ := s.Usage(); got != test.usage {
				t.Errorf("used %+v, want %+v", got, test.usage)
			}
		})
	}
}
