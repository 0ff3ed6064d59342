package ai

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ai/bedrock"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/embed"
	"github.com/citoroute/citoroute/internal/ai/eventstream"
	"github.com/citoroute/citoroute/internal/ai/openai"
	"github.com/citoroute/citoroute/internal/ai/sse"
	"github.com/citoroute/citoroute/internal/fakellm"
)

// outcome is what becomes of a chat request at a provider: its body there, or
// the error.
func outcome(p Provider, body string) string {
	c, err := Parse(Chat, []byte(body))
	if err != nil {
		return err.Error()
	}
	a, err := c.Attempt(p, chat.Options{})
	if err != nil {
		return err.Error()
	}
	return string(a.Wire.Body)
}

// saying is a request with more members than it needs.
func saying(members string) string {
	return `{"model":"m","messages":[{"role":"user","content":"hi"}]` + members + `}`
}

func TestLM009_DepthIsLimited(t *testing.T) {
	for name, value := range map[string]string{
		"Arrays":     strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
		"Million":    strings.Repeat("[", 1_000_000),
		"Objects":    strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000),
		"JustTooFar": strings.Repeat("[", openai.MaxDepth) + strings.Repeat("]", openai.MaxDepth),
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range []Provider{OpenAI, Anthropic, Bedrock} {
				if got := outcome(p, saying(`,"x":`+value)); !strings.HasPrefix(got, "400 ") {
					t.Errorf("%s: %.200s", p, got)
				}
			}
		})
	}
	deep := strings.Repeat("[", openai.MaxDepth-1) + strings.Repeat("]", openai.MaxDepth-1)
	if got := outcome(OpenAI, saying(`,"x":`+deep)); strings.HasPrefix(got, "400 ") {
		t.Errorf("within the limit: %.200s", got)
	}
}

// TestLM010_OneModelForAll: policy and provider must see the same value.
func TestLM010_OneModelForAll(t *testing.T) {
	const messages = `,"messages":[{"role":"user","content":"hi"}]}`
	for name, body := range map[string]string{
		"Twice":        `{"model":"a","model":"b"` + messages,
		"Capital":      `{"model":"a","Model":"b"` + messages,
		"Capitals":     `{"MODEL":"b"` + messages,
		"EscapedTwin":  `{"model":"a","m\u006fdel":"b"` + messages,
		"LongS":        `{"\u017ftream":true,"model":"a"` + messages,
		"KelvinStream": `{"model":"a","ſtream":true` + messages,
		"StreamTwin":   `{"model":"a","stream":false,"Stream":true` + messages,
		"InMessages":   `{"model":"a","messages":[{"role":"user","role":"system","content":"hi"}]}`,
		"NoString":     `{"model":["a"]` + messages,
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range []Provider{OpenAI, Anthropic, Bedrock} {
				if got := outcome(p, body); !strings.HasPrefix(got, "400 ") {
					t.Errorf("%s: %s", p, got)
				}
			}
		})
	}
	for name, body := range map[string]string{
		"Escaped": `{"m\u006fdel":"a"` + messages,
		"NUL":     `{"model":"a","model\u0000":"b"` + messages,
	} {
		t.Run(name, func(t *testing.T) {
			c, err := Parse(Chat, []byte(body))
			if err != nil || c.Model != "a" {
				t.Fatalf("%v, model %q", err, c.Model)
			}
			a, err := c.Attempt(OpenAI, chat.Options{Model: "z"})
			if want := strings.Replace(body, `"a"`, `"z"`, 1); err != nil || string(a.Wire.Body) != want {
				t.Errorf("%v\n%s", err, a.Wire.Body)
			}
		})
	}
}

