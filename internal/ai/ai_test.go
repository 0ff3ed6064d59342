package ai

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// attempt translates body for a provider, or fails the test.
func attempt(t testing.TB, p Provider, body string) *Attempt {
	t.Helper()
	c, err := Parse(Chat, []byte(body))
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	a, err := c.Attempt(p, chat.Options{Model: "claude-3-opus"})
	if err != nil {
		t.Fatalf("translate: %v", err)
	}
	return a
}

// stream feeds pieces to a new stream of the answer and returns what the
// client gets.
func stream(a *Attempt, pieces ...[]byte) (string, error) {
	s := a.Stream(1)
	var out []byte
	for _, p := range pieces {
		var err error
		if out, err = s.Write(out, p); err != nil {
			return string(out), err
		}
	}
	out, err := s.Close(out)
	return string(out), err
}

const anthropicText = `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-x","content":[],"stop_reason":null,"usage":{"input_tokens":10,"cache_read_input_tokens":2,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"now","input":{}}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":7}}

event: message_stop
data: {"type":"message_stop"}

`

func TestT50_AnthropicTextStream(t *testing.T) {
	a := attempt(t, Anthropic, `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}`)
	got, err := stream(a, []byte(anthropicText))
	if err != nil {
		t.Fatal(err)
	}
	head := `data: {"id":"msg_1","object":"chat.completion.chunk","created":1,"model":"claude-x","choices":[`
	want := strings.Join([]string{
		head + `{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}`,
		`: ping`,
		head + `{"index":0,"delta":{"content":"Hello"},"finish_reason":null}],"usage":null}`,
		head + `{"index":0,"delta":{"tool_calls":[{"index":0,"id":"toolu_1","type":"function","function":{"name":"now","arguments":""}}]},"finish_reason":null}],"usage":null}`,
		head + `{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"finish_reason":null}],"usage":null}`,
		head + `{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":null}`,
		head + `],"usage":{"prompt_tokens":12,"completion_tokens":7,"total_tokens":19,"prompt_tokens_details":{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":0}}}`,
		`data: [DONE]`, "",
	}, "\n\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestT59_TruncatedAnywhereNeverEnds(t *testing.T) {
	a := attempt(t, Anthropic, `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`)
	for cut := range len(anthropicText) - len("\n") {
		got, err := stream(a, []byte(anthropicText[:cut]))
		if err == nil || strings.Contains(got, "[DONE]") {
			t.Fatalf("cut at %d: %v\n%s", cut, err, got)
		}
	}
}

func TestT07_AnthropicRequest(t *testing.T) {
	a := attempt(t, Anthropic, `{"model":"m","messages":[
		{"role":"system","content":"be brief"},
		{"role":"user","content":"weather?"},
		{"role":"assistant","content":"I look","tool_calls":[
			{"id":"a","type":"function","function":{"name":"w","arguments":"{\"z\":1e20,\"a\":[ 1 ]}"}},
			{"id":"b","type":"function","function":{"name":"w","arguments":""}}]},
		{"role":"tool","tool_call_id":"a","content":"sun"},
		{"role":"tool","tool_call_id":"b","content":""},
		{"role":"user","content":"thanks"}],
		"tools":[{"type":"function","function":{"name":"w"}}],"tool_choice":"auto","seed":7,"temperature":1.5}`)
	want := `{"model":"claude-3-opus","max_tokens":4096,"system":[{"type":"text","text":"be brief"}],"messages":[` +
		`{"role":"user","content":[{"type":"text","text":"weather?"}]},` +
		`{"role":"assistant","content":[{"type":"text","text":"I look"},{"type":"tool_use","id":"a","name":"w","input":{"z":1e20,"a":[1]}},{"type":"tool_use","id":"b","name":"w","input":{}}]},` +
		`{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"sun"}]},{"type":"tool_result","tool_use_id":"b"},{"type":"text","text":"thanks"}]}],` +
		`"tools":[{"name":"w","input_schema":{"type":"object","properties":{}}}],"tool_choice":{"type":"auto"},"temperature":1}`
	if diff := cmp.Diff(want, string(a.Wire.Body)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"seed", "temperature"}, a.Wire.Dropped); diff != "" {
		t.Errorf("dropped: -want +got:\n%s", diff)
	}
}

// TestRelay_KeepsEveryByte (G2): a request in the provider's own protocol is changed
// in its model, and in that a chat completion's stream must tell its usage.
func TestRelay_KeepsEveryByte(t *testing.T) {
	for name, c := range map[string]struct {
		client     Protocol
		body, want string
	}{
		"Chat":            {Chat, `{ "messages" : [ {"role":"user","content":"h\u00e9"} ], "x":1e400,  "model":"a" , "stream":true}`, `{"stream_options":{"include_usage":true}, "messages" : [ {"role":"user","content":"h\u00e9"} ], "x":1e400,  "model":"claude-3-opus" , "stream":true}`},
		"ChatSameModel":   {Chat, `{"model":"claude-3\u002dopus","messages":[]}`, `{"model":"claude-3\u002dopus","messages":[]}`},
		"ChatNoModel":     {Chat, `{"messages":[]}`, `{"model":"claude-3-opus","messages":[]}`},
		"ChatNothing":     {Chat, ` {}`, ` {"model":"claude-3-opus"}`},
		"ChatNoModelBoth": {Chat, `{"stream":true}`, `{"model":"claude-3-opus","stream_options":{"include_usage":true},"stream":true}`},
		"Messages":        {Messages, `{"model":"a", "stream":true}`, `{"model":"claude-3-opus", "stream":true}`},
		"Responses":       {Responses, `{"stream" :true,"model":"a"}`, `{"stream" :true,"model":"claude-3-opus"}`},
		"Tokens":          {Tokens, `{"model":"a", "messages":[]}`, `{"model":"claude-3-opus", "messages":[]}`},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := Parse(c.client, []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			a, err := call.Attempt(clientOf(c.client).native, chat.Options{Model: "claude-3-opus"})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, string(a.Wire.Body)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if len(a.Wire.Header) == 0 {
				t.Error("it has no fields")
			}
		})
	}
}
