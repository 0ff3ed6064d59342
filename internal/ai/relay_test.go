package ai

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// TestRelay_AsksForTheUsage: whatever the client says of it, the provider is
// asked for the usage of a stream once.
func TestRelay_AsksForTheUsage(t *testing.T) {
	for name, c := range map[string]struct{ options, want string }{
		"Absent": {``, `"stream_options":{"include_usage":true},`},
		"Null":   {`"stream_options":null,`, `"stream_options":{"include_usage":true},`},
		"Empty":  {`"stream_options":{},`, `"stream_options":{"include_usage":true},`},
		"No":     {`"stream_options":{"include_usage":false},`, `"stream_options":{"include_usage":true},`},
		"Yes":    {`"stream_options":{"include_usage": true},`, `"stream_options":{"include_usage": true},`},
		"Other":  {`"stream_options":{"include_obfuscation":false},`, `"stream_options":{"include_usage":true,"include_obfuscation":false},`},
	} {
		t.Run(name, func(t *testing.T) {
			rest := `"model":"claude-3-opus","stream":true,"messages":[{"role":"user","content":"hi"}]}`
			a := attempt(t, OpenAI, "{"+c.options+rest)
			if diff := cmp.Diff("{"+c.want+rest, string(a.Wire.Body)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestRelay_PassesOnWhatItDoesNotKnow: a delta with anything in it is the
// beginning of the answer, and goes out at once.
func TestRelay_PassesOnWhatItDoesNotKnow(t *testing.T) {
	for name, c := range map[string]struct {
		delta   string
		content bool
	}{
		"Role":          {`{"role":"assistant","content":"","refusal":null}`, false},
		"NothingKnown":  {`{"role":"assistant","content":null,"audio":null,"annotations":[],"x":{},"y":""}`, false},
		"Audio":         {`{"audio":{"id":"a","data":"AAAA"}}`, true},
		"FunctionCall":  {`{"function_call":{"name":"w","arguments":""}}`, true},
		"CustomTool":    {`{"tool_calls":[{"index":0,"id":"a","type":"custom","custom":{"name":"w","input":"x"}}]}`, true},
		"EmptyTool":     {`{"tool_calls":[{}]}`, true},
		"NoReasoning":   {`{"role":"assistant","content":"","reasoning":null,"reasoning_content":null}`, false},
		"Reasoning":     {`{"reasoning":"hm"}`, true},
		"ContentParts":  {`{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}`, true},
		"ArgumentsAsIs": {`{"tool_calls":[{"index":0,"id":"a","function":{"name":"w","arguments":{"x":1}}}]}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := attempt(t, OpenAI, `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`).Stream(1)
			data := `data: {"id":"a","choices":[{"index":0,"delta":` + c.delta + `,"finish_reason":null}],"usage":{"prompt_tokens":3}}` + "\n\n"
			got, err := s.Write(nil, []byte(data))
			if err != nil || s.Started() != c.content {
				t.Fatalf("started %v, %v", s.Started(), err)
			}
			if c.content && string(got) != data {
				t.Errorf("the client gets %q", got)
			}
			if u, _ := s.Usage(); u.Prompt != 3 {
				t.Errorf("counted %+v", u)
			}
		})
	}
}

// TestRelay_SeesErrorsOfAnyShape: what is no JSON ends the stream, and so does
// an error beside what we do not know.
func TestRelay_SeesErrorsOfAnyShape(t *testing.T) {
	for name, data := range map[string]string{
		"TooLong": "data: " + strings.Repeat("x", 17<<20),
		"NoJSON":  `data: {"choices":`,
		"Unknown": `data: {"choices":7,"error":{"message":"no","type":"rate_limit_error"}}`,
		"Text":    `data: {"error":"no"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := attempt(t, OpenAI, `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`).Stream(1)
			out, err := s.Write(nil, []byte(data+"\n\n"))
			if e, ok := errors.AsType[*chat.Error](err); !ok || e.Status != 502 && e.Status != 429 || len(out) > 0 {
				t.Errorf("%v, %q", err, out)
			}
		})
	}
}

// TestRelay_LeavesOutTheUsageThatWeAskedFor (G2): a client that did not ask for
// the usage sees no trace of it, and every other byte as it came.
func TestRelay_LeavesOutTheUsageThatWeAskedFor(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"Last":       {`{"id":"a","choices":[{"index":0,"delta":{"content":"x"}}],"usage":null}`, `{"id":"a","choices":[{"index":0,"delta":{"content":"x"}}]}`},
		"Between":    {`{"choices":[{"index":0,"delta":{"content":"x"}}],"usage":null,"obfuscation":"q"}`, `{"choices":[{"index":0,"delta":{"content":"x"}}],"obfuscation":"q"}`},
		"First":      {`{"usage":null,"choices":[{"index":0,"delta":{"content":"x"}}]}`, `{"choices":[{"index":0,"delta":{"content":"x"}}]}`},
		"Spaces":     {`{ "choices": [{"index": 0, "delta": {"content": "x"}}] , "usage" : null }`, `{ "choices": [{"index": 0, "delta": {"content": "x"}}]  }`},
		"Nested":     {`{"choices":[{"index":0,"delta":{"content":"x","usage":null},"usage":null}]}`, `same`},
		"InText":     {`{"choices":[{"index":0,"delta":{"content":",\"usage\":null}"}}]}`, `same`},
		"AtTheEnd":   {`{"choices":[{"index":0,"delta":{"content":"x"}}],"note":",\"usage\":null}"}`, `same`},
		"NameInName": {`{"choices":[{"index":0,"delta":{"content":"x"}}],"\"usage":null}`, `same`},
		"Told":       {`{"choices":[{"index":0,"delta":{"content":"x"}}],"usage":{"prompt_tokens":3}}`, `same`},
		"Lines":      {"{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}],\ndata: \"usage\":null,\ndata: \"x\":1}", "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}],\ndata: \"x\":1}"},
	} {
		t.Run(name, func(t *testing.T) {
			for asked, want := range map[string]string{"": c.want, `"stream_options":{"include_usage":true},`: "same"} {
				s := attempt(t, OpenAI, `{"model":"m","stream":true,`+asked+`"messages":[{"role":"user","content":"hi"}]}`).Stream(1)
				if want == "same" {
					want = c.data
				}
				got, err := s.Write(nil, []byte("data: "+c.data+"\n\n"))
				if diff := cmp.Diff("data: "+want+"\n\n", string(got)); diff != "" || err != nil {
					t.Errorf("%q: %v, -want +got:\n%s", asked, err, diff)
				}
			}
		})
	}
}
