package anthropic

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// clientRequest is the body of POST /v1/messages as a client may send it:
// system and content may be strings.
type clientRequest struct {
	Model         string          `json:"model"`
	MaxTokens     *int64          `json:"max_tokens"`
	System        jsontext.Value  `json:"system"`
	Messages      []clientMessage `json:"messages"`
	Tools         []clientTool    `json:"tools"`
	ToolChoice    *toolChoice     `json:"tool_choice"`
	Temperature   *float64        `json:"temperature"`
	TopP          *float64        `json:"top_p"`
	TopK          *int64          `json:"top_k"`
	StopSequences []string        `json:"stop_sequences"`
	Thinking      jsontext.Value  `json:"thinking"`
	OutputConfig  *clientOutput   `json:"output_config"`
	Metadata      *clientMetadata `json:"metadata"`
	ServiceTier   string          `json:"service_tier"`
	Stream        bool            `json:"stream"`
	Rest          jsontext.Value  `json:",embed"`
}

type clientMessage struct {
	Role    string         `json:"role"`
	Content jsontext.Value `json:"content"`
	Rest    jsontext.Value `json:",embed"`
}

// Parse reads a client's request into out, which is empty, for a provider that
// speaks another protocol. The error is a *chat.Error that names the parameter.
func Parse(body []byte, out *chat.Request) error {
	var in clientRequest
	if err := json.Unmarshal(body, &in); err != nil {
		return chat.BadJSON(err)
	}
	out.Model, out.Stop, out.Stream, out.IncludeUsage = in.Model, in.StopSequences, in.Stream, true
	out.Temperature, out.TopP, out.TopK = in.Temperature, in.TopP, in.TopK
	if in.MaxTokens == nil || *in.MaxTokens < 1 {
		return chat.Invalid("max_tokens", "is required and must be 1 or more")
	}
	out.MaxTokens = *in.MaxTokens
	if t := in.Temperature; t != nil && (*t < 0 || *t > 1) {
		return chat.Invalid("temperature", "must be from 0 to 1, not %v", *t)
	}
	if err := parseService(&in, out); err != nil {
		return err
	}
	if err := chat.CheckEffort("output_config.effort", out.Effort); err != nil {
		return err
	}
	if err := parseTools(&in, out); err != nil {
		return err
	}
	if err := parseMessages(&in, out); err != nil {
		return err
	}
	if err := parseRest(in.Rest, out); err != nil {
		return err
	}
	slices.Sort(out.Ignored)
	return nil
}

func parseService(in *clientRequest, out *chat.Request) error {
	switch in.Thinking.Kind() {
	case '{':
		out.Thinking = in.Thinking
	case 'n', 0: // 0: there is none
	default:
		return chat.Invalid("thinking", "must be an object")
	}
	switch in.ServiceTier {
	case "auto":
		out.ServiceTier = "auto"
	case "standard_only":
		out.ServiceTier = "default"
	case "":
	default:
		return chat.Invalid("service_tier", "%q is not one of auto, standard_only", in.ServiceTier)
	}
	if c := in.OutputConfig; c != nil {
		if c.Effort != "" {
			out.Effort = c.Effort
		}
		switch f := c.Format; {
		case f == nil:
		case f.Type != "json_schema":
			return chat.Invalid("output_config.format.type", "%q is not json_schema", f.Type)
		case f.Schema.Kind() != '{':
			return chat.Invalid("output_config.format.schema", "must be an object")
		default:
			out.Format = chat.Format{Kind: chat.FormatSchema, Name: "answer", Schema: f.Schema}
		}
		if err := ignore(out, "output_config", c.Rest); err != nil {
			return err
		}
	}
	if in.Metadata != nil {
		out.User = in.Metadata.UserID
		return ignore(out, "metadata", in.Metadata.Rest)
	}
	return nil
}

