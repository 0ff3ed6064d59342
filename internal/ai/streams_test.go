package ai

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/eventstream"
)

// TestStreams translates every recorded stream of testdata/streams for a
// client. A case is the client's request (request.json), the provider's stream
// (NAME.anthropic or NAME.openai: server-sent events; NAME.bedrock: a message
// a line, HEADERS-OF-THE-EVENT then its payload), each followed by what the
// client gets (NAME.client).
func TestStreams(t *testing.T) {
	golden(t, "streams", forClient(func(t *testing.T, request []byte, p Provider, _ string, stream []byte) string {
		return relayed(t, request, p, rawStream(string(p), stream))
	}))
}

// rawStream returns the bytes that the provider sends.
func rawStream(kind string, data []byte) []byte {
	if kind != "bedrock" {
		return data
	}
	var raw []byte
	for line := range strings.Lines(string(data)) {
		head, payload, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		var headers []eventstream.Header
		switch kind, name, _ := strings.Cut(head, ":"); kind {
		case "exception":
			headers = []eventstream.Header{{Name: ":message-type", Value: kind}, {Name: ":exception-type", Value: name}}
		case "error":
			headers = []eventstream.Header{{Name: ":message-type", Value: kind}, {Name: ":error-code", Value: name}, {Name: ":error-message", Value: payload}}
		case "untyped":
			headers = []eventstream.Header{{Name: ":event-type", Value: name}}
		default:
			headers = []eventstream.Header{{Name: ":message-type", Value: "event"}, {Name: ":event-type", Value: head}}
		}
		raw = eventstream.Append(raw, headers, []byte(payload))
	}
	return raw
}

// protocolOf tells a request's protocol by a member that only it has.
func protocolOf(request []byte) Protocol {
	switch {
	case bytes.Contains(request, []byte(`"input"`)):
		return Responses
	case bytes.Contains(request, []byte(`"max_tokens"`)):
		return Messages
	}
	return Chat
}

// relayed returns what the client gets, and the outcome where that is an error.
func relayed(t *testing.T, request []byte, p Provider, pieces ...[]byte) string {
	t.Helper()
	c, err := Parse(protocolOf(request), request)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.Attempt(p, chat.Options{Model: modelFor(p, c.Model)})
	if err != nil {
		t.Fatal(err)
	}
	a.Wire.ResponseID = "id"
	s := a.Stream(1)
	var out []byte
	for _, piece := range pieces {
		if out, err = s.Write(out, piece); err != nil {
			break
		}
	}
	if err == nil {
		out, err = s.Close(out)
	}
	got := string(out)
	if err != nil {
		got += "outcome: " + err.Error() + "\n"
	}
	return got
}

// TestLM019_NoStreamIsKeptForever: what is held back, and what the client's protocol
// repeats at the end, is bounded.
func TestLM019_NoStreamIsKeptForever(t *testing.T) {
	const chatCall, messagesCall, responsesCall = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`,
		`{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}`, `{"model":"m","stream":true,"input":"hi"}`
	filler := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		request  string
		provider Provider
		event    string
	}{
		"OpenAIAnnounces":     {chatCall, OpenAI, `{"id":"` + filler + `","choices":[{"index":0,"delta":{"content":""}}]}`},
		"AnthropicAnnounces":  {messagesCall, Anthropic, `{"type":"message_start","message":{"id":"` + filler + `"}}`},
		"ResponsesAnnounce":   {responsesCall, OpenAI, `{"type":"response.created","response":{"instructions":"` + filler + `"}}`},
		"ResponsesRepeatText": {responsesCall, Anthropic, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"` + filler + `"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := Parse(protocolOf([]byte(c.request)), []byte(c.request))
			if err != nil {
				t.Fatal(err)
			}
			a, err := call.Attempt(c.provider, chat.Options{Model: "m"})
			if err != nil {
				t.Fatal(err)
			}
			s := a.Stream(1)
			for range maxKept>>20 + 1 {
				if _, err = s.Write(nil, []byte("data: "+c.event+"\n\n")); err != nil {
					break
				}
			}
			if e, ok := errors.AsType[*chat.Error](err); !ok || e.Status != 502 {
				t.Errorf("got %v, want an error of the provider", err)
			}
		})
	}
}

// TestA45_NothingComesAfterTheEnd: what follows the end of a stream is no part of
// the answer and no failure. Some servers say [DONE] after that of any protocol.
func TestA45_NothingComesAfterTheEnd(t *testing.T) {
	const done, ping = "data: [DONE]\n\n", "event: ping\ndata: {\"type\":\"ping\"}\n\n"
	const message = `data: {"type":"message_start","message":{"id":"a","model":"m"}}` + "\n\n" +
		`data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}}` + "\n\n" +
		`data: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}` + "\n\n" + `data: {"type":"message_stop"}` + "\n\n"
	const completion = `data: {"id":"a","choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}` + "\n\n" + done
	const response = `data: {"type":"response.completed","response":{"id":"a","status":"completed"}}` + "\n\n"
	const chatCall, messagesCall, responsesCall = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`,
		`{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}`, `{"model":"m","stream":true,"input":"hi"}`
	for name, c := range map[string]struct {
		request  string
		provider Provider
		stream   string
	}{
		"AnthropicToChat":      {chatCall, Anthropic, message},
		"AnthropicToMessages":  {messagesCall, Anthropic, message},
		"AnthropicToResponses": {responsesCall, Anthropic, message},
		"OpenAIToChat":         {chatCall, OpenAI, completion},
		"OpenAIToMessages":     {messagesCall, OpenAI, completion},
		"OpenAIToResponses":    {responsesCall, OpenAI, response},
	} {
		t.Run(name, func(t *testing.T) {
			want := relayed(t, []byte(c.request), c.provider, []byte(c.stream))
			for _, more := range []string{done, ping, c.stream, "data: no JSON\n\n"} {
				for _, pieces := range [][][]byte{{[]byte(c.stream + more)}, {[]byte(c.stream), []byte(more)}} {
					if diff := cmp.Diff(want, relayed(t, []byte(c.request), c.provider, pieces...)); diff != "" {
						t.Errorf("%q after the end: -want +got:\n%s", more, diff)
					}
				}
			}
			if strings.Contains(want, "outcome:") {
				t.Errorf("the stream itself fails:\n%s", want)
			}
		})
	}
}