func TestLM011_NumbersPassAsTheyAre(t *testing.T) {
	body := saying(`,"a":1e999,"b":` + strings.Repeat("9", 400) + `,"c":-0,"d":1.0,"e":9007199254740993,"f":[1E+2,0.10]`)
	if diff := cmp.Diff(body, outcome(OpenAI, body)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLM012_OnlyOneValidDocument(t *testing.T) {
	for name, body := range map[string]string{
		"InvalidUTF8":   saying(",\"x\":\"\xff\""),
		"Overlong":      saying(",\"x\":\"\xc0\xaf\""),
		"LoneSurrogate": saying(`,"x":"\ud800"`),
		"ByteOrderMark": "\xef\xbb\xbf" + saying(""),
		"Garbage":       saying("") + "x",
		"TwoDocuments":  saying("") + saying(""),
		"Comment":       saying(`,/* x */"x":1`),
		"TrailingComma": saying(`,`),
		"SingleQuotes":  `{'model':'m'}`,
		"NaN":           saying(`,"x":NaN`),
		"RawControl":    saying(",\"x\":\"\n\""),
		"Empty":         "",
		"Array":         `[]`,
		"Broken":        `{"model":"m","messages":[`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range []Provider{OpenAI, Anthropic, Bedrock} {
				if got := outcome(p, body); !strings.HasPrefix(got, "400 ") {
					t.Errorf("%s: %s", p, got)
				}
			}
		})
	}
	if body := saying(`,"x":"\u0000\/\ud83d\ude00"`); outcome(OpenAI, body) != body {
		t.Errorf("escapes: %s", outcome(OpenAI, body))
	}
}

func TestLM013_LimitsOfParameters(t *testing.T) {
	for name, c := range map[string]struct {
		members, want string // want is the parameter at fault
	}{
		"Negative":    {`,"max_tokens":-1`, "max_tokens"},
		"Zero":        {`,"max_completion_tokens":0`, "max_completion_tokens"},
		"Huge":        {`,"max_tokens":1e18`, "max_tokens"},
		"String":      {`,"max_tokens":"5"`, "max_tokens"},
		"Fraction":    {`,"max_tokens":1.5`, "max_tokens"},
		"N":           {`,"n":10000`, "n"},
		"Stop":        {`,"stop":[1]`, "stop"},
		"Temperature": {`,"temperature":1e308`, "temperature"},
		"TopP":        {`,"top_p":-0.1`, "top_p"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range []Provider{Anthropic, Bedrock} {
				call, err := Parse(Chat, []byte(saying(c.members)))
				if err == nil {
					_, err = call.Attempt(p, chat.Options{})
				}
				if e, ok := errors.AsType[*chat.Error](err); !ok || e.Status != 400 || e.Param != c.want {
					t.Errorf("%s: %v", p, err)
				}
			}
		})
	}
}

func TestLM015_StreamIsABoolean(t *testing.T) {
	for _, value := range []string{`"true"`, `1`, `0`, `[]`, `{}`, `""`} {
		for _, p := range []Protocol{Chat, Messages, Responses, Embeddings} {
			if _, err := Parse(p, []byte(`{"model":"m","stream":`+value+`}`)); err == nil {
				t.Errorf("%s: stream %s is taken", p, value)
			}
		}
	}
}

// nasty is text that would be an event, an end or an error if it got out of its
// string.
const nasty = "a\n\ndata: [DONE]\n\n\r\nevent: error\rid: 1\u2028\"}\\ \x00 </s>"

