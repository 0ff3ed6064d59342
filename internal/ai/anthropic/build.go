package anthropic

import (
	"encoding/base64"
	"encoding/json/jsontext"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/claude"
)

// defaultMaxTokens is the limit where nobody sets one: Anthropic needs one.
const defaultMaxTokens = 4096

// Path is where messages are asked for, below the base URL
// (https://api.anthropic.com).
const Path = "/v1/messages"

// TokensPath is where the tokens of a request are counted.
const TokensPath = Path + "/count_tokens"

// Header returns the fields of every request to Anthropic, credentials apart.
// They are the same memory each time, and not to be changed.
func Header() []chat.Field { return header }

var header = []chat.Field{{Name: "anthropic-version", Value: Version}, {Name: "content-type", Value: "application/json"}}

// Build writes the request for Anthropic into w. The error is a *chat.Error for
// what Anthropic cannot express and must not be dropped.
func Build(w *chat.Wire, r *chat.Request, o chat.Options) error {
	model := o.ModelFor(r)
	*w = chat.Wire{
		Path:    Path,
		Header:  Header(),
		Dropped: r.Foreign(),
		Model:   model,
	}
	b := builders.Get().(*builder) //nolint:forcetypeassert // the pool holds nothing else.
	defer b.free()
	b.in, b.wire, b.can = r, w, claude.AbilitiesOf(model)
	b.out.Model, b.out.Stream = model, r.Stream
	b.settings(o)
	b.tools()
	b.format()
	b.service()
	if err := b.messages(); err != nil {
		return err
	}
	var err error
	w.Body, err = requestJSON.MarshalInto(o.Memory, &b.out, r.Source)
	return err
}

type builder struct {
	in       *chat.Request
	out      request
	wire     *chat.Wire
	can      claude.Abilities
	thinking bool
	// What the messages and their blocks are put into.
	lists chat.Lists[message, block]
}

// builders are those that nobody uses.
var builders = sync.Pool{New: func() any { return new(builder) }}

func (b *builder) free() {
	b.lists.Reset()
	*b = builder{lists: b.lists}
	builders.Put(b)
}

// settings fits limits, sampling and reasoning to the model.
func (b *builder) settings(o chat.Options) {
	limit := o.MaxTokens
	if limit == 0 {
		limit = defaultMaxTokens
	}
	s := claude.Settle(b.in, b.can, limit)
	b.out.MaxTokens, b.out.Temperature, b.out.TopP, b.out.TopK = s.MaxTokens, s.Temperature, s.TopP, s.TopK
	b.out.Thinking, b.thinking = s.Thinking, s.Thinks
	if s.Effort != "" {
		b.out.OutputConfig = &outputConfig{Effort: s.Effort}
	}
	b.wire.Dropped = append(b.wire.Dropped, s.Dropped...)
	for _, stop := range b.in.Stop {
		if strings.TrimSpace(stop) == "" { // Anthropic refuses it
			b.wire.Drop("stop")
			continue
		}
		b.out.StopSequences = append(b.out.StopSequences, stop)
	}
}

func (b *builder) tools() {
	for _, t := range b.in.AllowedTools() {
		b.out.Tools = append(b.out.Tools, tool{
			Name:         b.wire.Names.Wire(t.Name),
			Description:  t.Description,
			InputSchema:  chat.ObjectSchema(t.Schema),
			Strict:       b.strict(t.Strict),
			CacheControl: t.Cache,
		})
	}
	if len(b.out.Tools) == 0 {
		return
	}
	single := b.in.ParallelTools != nil && !*b.in.ParallelTools
	choice := toolChoice{DisableParallelToolUse: single}
	switch b.in.ToolChoice.Mode {
	case chat.ToolsNone:
		choice = toolChoice{Type: "none"}
	case chat.ToolsAuto:
		choice.Type = "auto"
	case chat.ToolsRequired:
		choice.Type = "any"
	case chat.ToolsNamed:
		choice.Type, choice.Name = "tool", b.wire.Names.Wire(b.in.ToolChoice.Name)
	default:
		if !single {
			return
		}
		choice.Type = "auto"
	}
	if b.thinking && (choice.Type == "any" || choice.Type == "tool") {
		choice.Type, choice.Name = "auto", "" // a thinking model cannot be forced
		b.wire.Drop("tool_choice")
	}
	b.out.ToolChoice = &choice
}

// strict says whether a tool is held to its schema, for models that can be;
// clients set it for every tool.
func (b *builder) strict(wanted *bool) *bool {
	if b.can.Schema {
		return wanted
	}
	if wanted != nil && *wanted && !slices.Contains(b.wire.Dropped, "strict") {
		b.wire.Drop("strict")
	}
	return nil
}

// formatTool is the name of the tool that a model without structured outputs
// is made to call with its answer.
const formatTool = "structured_answer"

func (b *builder) format() {
	f := b.in.Format
	switch {
	case f.Kind == chat.FormatJSON:
		text := "Answer with one JSON object and nothing else."
		b.out.System = append(b.out.System, block{Type: typeText, Text: &text})
	case f.Kind != chat.FormatSchema:
	case b.can.Schema:
		if b.out.OutputConfig == nil {
			b.out.OutputConfig = &outputConfig{}
		}
		b.out.OutputConfig.Format = &outputFormat{Type: "json_schema", Schema: f.Schema}
	case len(b.out.Tools) > 0 || b.thinking:
		b.wire.Drop("response_format") // the model can be forced to one thing only
	default:
		b.wire.FormatTool = formatTool
		b.out.Tools = []tool{{Name: formatTool, Description: f.Description, InputSchema: chat.ObjectSchema(f.Schema)}}
		b.out.ToolChoice = &toolChoice{Type: "tool", Name: formatTool}
	}
}

