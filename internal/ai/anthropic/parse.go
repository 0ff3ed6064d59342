package anthropic

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"slices"
	"strconv"

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
	out.Model, out.Stop, out.Stream = in.Model, in.StopSequences, in.Stream
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
		out.Effort = c.Effort
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
		if t.Name == "" {
			return chat.Invalid("tools["+strconv.Itoa(i)+"].name", "is required")
		}
		if k := t.InputSchema.Kind(); k != '{' && k != 0 { // 0: there is none
			return chat.Invalid("tools["+strconv.Itoa(i)+"].input_schema", "must be an object")
		}
		out.Tools = append(out.Tools, chat.Tool{Name: t.Name, Description: t.Description, Schema: t.InputSchema, Strict: t.Strict, Cache: present(t.CacheControl)})
		if err := ignore(out, "tools", t.Rest); err != nil {
			return err
		}
	}
	if in.ToolChoice == nil {
		return nil
	}
	return parseToolChoice(in.ToolChoice, out)
}

func parseToolChoice(c *toolChoice, out *chat.Request) error {
	if len(out.Tools) == 0 && c.Type != "none" {
		return chat.Invalid("tool_choice", "is only allowed when tools are given")
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
		if !slices.ContainsFunc(out.Tools, func(t chat.Tool) bool { return t.Name == c.Name }) {
			return chat.Invalid("tool_choice.name", "%q is not among the tools", c.Name)
		}
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
	called := map[string]bool{}
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
		if err := answersCalls(at+".content", blocks, called); err != nil {
			return err
		}
		out.Say(role, blocks...)
	}
	if len(out.System) == 0 && len(out.Turns) == 0 {
		return chat.Invalid("messages", "hold no content")
	}
	return nil
}

// answersCalls says whether the results among blocks are of calls before them.
// called are the identifiers of these, of which it adds those in blocks.
func answersCalls(at string, blocks []chat.Block, called map[string]bool) error {
	for i := range blocks {
		switch b := &blocks[i]; b.Kind {
		case chat.ToolUse:
			called[b.ID] = true
		case chat.ToolResult:
			if !called[b.ID] {
				return chat.Invalid(at, "%q is the id of no tool call before it", b.ID)
			}
		default:
		}
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
