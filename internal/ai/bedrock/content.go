package bedrock

import (
	"path"
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

func (b *builder) messages() error {
	system, turns := b.in.System, b.in.Turns
	if len(turns) == 0 { // Bedrock needs a message
		system, turns = nil, []chat.Turn{{Role: chat.User, Blocks: b.in.System}}
	}
	b.lists.Grow(len(turns), len(system)+len(b.out.System)+chat.BlocksOf(turns))
	front := b.lists.Blocks(len(system) + len(b.out.System))
	for i := range system {
		front = b.appendMarked(front, block{Text: &system[i].Text}, &system[i])
	}
	b.out.System = append(front, b.out.System...)
	b.out.Messages = b.lists.Turns()
	for i, t := range turns {
		m := message{Role: "user", Content: b.lists.Blocks(len(t.Blocks))}
		if t.Role == chat.Assistant {
			m.Role = "assistant"
		}
		for i := range t.Blocks {
			out, ok, err := b.block(&t.Blocks[i])
			if err != nil {
				return err
			}
			if ok {
				m.Content = b.appendMarked(m.Content, out, &t.Blocks[i])
			}
		}
		finishContent(&m, t.Role == chat.Assistant && i == len(turns)-1)
		b.say(m)
	}
	if len(b.out.Messages) == 0 {
		return chat.Invalid("messages", "hold nothing that this provider takes")
	}
	return nil
}

// say adds a message. Where nothing was left of the turn before it, it goes on
// from the one before that: roles must alternate.
func (b *builder) say(m message) {
	n := len(b.out.Messages)
	switch {
	case len(m.Content) == 0:
	case n > 0 && b.out.Messages[n-1].Role == m.Role:
		b.out.Messages[n-1].Content = append(b.out.Messages[n-1].Content, m.Content...)
	default:
		b.out.Messages = append(b.out.Messages, m)
	}
}

// finishContent makes a message's content what Bedrock takes: a document needs
// text beside it, and the text to go on from must not end in white space.
func finishContent(m *message, prefill bool) {
	text, document := false, false
	for _, c := range m.Content {
		text = text || c.Text != nil
		document = document || c.Document != nil
	}
	if document && !text {
		dot := "."
		m.Content = append(m.Content, block{Text: &dot})
	}
	last := len(m.Content) - 1
	if last > 0 && m.Content[last].CachePoint != nil {
		last--
	}
	if prefill && last >= 0 && m.Content[last].Text != nil {
		trimmed := strings.TrimRight(*m.Content[last].Text, " \t\r\n")
		m.Content[last].Text = &trimmed
	}
}

// appendMarked appends a block, and a cache point behind one that asks for it.
func (b *builder) appendMarked(dst []block, out block, in *chat.Block) []block {
	dst = append(dst, out)
	if out.ReasoningContent != nil {
		return dst
	}
	if point := b.cachePoint(in.Cache, in.Kind == chat.ToolResult); point != nil {
		dst = append(dst, block{CachePoint: point})
	}
	return dst
}

// block converts one block; ok is false for a thought without the proof that
// the provider wants to see, and for every thought where the model takes none.
func (b *builder) block(in *chat.Block) (out block, ok bool, err error) {
	switch in.Kind {
	case chat.Text:
		return block{Text: &in.Text}, true, nil
	case chat.Image, chat.Document:
		out, err = b.media(in)
		return out, true, err
	case chat.ToolUse:
		return block{ToolUse: &toolUse{ToolUseID: chat.Identifier(in.ID), Name: b.wire.Names.Wire(in.Name), Input: in.Input}}, true, nil
	case chat.ToolResult:
		out, err = b.result(in)
		return out, true, err
	case chat.Thinking:
		return block{ReasoningContent: &reasoning{ReasoningText: &reasoningText{in.Text, in.Signature}}}, in.Signature != "" && b.remembers(), nil
	case chat.RedactedThinking:
		return block{ReasoningContent: &reasoning{RedactedContent: in.Text}}, b.remembers(), nil
	}
	return out, false, nil
}

func (b *builder) result(in *chat.Block) (block, error) {
	r := &result{ToolUseID: chat.Identifier(in.ID), Content: []block{}}
	for i := range in.Content {
		out, ok, err := b.block(&in.Content[i])
		if err != nil {
			return block{}, err
		}
		if ok {
			r.Content = append(r.Content, out)
		}
	}
	if in.Failed {
		if b.can.Claude || isNova(b.wire.Model) {
			r.Status = "error"
		} else {
			b.wire.Drop("is_error")
		}
	}
	return block{ToolResult: r}, nil
}

// formats are Bedrock's names of media types.
var formats = map[string]string{
	"image/png":          "png",
	"image/jpeg":         "jpeg",
	"image/jpg":          "jpeg",
	"image/gif":          "gif",
	"image/webp":         "webp",
	"application/pdf":    "pdf",
	"text/csv":           "csv",
	"application/msword": "doc",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
	"application/vnd.ms-excel": "xls",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
	"text/html":     "html",
	"text/plain":    "txt",
	"text/markdown": "md",
}

// formatOfName is the format that the end of a file's name shows; empty: none
// that Bedrock knows.
func formatOfName(name string) string {
	switch ext := strings.TrimPrefix(strings.ToLower(path.Ext(name)), "."); ext {
	case "jpg":
		return "jpeg"
	case "htm":
		return "html"
	case "png", "jpeg", "gif", "webp", "pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md":
		return ext
	}
	return ""
}

func isImage(format string) bool {
	return format == "png" || format == "jpeg" || format == "gif" || format == "webp"
}

// media converts an image or a document. Of what is in S3 only the name shows
// which of them it is.
func (b *builder) media(in *chat.Block) (block, error) {
	m := in.Media
	format, src := formats[m.Type], &source{Bytes: m.Data}
	if format == "" {
		format = formatOfName(m.Name)
	}
	if m.URL != "" {
		if !strings.HasPrefix(m.URL, "s3://") {
			return block{}, chat.Unsupported("messages", "this provider takes images and documents as data, not as a URL")
		}
		format, src = formatOfName(m.URL), &source{S3Location: &s3Location{m.URL}}
	}
	switch {
	case format == "" && m.URL != "":
		return block{}, chat.Unsupported("messages", "the name of what is in S3 must end in a format that this provider takes, such as .png or .pdf")
	case format == "":
		return block{}, chat.Unsupported("messages", "%q is no type of image or document that this provider takes", m.Type)
	case isImage(format):
		return block{Image: &image{Format: format, Source: src}}, nil
	}
	return block{Document: &document{Name: b.documentName(m.Name), Format: format, Source: src}}, nil
}

// documentName makes a title what Bedrock takes: letters, digits, single
// spaces, hyphens, parentheses and square brackets; and unique.
func (b *builder) documentName(title string) string {
	clean := strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-()[]", r) {
			return r
		}
		return ' '
	}, title)), " ")
	if len(clean) > 180 {
		clean = strings.TrimSpace(clean[:180])
	}
	if clean == "" {
		clean = "document"
	}
	name := clean
	for n := 2; b.documents[name]; n++ {
		name = clean + " (" + strconv.Itoa(n) + ")"
	}
	if b.documents == nil {
		b.documents = map[string]bool{}
	}
	b.documents[name] = true
	return name
}