func (b *builder) service() {
	if b.in.User != "" {
		b.out.Metadata = &metadata{UserID: userID(b.in.User)}
	}
	switch b.in.ServiceTier {
	case "":
	case "auto":
		b.out.ServiceTier = "auto"
	case "default":
		b.out.ServiceTier = "standard_only"
	default:
		b.wire.Drop("service_tier")
	}
}

// maxUserID is the longest identifier of a user that Anthropic takes, in bytes.
const maxUserID = 256

// userID returns a name that Anthropic takes for a user: it refuses what looks
// like an address of mail or a telephone number.
func userID(user string) string {
	if len(user) > maxUserID || strings.ContainsAny(user, "@+") {
		return chat.Identifier(user)
	}
	return user
}

func (b *builder) messages() error {
	system, turns := b.in.System, b.in.Turns
	if len(turns) == 0 { // Anthropic needs a message
		system, turns = nil, []chat.Turn{{Role: chat.User, Blocks: b.in.System}}
	}
	b.lists.Grow(len(turns), len(system)+len(b.out.System)+chat.BlocksOf(turns))
	front := b.lists.Blocks(len(system) + len(b.out.System))
	for i := range system {
		front = append(front, block{Type: typeText, Text: &system[i].Text, CacheControl: system[i].Cache})
	}
	b.out.System = append(front, b.out.System...)
	b.out.Messages = b.lists.Turns()
	for i, t := range turns {
		m := message{Role: "user", Content: b.lists.Blocks(len(t.Blocks))}
		if t.Role == chat.Assistant {
			m.Role = "assistant"
		}
		for i := range t.Blocks {
			n := len(m.Content)
			m.Content = m.Content[:n+1]
			ok, err := b.block(&t.Blocks[i], &m.Content[n])
			if err != nil {
				return err
			}
			if !ok {
				m.Content[n] = block{}
				m.Content = m.Content[:n]
			}
		}
		if i == len(turns)-1 && t.Role == chat.Assistant {
			trimPrefill(m.Content)
		}
		b.say(m)
	}
	if len(b.out.Messages) == 0 {
		return chat.Invalid("messages", "hold nothing that this provider takes")
	}
	return nil
}

// say adds a message. Where nothing was left of the turn before it, it goes on
// from the one before that, so that roles alternate.
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

// trimPrefill removes trailing white space from the text that the model is to
// go on from: Anthropic refuses it.
func trimPrefill(content []block) {
	if n := len(content); n > 0 && content[n-1].Type == typeText {
		text := strings.TrimRight(*content[n-1].Text, " \t\r\n")
		content[n-1].Text = &text
	}
}

// block converts one block into out, which is empty; ok is false for one that
// Anthropic would not take and that says nothing without its proof.
func (b *builder) block(in *chat.Block, out *block) (ok bool, err error) {
	out.CacheControl = in.Cache
	switch in.Kind {
	case chat.Text:
		out.Type, out.Text = typeText, &in.Text
	case chat.Image, chat.Document:
		err = media(out, in)
	case chat.ToolUse:
		out.Type, out.ID, out.Name, out.Input = typeToolUse, chat.Identifier(in.ID), b.wire.Names.Wire(in.Name), in.Input
	case chat.ToolResult:
		out.Type, out.ToolUseID, out.IsError = typeToolResult, chat.Identifier(in.ID), in.Failed
		out.Content, err = b.resultContent(in.Content)
	case chat.Thinking:
		if in.Signature == "" {
			return false, nil
		}
		out.Type, out.Thinking, out.Signature, out.CacheControl = typeThinking, &in.Text, &in.Signature, nil
	case chat.RedactedThinking:
		out.Type, out.Data, out.CacheControl = typeRedactedThinking, in.Text, nil
	}
	return true, err
}

func (b *builder) resultContent(content []chat.Block) (jsontext.Value, error) {
	if len(content) == 0 {
		return nil, nil
	}
	blocks := make([]block, len(content))
	for i := range content {
		if _, err := b.block(&content[i], &blocks[i]); err != nil {
			return nil, err
		}
	}
	return chat.Marshal(blocks)
}

func media(out *block, in *chat.Block) error {
	m := in.Media
	out.Type = typeImage
	if in.Kind == chat.Document {
		out.Type, out.Title = typeDocument, m.Name
	}
	switch {
	case strings.HasPrefix(m.URL, "s3:"):
		return chat.Unsupported("messages", "an s3 URL is not possible with this provider")
	case m.URL != "":
		out.Source = &source{Type: "url", URL: m.URL}
	case m.Type == "text/plain":
		text, err := base64.StdEncoding.DecodeString(m.Data)
		if err != nil {
			return chat.Invalid("messages", "a document's base64 is not valid")
		}
		if !utf8.Valid(text) {
			return chat.Invalid("messages", "a document of plain text is not UTF-8")
		}
		out.Source = &source{Type: "text", MediaType: m.Type, Data: string(text)}
	case in.Kind == chat.Document && m.Type != "application/pdf":
		return chat.Unsupported("messages", "a document of type %s is not possible with this provider", m.Type)
	default:
		out.Source = &source{Type: "base64", MediaType: m.Type, Data: m.Data}
	}
	return nil
}