// TestLM017_ContentNeverBecomesAnEvent: what a model says is data, however it
// is written.
func TestLM017_ContentNeverBecomesAnEvent(t *testing.T) {
	text, err := json.Marshal(nasty)
	if err != nil {
		t.Fatal(err)
	}
	streams := map[Provider]string{
		OpenAI:    `data: {"id":"1","choices":[{"index":0,"delta":{"content":` + string(text) + `},"finish_reason":null}]}` + "\n\n" + `data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n",
		Anthropic: strings.Replace(anthropicText, `"text":"Hello"`, `"text":`+string(text), 1),
		Bedrock:   "messageStart {}\ncontentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":" + string(text) + "}}\nmessageStop {\"stopReason\":\"end_turn\"}\n",
	}
	for p, stream := range streams {
		for protocol, request := range askers {
			if p == OpenAI && protocol == Responses {
				continue // relayed
			}
			t.Run(string(p)+"/"+string(protocol), func(t *testing.T) {
				out := relayed(t, []byte(request), p, rawStream(string(p), []byte(stream)))
				if said := heard(t, out); !strings.Contains(said, nasty) {
					t.Errorf("got %q in\n%s", said, out)
				}
			})
		}
	}
}

// heard returns the strings of all deltas of a client's stream, joined, and
// fails the test where an event is not JSON.
func heard(t *testing.T, stream string) string {
	t.Helper()
	var said strings.Builder
	var d sse.Decoder
	err := d.Write([]byte(stream), func(e sse.Event) error {
		if string(e.Data) == "[DONE]" {
			return nil
		}
		var v any
		if err := json.Unmarshal(e.Data, &v); err != nil {
			t.Errorf("%v: %s", err, e.Data)
		}
		deltas(v, &said)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return said.String()
}

func deltas(v any, said *strings.Builder) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range []string{"content", "text", "delta"} {
			if s, ok := v[name].(string); ok {
				said.WriteString(s)
			}
		}
		for _, name := range []string{"choices", "delta"} {
			deltas(v[name], said)
		}
	case []any:
		for _, e := range v {
			deltas(e, said)
		}
	}
}

// TestLM019_BadFramesEndTheStream: what follows a broken frame is not guessed.
func TestLM019_BadFramesEndTheStream(t *testing.T) {
	start := rawStream("bedrock", []byte("messageStart {}\ncontentBlockDelta {\"contentBlockIndex\":0,\"delta\":{\"text\":\"x\"}}\n"))
	stop := eventstream.Append(nil, []eventstream.Header{{Name: ":message-type", Value: "event"}, {Name: ":event-type", Value: "messageStop"}}, []byte(`{"stopReason":"end_turn"}`))
	for i := range stop {
		bad := bytes.Clone(stop)
		bad[i] ^= 0x41
		for protocol, request := range askers {
			out := relayed(t, []byte(request), Bedrock, append(bytes.Clone(start), bad...))
			if !strings.Contains(out, "outcome: 502") {
				t.Fatalf("%s, byte %d wrong: no error\n%s", protocol, i, out)
			}
			for _, finish := range finishes[protocol] {
				if strings.Contains(out, finish) {
					t.Fatalf("%s, byte %d wrong: an end\n%s", protocol, i, out)
				}
			}
		}
	}
}

// TestLM020_ABrokenStreamIsTold: the transport fails after content has gone
// out.
func TestLM020_ABrokenStreamIsTold(t *testing.T) {
	for _, r := range recordings(t) {
		c, err := Parse(protocolOf(r.request), r.request)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.Attempt(r.provider, chat.Options{Model: models[r.provider]})
		if err != nil {
			t.Fatal(err)
		}
		for _, cut := range r.boundaries() {
			s := a.Stream(1)
			out, err := s.Write(nil, r.raw[:cut])
			if err != nil || !s.Started() || finished(r.raw[:cut]) {
				break
			}
			out = s.Abort(out, chat.Truncated())
			if !bytes.Contains(out, []byte("broke off")) {
				t.Fatalf("%s cut at %d: the client is not told:\n%s", r.name, cut, out)
			}
			for _, finish := range finishes[protocolOf(r.request)] {
				if bytes.Contains(out, []byte(finish)) {
					t.Fatalf("%s cut at %d: it ends:\n%s", r.name, cut, out)
				}
			}
		}
	}
}

// TestLM021_NumbersOfTokensAreSensible, whatever a provider says.
func TestLM021_NumbersOfTokensAreSensible(t *testing.T) {
	const most = "9223372036854775807"
	for name, c := range map[string]struct {
		provider Provider
		answer   string
	}{
		"AnthropicNegative": {Anthropic, `{"id":"1","type":"message","content":[],"stop_reason":"end_turn","usage":{"input_tokens":-5,"output_tokens":-1,"cache_read_input_tokens":-9}}`},
		"AnthropicHuge":     {Anthropic, `{"id":"1","type":"message","content":[],"stop_reason":"end_turn","usage":{"input_tokens":` + most + `,"output_tokens":` + most + `,"cache_read_input_tokens":` + most + `}}`},
		"AnthropicMissing":  {Anthropic, `{"id":"1","type":"message","content":[],"stop_reason":"end_turn"}`},
		"BedrockNegative":   {Bedrock, `{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"end_turn","usage":{"inputTokens":-1,"outputTokens":-1,"totalTokens":-2}}`},
		"BedrockHuge":       {Bedrock, `{"output":{"message":{"role":"assistant","content":[]}},"stopReason":"end_turn","usage":{"inputTokens":` + most + `,"outputTokens":` + most + `,"cacheReadInputTokens":` + most + `,"totalTokens":1}}`},
		"OpenAIHuge":        {OpenAI, `{"choices":[],"usage":{"prompt_tokens":` + most + `,"completion_tokens":` + most + `,"total_tokens":-1,"prompt_tokens_details":{"cached_tokens":-4}}}`},
		"OpenAITooHuge":     {OpenAI, `{"choices":[],"usage":{"prompt_tokens":1e40,"completion_tokens":1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := Parse(Chat, []byte(saying("")))
			if err != nil {
				t.Fatal(err)
			}
			a, err := call.Attempt(c.provider, chat.Options{Model: models[c.provider]})
			if err != nil {
				t.Fatal(err)
			}
			out, err := a.Response([]byte(c.answer), 1)
			if err != nil {
				t.Fatal(err)
			}
			u := out.Usage
			if u.Prompt < 0 || u.Completion < 0 || u.Total() < u.Prompt || u.CacheRead+u.CacheWrite > u.Prompt || u.CacheRead < 0 {
				t.Errorf("%+v", u)
			}
			if missing := strings.HasSuffix(name, "Missing") || strings.HasSuffix(name, "TooHuge"); out.Counted == missing {
				t.Errorf("counted: %v", out.Counted)
			}
		})
	}
}

