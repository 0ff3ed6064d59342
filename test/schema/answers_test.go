package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/eventstream"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

// askers are a request of each client protocol.
var askers = map[ai.Protocol]string{
	ai.Chat:      `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}`,
	ai.Messages:  `{"model":"m","stream":true,"max_tokens":100,"messages":[{"role":"user","content":"hi"}]}`,
	ai.Responses: `{"model":"m","stream":true,"input":"hi"}`,
}

// natives are the providers whose answers are relayed: those are their own.
var natives = map[ai.Protocol]ai.Provider{ai.Chat: ai.OpenAI, ai.Messages: ai.Anthropic, ai.Responses: ai.OpenAI}

// strict are the shapes of what clients get. The extensions of chat completions
// are documented in docs/llm.md.
var strict = map[ai.Protocol]shapes{
	ai.Chat: {
		extensions: []string{"reasoning_content", "reasoning_details"},
		nullable:   []string{"content", "refusal", "finish_reason", "logprobs", "usage"},
	},
	// What only newer versions of the API than ours have may be left out.
	ai.Messages: {
		optional: []string{"container", "diagnostics", "stop_details", "cache_creation", "inference_geo", "output_tokens_details", "server_tool_use", "service_tier", "speed", "citations"},
		nullable: []string{"stop_reason", "stop_sequence"},
	},
	ai.Responses: {
		optional: []string{"cache_write_tokens"},
		nullable: []string{"error", "incomplete_details", "instructions", "temperature", "top_p", "param", "usage", "access_programs", "previous_response_id", "max_output_tokens"},
	},
}

// attempt asks a provider for an answer to a client of some protocol.
func attempt(t *testing.T, protocol ai.Protocol, p ai.Provider) *ai.Attempt {
	t.Helper()
	call, err := ai.Parse(protocol, []byte(askers[protocol]))
	if err != nil {
		t.Fatal(err)
	}
	a, err := call.Attempt(p, chat.Options{Model: "claude-sonnet-4-5"})
	if err != nil {
		t.Fatal(err)
	}
	a.Wire.ResponseID = "id"
	return a
}

// TestAnswersFitTheClients translates every recorded answer for clients of
// every protocol and checks what they get against the types of their SDKs.
func TestAnswersFitTheClients(t *testing.T) {
	whole := map[ai.Protocol]reflect.Type{
		ai.Chat:      reflect.TypeFor[openai.ChatCompletion](),
		ai.Messages:  reflect.TypeFor[anthropic.Message](),
		ai.Responses: reflect.TypeFor[responses.Response](),
	}
	checked := 0
	for name, archive := range golden(t, "answers") {
		for _, f := range archive.Files {
			p := ai.Provider(f.Name[strings.LastIndexByte(f.Name, '.')+1:])
			if p != ai.Anthropic && p != ai.Bedrock && p != ai.OpenAI {
				continue
			}
			for protocol, kind := range whole {
				if p == natives[protocol] {
					continue
				}
				t.Run(name+"/"+f.Name+"/"+string(protocol), func(t *testing.T) {
					out, err := attempt(t, protocol, p).Response(f.Data, 1)
					if err != nil {
						report(t, nil, errorShape(t, protocol, ai.EncodeError(protocol, asError(t, err))))
						return
					}
					checked++
					report(t, out.Body, strict[protocol].check(kind, decode(t, out.Body), "$"))
				})
			}
		}
	}
	if checked < 40 {
		t.Errorf("only %d answers", checked)
	}
}

func asError(t *testing.T, err error) *chat.Error {
	t.Helper()
	e, ok := errors.AsType[*chat.Error](err)
	if !ok {
		t.Fatal(err)
	}
	return e
}

// errorShape checks an error against the SDKs' types for it.
func errorShape(t *testing.T, protocol ai.Protocol, body []byte) []string {
	t.Helper()
	if protocol == ai.Messages {
		s := shapes{optional: []string{"request_id"}}
		return s.check(reflect.TypeFor[anthropic.ErrorResponse](), decode(t, body), "$")
	}
	var in struct {
		Error json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return []string{err.Error()}
	}
	s := shapes{nullable: []string{"code", "param"}}
	return s.check(reflect.TypeFor[openai.ErrorObject](), decode(t, in.Error), "$.error")
}

