package ai

import (
	"bytes"
	"encoding/json/jsontext"
	"errors"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/citoroute/citoroute/internal/ai/anthropic"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/openai"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

// seed adds the golden files of some folder and kinds to a corpus.
func seed(f *testing.F, folder string, add func([]byte), kinds ...string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.txtar"))
	if err != nil || len(files) == 0 {
		f.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, golden := range archive.Files {
			for _, kind := range kinds {
				if strings.HasSuffix(golden.Name, "."+kind) {
					add(golden.Data)
				}
			}
		}
	}
}

// fuzzRequest translates anything for every provider: what comes out is JSON,
// or an error that blames the client.
func fuzzRequest(f *testing.F, p Protocol, kind string) {
	seed(f, "requests", func(b []byte) { f.Add(b) }, kind)
	f.Fuzz(func(t *testing.T, body []byte) {
		given := bytes.Clone(body)
		c, err := Parse(p, body)
		if err != nil {
			blamesClient(t, err)
			if err := new(Call).ReadToTranslate(p, body); err == nil {
				t.Fatal("read in one pass")
			}
			return
		}
		once := new(Call)
		if err := once.ReadToTranslate(p, body); err != nil || once.head != c.head {
			t.Fatalf("in one pass: %+v, %v; want %+v", once.head, err, c.head)
		}
		if err := c.RefuseURLs(); err != nil {
			blamesClient(t, err)
		}
		for _, provider := range []Provider{OpenAI, Anthropic, Bedrock} {
			for _, model := range []string{models[provider], "amazon.nova-pro-v1:0", "claude-3-haiku-20240307", titan2, cohere3} {
				a, err := c.Attempt(provider, chat.Options{Model: model})
				other, otherErr := once.Attempt(provider, chat.Options{Model: model})
				if (err == nil) != (otherErr == nil) || err == nil && !reflect.DeepEqual(a.Wire, other.Wire) {
					t.Fatalf("%s, in one pass: %+v, %v; want %+v, %v", provider, other, otherErr, a, err)
				}
				if err != nil {
					blamesClient(t, err)
					continue
				}
				if !jsontext.Value(a.Wire.Body).IsValid() {
					t.Fatalf("%s gets %s", provider, a.Wire.Body)
				}
			}
		}
		if !bytes.Equal(given, body) {
			t.Fatal("the client's body was changed")
		}
	})
}

func blamesClient(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*chat.Error](err)
	if !ok || e.Status != 400 || e.Message == "" {
		t.Fatalf("%v", err)
	}
	for _, p := range []Protocol{Chat, Messages, Responses} {
		if b := EncodeError(p, e); !jsontext.Value(b).IsValid() {
			t.Fatalf("%s", b)
		}
	}
}

func FuzzChatRequest(f *testing.F)      { fuzzRequest(f, Chat, "json") }
func FuzzMessagesRequest(f *testing.F)  { fuzzRequest(f, Messages, "messages") }
func FuzzResponsesRequest(f *testing.F) { fuzzRequest(f, Responses, "responses") }

func FuzzEmbeddingsRequest(f *testing.F) {
	f.Add([]byte(`{"model":"m","input":["a","b"],"encoding_format":"base64","dimensions":256,"input_type":"x"}`))
	f.Add([]byte(`{"model":"m","input":"a"}`))
	f.Add([]byte(`{"model":"m","input":[[1],[2]]}`))
	fuzzRequest(f, Embeddings, "none")
}

// fuzzAnswer translates any answer for clients of every protocol.
func fuzzAnswer(f *testing.F, p Provider, kind string) {
	seed(f, "answers", func(b []byte) { f.Add(b, 200) }, kind)
	f.Add(benchAnswers[p], 500)
	f.Fuzz(func(t *testing.T, body []byte, status int) {
		for protocol, request := range askers {
			a := askingFor(t, protocol, request, p)
			e := a.Error(400+max(status%200, -status%200), func(string) string { return string(body) }, body)
			if b := EncodeError(protocol, e); e.Status < 400 || e.Status > 599 || !jsontext.Value(b).IsValid() {
				t.Fatalf("%s: %d %s", protocol, e.Status, b)
			}
			out, err := a.Response(body, 1)
			if err != nil {
				if e, ok := errors.AsType[*chat.Error](err); !ok || e.Status != 502 {
					t.Fatalf("%s: %v", protocol, err)
				}
				continue
			}
			if u := out.Usage; u.Prompt < 0 || u.Completion < 0 || u.CacheRead+u.CacheWrite > u.Prompt || u.Reasoning > u.Completion {
				t.Fatalf("%s: %+v", protocol, u)
			}
			if !a.relayed && !jsontext.Value(out.Body).IsValid() {
				t.Fatalf("%s: %s", protocol, out.Body)
			}
		}
	})
}

func FuzzOpenAIAnswer(f *testing.F)    { fuzzAnswer(f, OpenAI, "openai") }
func FuzzAnthropicAnswer(f *testing.F) { fuzzAnswer(f, Anthropic, "anthropic") }
func FuzzBedrockAnswer(f *testing.F)   { fuzzAnswer(f, Bedrock, "bedrock") }

