package openai

import (
	"encoding/json/jsontext"
	"slices"
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/quickjson"
)

// transcript is the state of reading messages from front to back.
type transcript struct {
	out *chat.Request
	// called holds the identifiers of the tool calls so far; functions the
	// identifiers given to deprecated function calls that wait for a result.
	called    map[string]bool
	functions map[string][]string
}

func parseMessages(in *chatRequest, out *chat.Request) error {
	if len(in.Messages) == 0 {
		return chat.Invalid("messages", "must not be empty")
	}
	t := transcript{out: out}
	out.Grow(len(in.Messages))
	for i := range in.Messages {
		m := &in.Messages[i]
		if t.plain(m) {
			continue
		}
		if err := t.message("messages["+strconv.Itoa(i)+"]", m); err != nil {
			return err
		}
	}
	if len(out.System) == 0 && len(out.Turns) == 0 {
		return chat.Invalid("messages", "hold no content")
	}
	return nil
}

// plain reads a message that is nothing but text, as most are. It says false for
// any other.
func (t *transcript) plain(m *message) bool {
	system := m.Role == "system" || m.Role == "developer"
	if !system && m.Role != "user" || m.Content.Kind() != '"' || !m.bare() {
		return false
	}
	text := quickjson.Text(m.Content)
	if strings.TrimSpace(text) == "" {
		return true
	}
	if block := t.out.Text(text, present(m.CacheControl)); !system {
		t.out.Say(chat.User, block...)
	} else if t.out.System == nil {
		t.out.System = block
	} else {
		t.out.System = append(t.out.System, block...)
	}
	return true
}

func (t *transcript) message(at string, m *message) error {
	var blocks []chat.Block
	var err error
	if err := t.ignore(m); err != nil {
		return err
	}
	switch m.Role {
	case "system", "developer":
		blocks, err = t.textBlocks(at, m.Content)
		if blocks = cached(blocks, m.CacheControl); t.out.System == nil {
			t.out.System = blocks
		} else {
			t.out.System = append(t.out.System, blocks...)
		}
	case "user":
		blocks, err = t.contentBlocks(at, m.Content)
		t.out.Say(chat.User, cached(blocks, m.CacheControl)...)
	case "assistant":
		blocks, err = t.assistant(at, m)
		t.out.Say(chat.Assistant, cached(blocks, m.CacheControl)...)
	case "tool":
		if !t.called[m.ToolCallID] {
			return chat.Invalid(at+".tool_call_id", "%q is the id of no tool call before it", m.ToolCallID)
		}
		err = t.result(at, m, m.ToolCallID)
	case "function":
		waiting := t.functions[m.Name]
		if len(waiting) == 0 {
			return chat.Invalid(at+".name", "%q is the name of no function call before it", m.Name)
		}
		t.functions[m.Name] = waiting[1:]
		err = t.result(at, m, waiting[0])
	default:
		return chat.Invalid(at+".role", "%q is not one of system, developer, user, assistant, tool", m.Role)
	}
	return err
}

// cached puts a message's own cache mark on its last block.
func cached(blocks []chat.Block, mark jsontext.Value) []chat.Block {
	if mark = present(mark); mark != nil && len(blocks) > 0 {
		blocks[len(blocks)-1].Cache = mark
	}
	return blocks
}

func (t *transcript) result(at string, m *message, id string) error {
	content, err := t.contentBlocks(at, m.Content)
	if err != nil {
		return err
	}
	result := chat.Block{Kind: chat.ToolResult, ID: id, Content: content, Failed: m.IsError, Cache: present(m.CacheControl)}
	for i := range content {
		if result.Cache == nil {
			result.Cache = content[i].Cache
		}
		content[i].Cache = nil
	}
	t.out.Say(chat.User, result)
	return nil
}

func (t *transcript) assistant(at string, m *message) ([]chat.Block, error) {
	if present(m.Audio) != nil {
		return nil, chat.Unsupported(at+".audio", "audio is not possible with this provider")
	}
	blocks := reasoningBlocks(m)
	content, err := t.textBlocks(at, m.Content)
	if err != nil {
		return nil, err
	}
	blocks = append(blocks, content...)
	if m.Refusal != nil && strings.TrimSpace(*m.Refusal) != "" {
		blocks = append(blocks, chat.Block{Kind: chat.Text, Text: *m.Refusal})
	}
	for i, c := range m.ToolCalls {
		b, err := t.call(at+".tool_calls["+strconv.Itoa(i)+"]", &c)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, b)
	}
	if f := m.FunctionCall; f != nil {
		input, err := arguments(at+".function_call.arguments", f.Arguments)
		if err != nil {
			return nil, err
		}
		id := "call_" + strings.Trim(strings.TrimPrefix(at, "messages"), "[]")
		if t.functions == nil {
			t.functions = make(map[string][]string)
		}
		t.functions[f.Name] = append(t.functions[f.Name], id)
		blocks = append(blocks, chat.Block{Kind: chat.ToolUse, ID: id, Name: f.Name, Input: input})
	}
	return blocks, nil
}

