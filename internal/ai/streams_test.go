package ai

import (
	"bytes"
	"strings"
	"testing"

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
