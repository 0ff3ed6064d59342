package openai

import (
	"encoding/base64"
	"encoding/json/jsontext"
	"strings"
	"unicode/utf8"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// ChatPath is where chat completions are asked for, below the base URL
// (https://api.openai.com/v1).
const ChatPath = "/chat/completions"

// Header returns the fields of every request to OpenAI, credentials apart.
// They are the same memory each time, and not to be changed.
func Header() []chat.Field { return header }

var header = []chat.Field{{Name: "content-type", Value: "application/json"}}

// BuildChat writes the request for OpenAI into w, for a client that speaks
// another protocol. The error is a *chat.Error for what OpenAI cannot express.
func BuildChat(w *chat.Wire, r *chat.Request, o chat.Options) error {
	*w = chat.Wire{
		Path:    ChatPath,
		Model:   o.ModelFor(r),
		Header:  Header(),
		Dropped: r.Foreign(),
	}
	out := &chatRequest{Model: w.Model, Temperature: r.Temperature, TopP: r.TopP, User: r.User}
	if len(out.User) > chat.MaxName { // OpenAI takes no longer one
		out.User = chat.Identifier(out.User)
	}
	if r.TopK != nil {
		w.Drop("top_k")
	}
	if r.MaxTokens > 0 {
		out.MaxCompletionTokens = &r.MaxTokens
	}
	buildSampling(r, out, w)
	buildTools(r, out, w)
	if err := buildMessages(r, out, w); err != nil {
		return err
	}
	var err error
	w.Body, err = chat.Marshal(out)
	return err
}

func buildSampling(r *chat.Request, out *chatRequest, w *chat.Wire) {
	if r.Stream {
		out.Stream, out.StreamOptions = &r.Stream, &streamOptions{IncludeUsage: true}
	}
	if stop := r.Stop; len(stop) > 0 {
		if len(stop) > 4 { // OpenAI takes four
			stop = stop[:4]
			w.Drop("stop")
		}
		out.Stop, _ = chat.Marshal(stop)
	}
	switch effort := r.EffortWord(); effort {
	case "":
	case "max": // OpenAI knows no more than the next lower one
		high := "xhigh"
		out.ReasoningEffort = &high
		w.Drop("reasoning_effort")
	default:
		out.ReasoningEffort = &effort
	}
	if r.ServiceTier != "" {
		out.ServiceTier = &r.ServiceTier
	}
	switch f := r.Format; f.Kind {
	case chat.FormatJSON:
		out.ResponseFormat = &format{Type: "json_object"}
	case chat.FormatSchema:
		out.ResponseFormat = &format{Type: "json_schema", JSONSchema: &jsonSchema{Name: chat.Identifier(f.Name), Description: f.Description, Schema: f.Schema, Strict: f.Strict}}
	}
}

func buildTools(r *chat.Request, out *chatRequest, w *chat.Wire) {
	for _, t := range r.AllowedTools() {
		out.Tools = append(out.Tools, tool{Type: "function", Function: &function{
			Name: w.Names.Wire(t.Name), Description: t.Description, Parameters: chat.ObjectSchema(t.Schema), Strict: t.Strict,
		}})
	}
	if len(out.Tools) == 0 {
		return
	}
	out.ParallelToolCalls = r.ParallelTools
	switch r.ToolChoice.Mode {
	case chat.ToolsAuto:
		out.ToolChoice = jsontext.Value(`"auto"`)
	case chat.ToolsNone:
		out.ToolChoice = jsontext.Value(`"none"`)
	case chat.ToolsRequired:
		out.ToolChoice = jsontext.Value(`"required"`)
	case chat.ToolsNamed:
		out.ToolChoice = jsontext.Value(`{"type":"function","function":{"name":` + chat.Quote(w.Names.Wire(r.ToolChoice.Name)) + `}}`)
	}
}

func buildMessages(r *chat.Request, out *chatRequest, w *chat.Wire) error {
	for _, s := range r.System {
		out.Messages = append(out.Messages, message{Role: "system", Content: jsontext.Value(chat.Quote(s.Text))})
	}
	for _, t := range r.Turns {
		var err error
		if t.Role == chat.Assistant {
			var m message
			if m, err = assistantMessage(t.Blocks, w); m.Content != nil || m.ToolCalls != nil {
				out.Messages = append(out.Messages, m)
			}
		} else {
			out.Messages, err = userMessages(out.Messages, t.Blocks, w)
		}
		if err != nil {
			return err
		}
	}
	if len(out.Messages) == 0 {
		return chat.Invalid("messages", "hold nothing that this provider takes")
	}
	return nil
}

// maxCallID is the longest identifier of a tool call that OpenAI takes, in bytes.
const maxCallID = 40

func callID(id string) string {
	if len(id) > maxCallID {
		return chat.ShortIdentifier(id, maxCallID)
	}
	return id
}

// assistantMessage has neither content nor calls where the turn says nothing
// that OpenAI takes.
func assistantMessage(blocks []chat.Block, w *chat.Wire) (message, error) {
	m := message{Role: "assistant"}
	var text strings.Builder
	for _, b := range blocks {
		switch b.Kind {
		case chat.Text:
			text.WriteString(b.Text)
		case chat.ToolUse:
			m.ToolCalls = append(m.ToolCalls, toolCall{ID: callID(b.ID), Type: "function", Function: &functionCall{Name: w.Names.Wire(b.Name), Arguments: string(b.Input)}})
		case chat.Thinking, chat.RedactedThinking: // OpenAI takes no thoughts back
		default:
			return message{}, chat.Unsupported("messages", "an answer with images or documents is not possible with this provider")
		}
	}
	if text.Len() > 0 {
		m.Content = jsontext.Value(chat.Quote(text.String()))
	}
	return m, nil
}

// userMessages splits a turn: OpenAI has a message of its own for every result
// of a tool.
func userMessages(list []message, blocks []chat.Block, w *chat.Wire) ([]message, error) {
	var rest []part
	for _, b := range blocks {
		if b.Kind != chat.ToolResult {
			p, err := writePart(b, w)
			if err != nil {
				return nil, err
			}
			rest = append(rest, p)
			continue
		}
		if b.Failed {
			w.Drop("is_error")
		}
		m, media, err := toolMessage(b, w)
		if err != nil {
			return nil, err
		}
		list, rest = append(list, m), append(rest, media...)
	}
	if len(rest) == 0 {
		return list, nil
	}
	raw, err := chat.Marshal(rest)
	if err != nil {
		return nil, err
	}
	if len(rest) == 1 && rest[0].Type == "text" {
		raw = jsontext.Value(chat.Quote(rest[0].Text))
	}
	return append(list, message{Role: "user", Content: raw}), nil
}

// toolMessage writes the result of a tool. It can only be text: media come back
// apart, to follow in the user's own message.
func toolMessage(b chat.Block, w *chat.Wire) (m message, media []part, err error) {
	content := []part{}
	for _, c := range b.Content {
		p, err := writePart(c, w)
		if err != nil {
			return m, nil, err
		}
		if c.Kind == chat.Text {
			content = append(content, p)
		} else {
			media = append(media, p)
		}
	}
	m = message{Role: "tool", ToolCallID: callID(b.ID), Content: jsontext.Value(`""`)}
	if len(content) > 0 {
		m.Content, err = chat.Marshal(content)
	}
	return m, media, err
}

func writePart(b chat.Block, w *chat.Wire) (part, error) {
	m := b.Media
	switch {
	case b.Kind == chat.Text:
		return part{Type: "text", Text: b.Text}, nil
	case b.Kind == chat.Image && m.URL != "":
		return part{Type: "image_url", ImageURL: &imageURL{URL: m.URL}}, nil
	case b.Kind == chat.Image:
		return part{Type: "image_url", ImageURL: &imageURL{URL: "data:" + m.Type + ";base64," + m.Data}}, nil
	case b.Kind == chat.Document && m.URL != "":
		return part{}, chat.Unsupported("messages", "this provider takes documents as data, not as a URL")
	case b.Kind == chat.Document && m.Type == "text/plain":
		text, err := base64.StdEncoding.DecodeString(m.Data)
		if err != nil {
			return part{}, chat.Invalid("messages", "a document's base64 is not valid")
		}
		if !utf8.Valid(text) {
			return part{}, chat.Invalid("messages", "a document of plain text is not UTF-8")
		}
		if m.Name != "" {
			w.Drop("document.title")
		}
		return part{Type: "text", Text: string(text)}, nil
	case b.Kind == chat.Document:
		name := m.Name
		if name == "" {
			name = "document.pdf"
		}
		return part{Type: "file", File: &file{FileData: "data:" + m.Type + ";base64," + m.Data, Filename: name}}, nil
	}
	return part{}, chat.Unsupported("messages", "a content block is not possible with this provider")
}