func (t *transcript) call(at string, c *toolCall) (chat.Block, error) {
	switch {
	case c.Function == nil || c.Type != "" && c.Type != "function":
		return chat.Block{}, chat.Unsupported(at+".type", "only function is possible with this provider")
	case c.ID == "":
		return chat.Block{}, chat.Invalid(at+".id", "is required")
	case c.Function.Name == "":
		return chat.Block{}, chat.Invalid(at+".function.name", "is required")
	}
	input, err := arguments(at+".function.arguments", c.Function.Arguments)
	if err != nil {
		return chat.Block{}, err
	}
	if t.called == nil {
		t.called = make(map[string]bool)
	}
	t.called[c.ID] = true
	return chat.Block{Kind: chat.ToolUse, ID: c.ID, Name: c.Function.Name, Input: input, Cache: present(c.CacheControl)}, nil
}

// reasoningBlocks prefers the details, which prove what they say, to the text
// alone, which a provider will not take back.
func reasoningBlocks(m *message) []chat.Block {
	var blocks []chat.Block
	rest := unsaid(m)
	for _, r := range m.ReasoningDetails {
		switch r.Type {
		case reasoningText:
			text := r.Text
			if text == "" {
				text, rest = rest, ""
			}
			blocks = append(blocks, chat.Block{Kind: chat.Thinking, Text: text, Signature: r.Signature})
		case reasoningEncrypted:
			blocks = append(blocks, chat.Block{Kind: chat.RedactedThinking, Text: r.Data})
		}
	}
	if blocks == nil && m.ReasoningContent != nil && *m.ReasoningContent != "" {
		blocks = []chat.Block{{Kind: chat.Thinking, Text: *m.ReasoningContent}}
	}
	return blocks
}

// unsaid is the text of the first thought where no detail has it: a stream gives
// that and its signature apart.
func unsaid(m *message) string {
	text := value(m.ReasoningContent)
	for _, detail := range slices.Backward(m.ReasoningDetails) {
		var ok bool
		if text, ok = strings.CutSuffix(text, detail.Text); !ok {
			return ""
		}
	}
	return text
}

// arguments returns the argument object of a tool call, its bytes unchanged.
func arguments(at, s string) (jsontext.Value, error) {
	if strings.TrimSpace(s) == "" {
		return chat.EmptyObject(), nil
	}
	v := jsontext.Value(strings.TrimSpace(s))
	if v.Kind() != '{' || !v.IsValid(jsontext.AllowDuplicateNames(true)) {
		return nil, chat.Invalid(at, "must be a JSON object")
	}
	return v, nil
}

func parts(at string, content jsontext.Value) ([]part, error) {
	content = present(content)
	if content == nil {
		return nil, nil
	}
	var list []part
	if err := partJSON.UnmarshalList(content, &list); err != nil {
		return nil, chat.Invalid(at+".content", "must be a string or a list of content parts")
	}
	return list, nil
}

// textBlocks is the content of a role that can only speak text. Blank text is
// dropped: providers refuse it.
func (t *transcript) textBlocks(at string, content jsontext.Value) ([]chat.Block, error) {
	blocks, err := t.contentBlocks(at, content)
	if err != nil {
		return nil, err
	}
	for _, b := range blocks {
		if b.Kind != chat.Text {
			return nil, chat.Invalid(at+".content", "only text is possible for this role")
		}
	}
	return blocks, nil
}

func (t *transcript) contentBlocks(at string, content jsontext.Value) ([]chat.Block, error) {
	if content.Kind() == '"' {
		text, err := quickjson.String(content)
		if err != nil {
			return nil, chat.BadJSON(err)
		}
		if strings.TrimSpace(text) == "" {
			return nil, nil
		}
		return []chat.Block{{Kind: chat.Text, Text: text}}, nil
	}
	list, err := parts(at, content)
	if err != nil {
		return nil, err
	}
	var blocks []chat.Block
	for i := range list {
		b, err := block(at+".content["+strconv.Itoa(i)+"]", &list[i])
		if err != nil {
			return nil, err
		}
		if err := list[i].ignore(t.out); err != nil {
			return nil, err
		}
		if b.Kind == chat.Text && strings.TrimSpace(b.Text) == "" {
			continue
		}
		t.out.IgnoreIf(b.Kind == chat.Image && b.Media.Name != "", "file.filename")
		b.Cache = present(list[i].CacheControl)
		blocks = append(blocks, b)
	}
	return blocks, nil
}

func block(at string, p *part) (chat.Block, error) {
	switch p.Type {
	case "text", "input_text", "output_text":
		return chat.Block{Kind: chat.Text, Text: p.Text}, nil
	case "refusal":
		return chat.Block{Kind: chat.Text, Text: p.Refusal}, nil
	case "image_url":
		if p.ImageURL == nil {
			return chat.Block{}, chat.Invalid(at+".image_url", "is required")
		}
		return Media(at+".image_url.url", p.ImageURL.URL, "")
	case "file":
		if p.File == nil {
			return chat.Block{}, chat.Invalid(at+".file", "is required")
		}
		return File(at+".file", p.File.FileData, p.File.Filename)
	case "input_audio":
		return chat.Block{}, chat.Unsupported(at, "audio is not possible with this provider")
	}
	return chat.Block{}, chat.Invalid(at+".type", "%q is not one of text, image_url, file", p.Type)
}