// TestStreamsFitTheClients is the same for streams: every event fits, and the
// SDKs put the events together.
func TestStreamsFitTheClients(t *testing.T) {
	checked := map[ai.Protocol]int{}
	for name, archive := range golden(t, "streams") {
		for _, f := range archive.Files {
			p := ai.Provider(f.Name[strings.LastIndexByte(f.Name, '.')+1:])
			if p != ai.Anthropic && p != ai.Bedrock && p != ai.OpenAI || strings.HasPrefix(name, "Responses_Relay") {
				continue
			}
			for protocol := range askers {
				if p == natives[protocol] {
					continue
				}
				t.Run(name+"/"+f.Name+"/"+string(protocol), func(t *testing.T) {
					s := attempt(t, protocol, p).Stream(1)
					out, err := s.Write(nil, recorded(p, f.Data))
					if err == nil {
						out, err = s.Close(out)
					}
					if err == nil {
						checked[protocol]++
					}
					if s.Started() {
						checkStream(t, protocol, out)
					}
				})
			}
		}
	}
	for protocol := range askers {
		if checked[protocol] < 15 {
			t.Errorf("only %d whole streams of %s", checked[protocol], protocol)
		}
	}
}

// recorded returns the bytes of a golden stream: for Bedrock each line is a
// message, its event's name first.
func recorded(p ai.Provider, data []byte) []byte {
	if p != ai.Bedrock {
		return data
	}
	var raw []byte
	for line := range strings.Lines(string(data)) {
		name, payload, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		headers := []eventstream.Header{{Name: ":message-type", Value: "event"}, {Name: ":event-type", Value: name}}
		if exception, ok := strings.CutPrefix(name, "exception:"); ok {
			headers = []eventstream.Header{{Name: ":message-type", Value: "exception"}, {Name: ":exception-type", Value: exception}}
		}
		raw = eventstream.Append(raw, headers, []byte(payload))
	}
	return raw
}

func checkStream(t *testing.T, protocol ai.Protocol, out []byte) {
	t.Helper()
	events := map[ai.Protocol]reflect.Type{
		ai.Chat:      reflect.TypeFor[openai.ChatCompletionChunk](),
		ai.Messages:  reflect.TypeFor[anthropic.MessageStreamEventUnion](),
		ai.Responses: reflect.TypeFor[responses.ResponseStreamEventUnion](),
	}
	var completion openai.ChatCompletionAccumulator
	var message anthropic.Message
	var d sse.Decoder
	err := d.Write(out, func(e sse.Event) error {
		switch {
		case string(e.Data) == "[DONE]" || string(e.Name) == "ping":
			return nil
		case bytes.HasPrefix(e.Data, []byte(`{"error":`)), protocol == ai.Messages && string(e.Name) == "error":
			report(t, e.Data, errorShape(t, protocol, e.Data))
			return nil
		}
		report(t, e.Data, strict[protocol].check(events[protocol], decode(t, e.Data), "$"))
		switch protocol {
		case ai.Chat:
			var chunk openai.ChatCompletionChunk
			if err := json.Unmarshal(e.Data, &chunk); err != nil || !completion.AddChunk(chunk) {
				t.Errorf("the SDK cannot add %s: %v", e.Data, err)
			}
		case ai.Messages:
			var event anthropic.MessageStreamEventUnion
			if err := json.Unmarshal(e.Data, &event); err != nil {
				t.Error(err)
			}
			if err := message.Accumulate(event); err != nil {
				t.Errorf("the SDK cannot add %s: %v", e.Data, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestEmbeddingsFitTheClients checks an answer of each maker of models.
func TestEmbeddingsFitTheClients(t *testing.T) {
	for model, answer := range map[string]string{
		"amazon.titan-embed-text-v2:0": `{"embedding":[0.1,-2],"inputTextTokenCount":3}`,
		"cohere.embed-english-v3":      `{"embeddings":[[0.1,-2]],"id":"x","texts":["a"]}`,
	} {
		t.Run(model, func(t *testing.T) {
			call, err := ai.Parse(ai.Embeddings, []byte(`{"model":"m","input":"a"}`))
			if err != nil {
				t.Fatal(err)
			}
			a, err := call.Attempt(ai.Bedrock, chat.Options{Model: model})
			if err != nil {
				t.Fatal(err)
			}
			out, err := a.Response([]byte(answer), 1)
			if err != nil {
				t.Fatal(err)
			}
			report(t, out.Body, shapes{}.check(reflect.TypeFor[openai.CreateEmbeddingResponse](), decode(t, out.Body), "$"))
		})
	}
}
