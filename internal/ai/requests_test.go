package ai

import (
	"encoding/json/jsontext"
	"errors"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// TestRequests translates every case of testdata/requests for every provider.
// A case is one or more inputs (NAME.json of a chat client, NAME.messages,
// NAME.responses), each followed by what becomes of it: NAME.anthropic,
// NAME.bedrock and NAME.openai, a body and the parameters dropped, or the
// error that the client gets. The provider that speaks the client's own
// protocol is left out.
func TestRequests(t *testing.T) { golden(t, "requests", requestsOf) }

func requestsOf(t *testing.T, parts []txtar.File) (out []txtar.File) {
	for _, f := range parts {
		name, kind, _ := strings.Cut(f.Name, ".")
		protocol, ok := protocols[kind]
		if !ok {
			continue
		}
		out = append(out, f)
		for _, p := range []Provider{Anthropic, Bedrock, OpenAI} {
			if p != clientOf(protocol).native {
				out = append(out, txtar.File{Name: name + "." + string(p), Data: []byte(translated(t, protocol, p, f.Data))})
			}
		}
	}
	return out
}

// protocols are the client protocols by the ending of their inputs.
var protocols = map[string]Protocol{"json": Chat, "messages": Messages, "responses": Responses}

// models are chosen so that both providers have the abilities of their newest
// generation but one.
var models = map[Provider]string{OpenAI: "gpt-5", Anthropic: "claude-sonnet-4-5", Bedrock: "anthropic.claude-sonnet-4-5-20250929-v1:0"}

// modelFor is the model that a case asks a provider for: the client's where that
// is one of a provider's.
func modelFor(p Provider, asked string) string {
	if strings.Contains(asked, "claude") || strings.ContainsAny(asked, ".:") {
		return ""
	}
	return models[p]
}

func translated(t *testing.T, protocol Protocol, p Provider, body []byte) string {
	t.Helper()
	c, err := Parse(protocol, body)
	var a *Attempt
	if err == nil {
		a, err = c.Attempt(p, chat.Options{Model: modelFor(p, c.Model)})
	}
	if refused, ok := errors.AsType[*chat.Error](err); ok {
		return "error " + refused.Error() + "\n"
	}
	if err != nil {
		t.Fatal(err)
	}
	if !jsontext.Value(a.Wire.Body).IsValid() {
		t.Fatalf("the body is not JSON: %s", a.Wire.Body)
	}
	s := string(a.Wire.Body) + "\n"
	if p == Bedrock && strings.Contains(a.Wire.Path, "%2F") {
		s = a.Wire.Path + "\n" + s
	}
	if len(a.Wire.Dropped) > 0 {
		s += "dropped: " + strings.Join(a.Wire.Dropped, ", ") + "\n"
	}
	return s
}

// TestT31_LargeBody: a body of 20 MiB, most of it one image.
func TestT31_LargeBody(t *testing.T) {
	data := strings.Repeat("iVBORw0KGgoA", 20<<20/12)
	body := []byte(`{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,` + data + `"}}]}]}`)
	for _, p := range []Provider{OpenAI, Anthropic, Bedrock} {
		c, err := Parse(Chat, body)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.Attempt(p, chat.Options{Model: models[p]})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(a.Wire.Body); !strings.Contains(got, data) || len(got) > len(body)+500 {
			t.Errorf("%s: %d bytes of %d", p, len(got), len(body))
		}
	}
}