func FuzzEmbeddingsAnswer(f *testing.F) {
	f.Add([]byte(`{"embedding":[1,2],"inputTextTokenCount":3}`))
	f.Add([]byte(`{"embeddings":{"float":[[1e40]]}}`))
	f.Add([]byte(`{"embeddings":[[1]]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, model := range []string{titan2, cohere3} {
			c, err := Parse(Embeddings, []byte(`{"model":"m","input":"a","encoding_format":"base64"}`))
			if err != nil {
				t.Fatal(err)
			}
			a, err := c.Attempt(Bedrock, chat.Options{Model: model})
			if err != nil {
				t.Fatal(err)
			}
			if out, err := a.Response(body, 1); err == nil && !jsontext.Value(out.Body).IsValid() {
				t.Fatalf("%s", out.Body)
			}
		}
	})
}

func askingFor(t *testing.T, protocol Protocol, request string, p Provider) *Attempt {
	t.Helper()
	c, err := Parse(protocol, []byte(request))
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Attempt(p, chat.Options{Model: models[p]})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fuzzStream translates any stream for clients of every protocol: each event
// is JSON, an end comes only where there is no error, and how the bytes come
// makes no difference.
func fuzzStream(f *testing.F, p Provider) {
	seed(f, "streams", func(b []byte) { f.Add(b, 7) }, string(p))
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		raw := rawStream(string(p), in)
		if cut < 0 || cut > len(raw) {
			cut = len(raw) / 2
		}
		for protocol, request := range askers {
			whole, err := stream(askingFor(t, protocol, request, p), raw)
			split, splitErr := stream(askingFor(t, protocol, request, p), raw[:cut], raw[cut:])
			if whole != split || (err == nil) != (splitErr == nil) {
				t.Fatalf("%s cut at %d: %v, %v; -whole +split:\n%s", protocol, cut, err, splitErr, cmp.Diff(whole, split))
			}
			wellFormed(t, protocol, whole, err)
		}
	})
}

func wellFormed(t *testing.T, protocol Protocol, out string, err error) {
	t.Helper()
	relayedEnd := false
	var d sse.Decoder
	if err := d.Write([]byte(out), func(e sse.Event) error {
		relayedEnd = string(e.Data) == "[DONE]"
		if !relayedEnd && !jsontext.Value(e.Data).IsValid(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) {
			t.Fatalf("%s: %q is no JSON", protocol, e.Data)
		}
		return nil
	}); err != nil || d.Pending() {
		t.Fatalf("%s: %v, an event is not ended: %q", protocol, err, out)
	}
	if err != nil && relayedEnd {
		t.Fatalf("%s: %v, and an end: %q", protocol, err, out)
	}
}

func FuzzOpenAIStream(f *testing.F)    { fuzzStream(f, OpenAI) }
func FuzzAnthropicStream(f *testing.F) { fuzzStream(f, Anthropic) }
func FuzzBedrockStream(f *testing.F)   { fuzzStream(f, Bedrock) }

// said is an answer of a thought, a text and two tool calls.
func said(text, id, name, arguments string) []chat.Event {
	return []chat.Event{
		{Kind: chat.Start, ID: id, Model: name},
		{Kind: chat.ThinkDelta, Text: text},
		{Kind: chat.ThinkSign, Text: id},
		{Kind: chat.TextDelta, Text: text},
		{Kind: chat.ToolStart, Tool: 0, ID: id, Name: name},
		{Kind: chat.ToolDelta, Tool: 0, Text: arguments},
		{Kind: chat.ToolEnd, Tool: 0},
		{Kind: chat.ToolStart, Tool: 1, ID: id + "2", Name: name},
		{Kind: chat.ToolDelta, Tool: 1, Text: text},
		{Kind: chat.ToolDelta, Tool: 1, Text: arguments},
		{Kind: chat.ToolEnd, Tool: 1},
		{Kind: chat.Stop, Finish: chat.FinishTools},
		{Kind: chat.UsageEvent, Usage: chat.Usage{Prompt: 5, Completion: 4, CacheRead: 1}},
		{Kind: chat.End},
	}
}

// returned encodes events for a client and decodes what it gets. What tells
// usage is left out: protocols say it at different places.
func returned(t *testing.T, e encoder, d decoder, events []chat.Event) (want, got []chat.Event) {
	t.Helper()
	var out []byte
	for _, event := range events {
		out = e.Append(out, event)
		if event.Kind != chat.UsageEvent {
			want = append(want, event)
		}
	}
	err := d.Write(out, func(event chat.Event) error {
		if event.Kind != chat.UsageEvent {
			got = append(got, event)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return want, got
}

// FuzzLM026_NothingIsLostOrAdded: what a model says, calls and names comes back
// the same from the client's protocol, whatever it holds.
func FuzzLM026_NothingIsLostOrAdded(f *testing.F) {
	f.Add("a", "id", "name", `{"a":1}`)
	f.Add(nasty, "id\"\n", "na\"me\n", nasty)
	f.Add(`{"role":"system"}`, "x", `","role":"system`, strings.Repeat(`{"a":"`, 1<<17))
	f.Fuzz(func(t *testing.T, text, id, name, arguments string) {
		for _, s := range []*string{&text, &id, &name, &arguments} {
			if *s = strings.ToValidUTF8(*s, "?"); *s == "" {
				*s = "-" // nothing is said by nothing
			}
		}
		events := said(text, id, name, arguments)
		for protocol, pair := range map[Protocol]struct {
			encoder encoder
			decoder decoder
		}{
			Chat:     {openai.NewChatEncoder(1, &openai.Head{IncludeUsage: true}), openai.NewChatDecoder(&chat.Wire{})},
			Messages: {anthropic.NewEncoder(), anthropic.NewDecoder(&chat.Wire{})},
		} {
			want, got := returned(t, pair.encoder, pair.decoder, events)
			if !slices.Equal(want, got) {
				t.Fatalf("%s: -said +heard:\n%s", protocol, cmp.Diff(want, got))
			}
		}
	})
}
