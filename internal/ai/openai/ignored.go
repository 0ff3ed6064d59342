package openai

import "github.com/citoroute/citoroute/internal/ai/chat"

// bare says that a message has nothing beside its role, its content and perhaps
// a cache mark.
func (m *message) bare() bool {
	return m.Name == "" && m.Refusal == nil && m.ToolCalls == nil && m.FunctionCall == nil && m.ToolCallID == "" &&
		m.ReasoningContent == nil && m.ReasoningDetails == nil && !m.IsError && m.Audio == nil && m.Rest == nil
}

// ignore notes what a message has that no other provider knows, or that its role
// does not have. The name of a tool is that of the call which it answers.
func (t *transcript) ignore(m *message) error {
	assistant, result := m.Role == "assistant", m.Role == "tool" || m.Role == "function"
	t.out.IgnoreIf(m.Name != "" && !result, "name") // nobody else tells speakers of a role apart
	t.out.IgnoreIf(m.ToolCallID != "" && m.Role != "tool", "messages.tool_call_id")
	t.out.IgnoreIf(m.IsError && !result, "messages.is_error")
	if !assistant {
		t.out.IgnoreIf(value(m.Refusal) != "", "messages.refusal")
		t.out.IgnoreIf(len(m.ToolCalls) > 0, "messages.tool_calls")
		t.out.IgnoreIf(m.FunctionCall != nil, "messages.function_call")
		t.out.IgnoreIf(value(m.ReasoningContent) != "", "messages.reasoning_content")
		t.out.IgnoreIf(len(m.ReasoningDetails) > 0, "messages.reasoning_details")
		t.out.IgnoreIf(present(m.Audio) != nil, "messages.audio")
	}
	for _, r := range m.ReasoningDetails {
		t.out.IgnoreIf(r.Type != reasoningText && r.Type != reasoningEncrypted, "messages.reasoning_details")
	}
	for i := range m.ToolCalls {
		if err := m.ToolCalls[i].ignore(t.out); err != nil {
			return err
		}
	}
	if m.FunctionCall != nil {
		if err := t.out.IgnoreMembers("messages.function_call", m.FunctionCall.Rest); err != nil {
			return err
		}
	}
	return t.out.IgnoreMembers("messages", m.Rest)
}

func (c *toolCall) ignore(out *chat.Request) error {
	if c.Function != nil {
		if err := out.IgnoreMembers("tool_calls.function", c.Function.Rest); err != nil {
			return err
		}
	}
	return out.IgnoreMembers("tool_calls", c.Rest)
}

// ignore notes what a part has that no other provider knows, or that its type
// does not have.
func (p *part) ignore(out *chat.Request) error {
	text := p.Type == "text" || p.Type == "input_text" || p.Type == "output_text"
	out.IgnoreIf(p.Text != "" && !text, p.Type+".text")
	out.IgnoreIf(p.Refusal != "" && p.Type != "refusal", p.Type+".refusal")
	switch u := p.ImageURL; {
	case u == nil:
	case p.Type != "image_url":
		out.Ignore(p.Type + ".image_url")
	default:
		out.IgnoreIf(u.Detail != "" && u.Detail != "auto", "image_url.detail")
		if err := out.IgnoreMembers("image_url", u.Rest); err != nil {
			return err
		}
	}
	switch f := p.File; {
	case f == nil:
	case p.Type != "file":
		out.Ignore(p.Type + ".file")
	default:
		out.IgnoreIf(f.FileID != "", "file.file_id") // file_data is what counts
		if err := out.IgnoreMembers("file", f.Rest); err != nil {
			return err
		}
	}
	return out.IgnoreMembers(p.Type, p.Rest)
}