// TestLM027_ModelsAreOneSegment: a model's name cannot leave its place in the
// path, and what is signed is what is sent.
func TestLM027_ModelsAreOneSegment(t *testing.T) {
	now := time.Now()
	var got []string
	fake := fakellm.New(fakellm.Options{Now: func() time.Time { return now }})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.RequestURI)
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	for _, model := range []string{
		"../../admin", "a/b?x=1", "a%2f..%2f", "x\r\nHost: y", "a#b", "a b", "ü", "a;b", "a+b", "a:b@c",
		"arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
	} {
		call, err := Parse(Chat, fmt.Appendf(nil, `{"model":%s,"messages":[{"role":"user","content":"hi"}]}`, chat.Quote(model)))
		if err != nil {
			t.Fatal(err)
		}
		a, err := call.Attempt(Bedrock, chat.Options{})
		if err != nil {
			t.Fatal(err)
		}
		segments := strings.Split(a.Wire.Path, "/")
		if back, err := url.PathUnescape(segments[2]); len(segments) != 4 || err != nil || back != model || strings.ContainsAny(segments[2], "?#\r\n ") {
			t.Errorf("%q: path %q", model, a.Wire.Path)
		}
		resp := send(t, server.URL, Bedrock, a.Wire, now)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%q: status %d", model, resp.StatusCode)
		}
		if last := got[len(got)-1]; last != a.Wire.Path {
			t.Errorf("%q: signed %q, sent %q", model, a.Wire.Path, last)
		}
	}
	hi := []chat.Turn{{Role: chat.User, Blocks: []chat.Block{{Kind: chat.Text, Text: "hi"}}}}
	for _, model := range []string{"", ".", "..", "...", strings.Repeat("m", 1<<20)} {
		err := bedrock.Build(&chat.Wire{}, &chat.Request{Model: model, Turns: hi}, chat.Options{})
		if e, ok := errors.AsType[*chat.Error](err); !ok || e.Param != "model" {
			t.Errorf("%.10q is taken: %v", model, err)
		}
	}
	_, err := bedrock.BuildEmbeddings(&embed.Request{Model: "cohere.embed-v4" + strings.Repeat("m", 1<<20), Texts: []string{"hi"}}, chat.Options{})
	if e, ok := errors.AsType[*chat.Error](err); !ok || e.Param != "model" {
		t.Errorf("for embeddings a long one is taken: %.100v", err)
	}
}
