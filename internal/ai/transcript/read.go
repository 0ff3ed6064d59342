package transcript

import (
	"cmp"
	"encoding/json/jsontext"
	"net/url"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/quickjson"
)

// node is an object of any protocol, by the members that are of interest. None
// has a wrong type: what is not what it should be says nothing.
type node struct {
	Type      jsontext.Value `json:"type"`
	Role      jsontext.Value `json:"role"`
	ID        jsontext.Value `json:"id"`
	Name      jsontext.Value `json:"name"`
	Content   jsontext.Value `json:"content"`
	Text      jsontext.Value `json:"text"`
	Refusal   jsontext.Value `json:"refusal"`
	Thinking  jsontext.Value `json:"thinking"`
	Reasoning jsontext.Value `json:"reasoning_content"`
	Summary   jsontext.Value `json:"summary"`
	ToolCalls jsontext.Value `json:"tool_calls"`
	Function  jsontext.Value `json:"function"`
	Arguments jsontext.Value `json:"arguments"`
	Input     jsontext.Value `json:"input"`
	Output    jsontext.Value `json:"output"`
	CallID    jsontext.Value `json:"call_id"`
	ToolCall  jsontext.Value `json:"tool_call_id"`
	ToolUse   jsontext.Value `json:"tool_use_id"`
	ImageURL  jsontext.Value `json:"image_url"`
	FileURL   jsontext.Value `json:"file_url"`
	Source    jsontext.Value `json:"source"`
	URL       jsontext.Value `json:"url"`
}

// request is a request of any protocol.
type request struct {
	Messages     jsontext.Value `json:"messages"`     // chat completions, messages
	Input        jsontext.Value `json:"input"`        // responses
	System       jsontext.Value `json:"system"`       // messages
	Instructions jsontext.Value `json:"instructions"` // responses
}

var (
	requestJSON = quickjson.For[request]()
	nodeJSON    = quickjson.For[node]()
)

// readRequest returns what a request says: its instructions, and its messages.
func readRequest(body []byte) (system []part, messages []node) {
	var in request
	if requestJSON.Unmarshal(body, &in) != nil {
		return nil, nil
	}
	if in.Input.Kind() == '"' {
		messages = []node{{Role: jsontext.Value(`"user"`), Content: in.Input}}
	}
	messages = append(append(messages, nodes(in.Messages)...), nodes(in.Input)...)
	return append(parts(in.System), parts(in.Instructions)...), messages
}

// readMessage reads a message, or an item of a responses request.
func readMessage(n *node) message {
	role, _ := text(n.Role)
	if role == "" {
		p := readPart(n)
		if role = "assistant"; p.kind == typeToolResult {
			role = "tool"
		}
		return message{role: role, parts: []part{p}}
	}
	m := message{role: role}
	if s, ok := text(n.Reasoning); ok && s != "" {
		m.parts = append(m.parts, textPart(typeReasoning, s))
	}
	said := parts(n.Content)
	if id, ok := text(n.ToolCall); ok {
		said = []part{{kind: typeToolResult, id: id, text: joined(said), size: len(joined(said))}}
	}
	m.parts = append(m.parts, said...)
	if s, ok := text(n.Refusal); ok && s != "" {
		m.parts = append(m.parts, textPart("refusal", s))
	}
	for _, call := range nodes(n.ToolCalls) {
		m.parts = append(m.parts, readPart(&call))
	}
	return m
}

// parts reads content: a text, or a list of parts.
func parts(v jsontext.Value) (out []part) {
	if s, ok := text(v); ok {
		return []part{textPart(typeText, s)}
	}
	for _, n := range nodes(v) {
		out = append(out, readPart(&n))
	}
	return out
}

// readPart reads a part of content, a tool call or an item of an answer.
func readPart(n *node) part {
	kind, _ := text(n.Type)
	switch kind {
	case "text", "input_text", "output_text":
		return textPart(typeText, first(n.Text))
	case "refusal":
		return textPart(kind, first(n.Refusal))
	case "thinking":
		return textPart(typeReasoning, first(n.Thinking))
	case "reasoning", "redacted_thinking":
		return textPart(typeReasoning, joined(parts(n.Summary)))
	case "summary_text":
		return textPart(typeText, first(n.Text))
	case "function", "tool_use", "function_call", "custom_tool_call":
		return readToolCall(n)
	case "tool_result", "function_call_output", "custom_tool_call_output":
		said := joined(append(parts(n.Content), parts(n.Output)...))
		return part{kind: typeToolResult, id: first(n.ToolUse, n.CallID), text: said, size: len(said)}
	case "image_url", "input_image", "image":
		return readMedia("image", n)
	case "input_audio":
		return readMedia("audio", n)
	case "file", "input_file", "document":
		return readMedia("document", n)
	}
	return part{kind: cmp.Or(kind, "unknown")}
}

func readToolCall(n *node) part {
	if len(n.Function) > 0 { // of a chat completion
		id := n.ID
		if n = object(n.Function); len(n.ID) == 0 {
			n.ID = id
		}
	}
	arguments, ok := text(n.Arguments)
	if !ok {
		arguments = string(n.Input)
	}
	arguments = plain(arguments)
	return part{kind: typeToolCall, id: first(n.CallID, n.ID), name: first(n.Name), text: arguments, size: len(arguments)}
}

// readMedia reads content by reference, of which the address is told without
// its query, or by value, of which nothing is told.
func readMedia(modality string, n *node) part {
	address := first(n.ImageURL, n.FileURL, object(n.ImageURL).URL, object(n.Source).URL)
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return part{kind: typeBlob, modality: modality}
	}
	u.RawQuery, u.Fragment, u.User = "", "", nil
	p := textPart(typeURI, u.String())
	p.modality = modality
	return p
}

// plain is JSON whose strings have no escapes that they could do without, so
// that what is secret can be known by its form. What is no JSON stays as it is.
func plain(s string) string {
	v := jsontext.Value(s)
	if v.Format(jsontext.PreserveRawStrings(false), jsontext.AllowDuplicateNames(true)) != nil {
		return s
	}
	return string(v)
}

// joined are the texts of parts.
func joined(in []part) string {
	var out []string
	for _, p := range in {
		if p.text != "" {
			out = append(out, p.text)
		}
	}
	return strings.Join(out, "\n")
}

// text reads a string.
func text(v jsontext.Value) (s string, ok bool) {
	if v.Kind() != '"' {
		return "", false
	}
	s, err := quickjson.String(v)
	return s, err == nil
}

// first reads the first of the values that is a string.
func first(values ...jsontext.Value) string {
	for _, v := range values {
		if s, ok := text(v); ok {
			return s
		}
	}
	return ""
}

func nodes(v jsontext.Value) (out []node) {
	if v.Kind() != '[' || nodeJSON.UnmarshalList(v, &out) != nil {
		return nil
	}
	return out
}

// object reads an object; what is none has no members.
func object(v jsontext.Value) *node {
	n := new(node)
	if v.Kind() != '{' || nodeJSON.Unmarshal(v, n) != nil {
		return new(node)
	}
	return n
}
