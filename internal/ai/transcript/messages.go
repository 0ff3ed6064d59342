package transcript

import "github.com/citoroute/citoroute/internal/ai/chat"

// Types of parts, by the conventions.
const (
	typeText       = "text"
	typeReasoning  = "reasoning"
	typeToolCall   = "tool_call"
	typeToolResult = "tool_call_response"
	typeURI        = "uri"
	typeBlob       = "blob"
)

// message is what one side said.
type message struct {
	role   string
	parts  []part
	finish string // of an answer
}

// part is a piece of a message.
type part struct {
	kind string
	// id is a tool call's, name the tool's.
	id, name string
	// text is what is said: a text, the arguments of a tool or its answer. size is
	// how long it is, where text is only its beginning.
	text string
	size int
	// modality is image, audio or document.
	modality string
}

func textPart(kind, text string) part { return part{kind: kind, text: text, size: len(text)} }

// appendTo appends m as the conventions write messages.
func (m *message) appendTo(dst []byte, write *writer) []byte {
	dst = chat.AppendQuote(append(dst, `{"role":`...), m.role)
	dst = append(dst, `,"parts":[`...)
	for i := range m.parts {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = m.parts[i].appendTo(dst, write)
	}
	dst = append(dst, ']')
	if m.finish != "" {
		dst = chat.AppendQuote(append(dst, `,"finish_reason":`...), m.finish)
	}
	return append(dst, '}')
}

func (p *part) appendTo(dst []byte, write *writer) []byte {
	dst = chat.AppendQuote(append(dst, `{"type":`...), write.name(p.kind))
	member := func(name, value string) {
		if value != "" {
			dst = append(append(append(dst, `,"`...), name...), `":`...)
			dst = chat.AppendQuote(dst, value)
		}
	}
	member("id", write.name(p.id))
	member("name", write.name(p.name))
	member("modality", p.modality)
	switch p.kind {
	case typeToolCall:
		member("arguments", write.text(p))
	case typeToolResult:
		member("response", write.text(p))
	case typeURI:
		member("uri", write.text(p))
	case typeBlob:
		member("content", "[redacted: binary]")
	default:
		member("content", write.text(p))
	}
	return append(dst, '}')
}

// writer writes texts without what is secret.
type writer struct {
	*redactor
	known []string // secrets
}

func (w *writer) text(p *part) string { return w.redactor.text(p.text, p.size, w.known) }

// maxName is how long a name or identifier is that is put down, in bytes.
const maxName = 256

func (w *writer) name(s string) string {
	if len(s) > maxName {
		return "[redacted: too long]"
	}
	return w.redactor.text(s, len(s), w.known)
}