func parseRest(rest jsontext.Value, out *chat.Request) error {
	if len(rest) == 0 {
		return nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(rest, &members); err != nil {
		return chat.BadJSON(err)
	}
	for name, v := range members {
		switch {
		case v.Kind() == 'n', name == "mcp_servers" && string(v) == "[]":
		case name == "mcp_servers":
			return chat.Unsupported(name, "is not possible with this provider")
		default:
			if err := out.TakeUnknown(name, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func parseTools(in *clientRequest, out *chat.Request) error {
	for i, t := range in.Tools {
		if t.Type != "" && t.Type != "custom" {
			return chat.Unsupported("tools["+strconv.Itoa(i)+"].type", "%q is not possible with this provider, only custom is", t.Type)
		}
		if k := t.InputSchema.Kind(); k != '{' && k != 0 { // 0: there is none
			return chat.Invalid("tools["+strconv.Itoa(i)+"].input_schema", "must be an object")
		}
		out.Tools = append(out.Tools, chat.Tool{Name: t.Name, Description: t.Description, Schema: t.InputSchema, Strict: t.Strict, Cache: t.CacheControl})
		if err := ignore(out, "tools", t.Rest); err != nil {
			return err
		}
	}
	c := in.ToolChoice
	if c == nil {
		return nil
	}
	if c.DisableParallelToolUse {
		off := false
		out.ParallelTools = &off
	}
	switch c.Type {
	case "auto":
		out.ToolChoice.Mode = chat.ToolsAuto
	case "any":
		out.ToolChoice.Mode = chat.ToolsRequired
	case "none":
		out.ToolChoice.Mode = chat.ToolsNone
	case "tool":
		out.ToolChoice.Mode, out.ToolChoice.Name = chat.ToolsNamed, c.Name
	default:
		return chat.Invalid("tool_choice.type", "%q is not one of auto, any, tool, none", c.Type)
	}
	return nil
}

func parseMessages(in *clientRequest, out *chat.Request) error {
	if err := parseSystem("system", in.System, out); err != nil {
		return err
	}
	if len(in.Messages) == 0 {
		return chat.Invalid("messages", "must not be empty")
	}
	for i, m := range in.Messages {
		at := "messages[" + strconv.Itoa(i) + "]"
		if err := ignore(out, "messages", m.Rest); err != nil {
			return err
		}
		if m.Role == "system" { // of Anthropic's newest models alone: others have one place for it
			if err := parseSystem(at+".content", m.Content, out); err != nil {
				return err
			}
			continue
		}
		role, ok := roles[m.Role]
		if !ok {
			return chat.Invalid(at+".role", "%q is not one of user, assistant, system", m.Role)
		}
		blocks, err := contentOf(at+".content", m.Content, out)
		if err != nil {
			return err
		}
		out.Say(role, blocks...)
	}
	if len(out.System) == 0 && len(out.Turns) == 0 {
		return chat.Invalid("messages", "hold no content")
	}
	return nil
}

// roles are the speakers of turns.
var roles = map[string]chat.Role{"user": chat.User, "assistant": chat.Assistant}

// parseSystem reads instructions, which are text.
func parseSystem(at string, v jsontext.Value, out *chat.Request) error {
	blocks, err := contentOf(at, v, out)
	if err != nil {
		return err
	}
	for i := range blocks {
		if blocks[i].Kind != chat.Text {
			return chat.Invalid(at, "must be text")
		}
	}
	out.System = append(out.System, blocks...)
	return nil
}

// contentOf reads a string or a list of blocks. What out ignores of them is put
// there.
func contentOf(at string, v jsontext.Value, out *chat.Request) ([]chat.Block, error) {
	switch {
	case len(v) == 0 || v.Kind() == 'n':
		return nil, nil
	case v.Kind() == '"':
		var s string
		if err := json.Unmarshal(v, &s); err != nil {
			return nil, chat.BadJSON(err)
		}
		if strings.TrimSpace(s) == "" {
			return nil, nil
		}
		return []chat.Block{{Kind: chat.Text, Text: s}}, nil
	}
	var list []clientBlock
	if err := json.Unmarshal(v, &list); err != nil {
		return nil, oddBlock(at, v)
	}
	var blocks []chat.Block
	for i := range list {
		b, err := parseBlock(at+"["+strconv.Itoa(i)+"]", &list[i].block, out)
		if err != nil {
			return nil, err
		}
		if err := ignore(out, list[i].Type, list[i].Rest); err != nil {
			return nil, err
		}
		if b.Kind == chat.Text && strings.TrimSpace(b.Text) == "" {
			continue
		}
		if mark := list[i].CacheControl; mark != nil {
			b.Cache = mark
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// oddBlock is the error for a list with a block that has another form than those
// that we know: of its type, where only Anthropic has that.
func oddBlock(at string, v jsontext.Value) error {
	var list []jsontext.Value
	if err := json.Unmarshal(v, &list); err != nil {
		return chat.Invalid(at, "must be a string or a list of content blocks")
	}
	for i, raw := range list {
		var typed struct {
			Type string `json:"type"`
		}
		at := at + "[" + strconv.Itoa(i) + "]"
		if json.Unmarshal(raw, &block{}) == nil {
			continue
		}
		if json.Unmarshal(raw, &typed) == nil && !slices.Contains(blockTypes, typed.Type) {
			return chat.Unsupported(at+".type", "%q is not possible with this provider", typed.Type)
		}
		return chat.Invalid(at, "has a member of the wrong type")
	}
	return nil
}

func parseBlock(at string, in *block, out *chat.Request) (chat.Block, error) {
	switch in.Type {
	case typeText:
		return chat.Block{Kind: chat.Text, Text: value(in.Text)}, nil
	case typeThinking:
		return chat.Block{Kind: chat.Thinking, Text: value(in.Thinking), Signature: value(in.Signature)}, nil
	case typeRedactedThinking:
		return chat.Block{Kind: chat.RedactedThinking, Text: in.Data}, nil
	case typeToolUse:
		input := in.Input
		if input.Kind() != '{' {
			return chat.Block{}, chat.Invalid(at+".input", "must be an object")
		}
		return chat.Block{Kind: chat.ToolUse, ID: in.ID, Name: in.Name, Input: input}, nil
	case typeToolResult:
		content, err := contentOf(at+".content", in.Content, out)
		result := chat.Block{Kind: chat.ToolResult, ID: in.ToolUseID, Content: content, Failed: in.IsError}
		for i := range content { // what is cached is the result as a whole
			if content[i].Cache != nil {
				result.Cache, content[i].Cache = content[i].Cache, nil
			}
		}
		return result, err
	case typeImage, typeDocument:
		return parseMedia(at, in)
	}
	return chat.Block{}, chat.Unsupported(at+".type", "%q is not possible with this provider", in.Type)
}

func parseMedia(at string, in *block) (chat.Block, error) {
	out := chat.Block{Kind: chat.Image}
	if in.Type == typeDocument {
		out.Kind = chat.Document
	}
	if in.Source == nil {
		return out, chat.Invalid(at+".source", "is required")
	}
	out.Media = chat.Media{Type: strings.ToLower(in.Source.MediaType), Data: in.Source.Data, Name: in.Title}
	switch in.Source.Type {
	case "base64":
		return out, nil
	case "url":
		out.Media.URL = in.Source.URL
		return out, nil
	case "text":
		out.Media.Data = encodeText(in.Source.Data)
		return out, nil
	}
	return out, chat.Unsupported(at+".source.type", "%q is not possible with this provider", in.Source.Type)
}
