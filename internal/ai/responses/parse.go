package responses

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/openai"
)

// request is the body of POST /v1/responses.
type request struct {
	Model              string         `json:"model"`
	Input              jsontext.Value `json:"input"`
	Instructions       string         `json:"instructions"`
	MaxOutputTokens    *int64         `json:"max_output_tokens"`
	Temperature        *float64       `json:"temperature"`
	TopP               *float64       `json:"top_p"`
	Tools              []tool         `json:"tools"`
	ToolChoice         jsontext.Value `json:"tool_choice"`
	ParallelToolCalls  *bool          `json:"parallel_tool_calls"`
	Text               *text          `json:"text"`
	Reasoning          *reasoning     `json:"reasoning"`
	Stream             bool           `json:"stream"`
	PreviousResponseID string         `json:"previous_response_id"`
	Conversation       jsontext.Value `json:"conversation"`
	Background         bool           `json:"background"`
	User               string         `json:"user"`
	SafetyIdentifier   string         `json:"safety_identifier"`
	ServiceTier        string         `json:"service_tier"`
	Rest               jsontext.Value `json:",embed"`
}

type tool struct {
	Type        string         `json:"type"`
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Parameters  jsontext.Value `json:"parameters"`
	Strict      *bool          `json:"strict"`
	Rest        jsontext.Value `json:",embed"`
}

type text struct {
	Format *format        `json:"format"`
	Rest   jsontext.Value `json:",embed"`
}

type format struct {
	Type        string         `json:"type"`
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Schema      jsontext.Value `json:"schema"`
	Strict      *bool          `json:"strict"`
	Rest        jsontext.Value `json:",embed"`
}

type reasoning struct {
	Effort string         `json:"effort"`
	Rest   jsontext.Value `json:",embed"`
}

// item is an element of the input, of any type.
type item struct {
	Type             string         `json:"type"`
	Role             string         `json:"role"`
	Content          jsontext.Value `json:"content"`
	CallID           string         `json:"call_id"`
	Name             string         `json:"name"`
	Arguments        string         `json:"arguments"`
	Output           jsontext.Value `json:"output"`
	Summary          []part         `json:"summary"`
	EncryptedContent string         `json:"encrypted_content"`
	Rest             jsontext.Value `json:",embed"`
}

type part struct {
	Type     string         `json:"type"`
	Text     string         `json:"text"`
	Refusal  string         `json:"refusal"`
	ImageURL string         `json:"image_url"`
	Detail   string         `json:"detail"`
	FileData string         `json:"file_data"`
	FileURL  string         `json:"file_url"`
	Filename string         `json:"filename"`
	Rest     jsontext.Value `json:",embed"`
}

// Parse reads a client's request into out, which is empty. The error is a
// *chat.Error that names the parameter.
func Parse(body []byte, out *chat.Request) error {
	var in request
	if err := json.Unmarshal(body, &in); err != nil {
		return chat.BadJSON(err)
	}
	switch {
	case in.PreviousResponseID != "":
		return chat.Unsupported("previous_response_id", "is not possible with this provider: send the whole conversation as input")
	case len(in.Conversation) > 0 && in.Conversation.Kind() != 'n':
		return chat.Unsupported("conversation", "is not possible with this provider: send the whole conversation as input")
	case in.Background:
		return chat.Unsupported("background", "is not possible with this provider")
	}
	out.Model, out.Stream = in.Model, in.Stream
	out.User, out.ServiceTier = in.User, in.ServiceTier
	if out.User == "" {
		out.User = in.SafetyIdentifier
	}
	out.IgnoreIf(in.SafetyIdentifier != "" && in.SafetyIdentifier != out.User, "safety_identifier")
	for _, step := range []func(*request, *chat.Request) error{parseLimits, parseReasoning, parseFormat, parseTools, parseInput, parseRest} {
		if err := step(&in, out); err != nil {
			return err
		}
	}
	slices.Sort(out.Ignored)
	return nil
}

// parseLimits reads how long and how random the answer may be.
func parseLimits(in *request, out *chat.Request) error {
	out.Temperature, out.TopP = in.Temperature, in.TopP
	if n := in.MaxOutputTokens; n != nil {
		if *n < 1 {
			return chat.Invalid("max_output_tokens", "must be 1 or more, not %d", *n)
		}
		out.MaxTokens = *n
	}
	if t := in.Temperature; t != nil && (*t < 0 || *t > 2) {
		return chat.Invalid("temperature", "must be from 0 to 2, not %v", *t)
	}
	if p := in.TopP; p != nil && (*p < 0 || *p > 1) {
		return chat.Invalid("top_p", "must be from 0 to 1, not %v", *p)
	}
	return nil
}

func parseReasoning(in *request, out *chat.Request) error {
	if in.Reasoning == nil {
		return nil
	}
	out.Effort = in.Reasoning.Effort
	if err := chat.CheckEffort("reasoning.effort", out.Effort); err != nil {
		return err
	}
	return out.IgnoreMembers("reasoning", in.Reasoning.Rest, harmless...)
}

func parseFormat(in *request, out *chat.Request) error {
	if in.Text == nil {
		return nil
	}
	if err := out.IgnoreMembers("text", in.Text.Rest); err != nil || in.Text.Format == nil {
		return err
	}
	switch f := in.Text.Format; f.Type {
	case "text":
	case "json_object":
		out.Format.Kind = chat.FormatJSON
	case "json_schema":
		if f.Schema.Kind() != '{' {
			return chat.Invalid("text.format.schema", "must be an object")
		}
		out.Format = chat.Format{Kind: chat.FormatSchema, Name: f.Name, Description: f.Description, Schema: f.Schema, Strict: f.Strict}
	default:
		return chat.Invalid("text.format.type", "%q is not one of text, json_object, json_schema", f.Type)
	}
	return out.IgnoreMembers("text.format", in.Text.Format.Rest)
}

func parseInput(in *request, out *chat.Request) error {
	if in.Instructions != "" {
		out.System = append(out.System, chat.Block{Kind: chat.Text, Text: in.Instructions})
	}
	if in.Input.Kind() == '"' {
		blocks, err := content("input", in.Input, out)
		if err != nil {
			return err
		}
		out.Say(chat.User, blocks...)
	} else {
		var items []item
		if err := json.Unmarshal(in.Input, &items); err != nil {
			return chat.Invalid("input", "must be a string or a list of items")
		}
		called := map[string]bool{}
		for i := range items {
			if err := parseItem("input["+strconv.Itoa(i)+"]", &items[i], called, out); err != nil {
				return err
			}
		}
	}
	if len(out.System) == 0 && len(out.Turns) == 0 {
		return chat.Invalid("input", "holds no content")
	}
	return nil
}

func parseItem(at string, it *item, called map[string]bool, out *chat.Request) error {
	if err := it.ignore(out); err != nil {
		return err
	}
	switch it.Type {
	case "", "message":
		return parseMessage(at, it, out)
	case "function_call":
		input := jsontext.Value(strings.TrimSpace(it.Arguments))
		if len(input) == 0 {
			input = chat.EmptyObject()
		}
		if input.Kind() != '{' || !input.IsValid(jsontext.AllowDuplicateNames(true)) {
			return chat.Invalid(at+".arguments", "must be a JSON object")
		}
		switch {
		case it.CallID == "":
			return chat.Invalid(at+".call_id", "is required")
		case it.Name == "":
			return chat.Invalid(at+".name", "is required")
		}
		called[it.CallID] = true
		out.Say(chat.Assistant, chat.Block{Kind: chat.ToolUse, ID: it.CallID, Name: it.Name, Input: input})
	case "function_call_output":
		if !called[it.CallID] {
			return chat.Invalid(at+".call_id", "%q is the id of no function call before it", it.CallID)
		}
		blocks, err := content(at+".output", it.Output, out)
		if err != nil {
			return err
		}
		out.Say(chat.User, chat.Block{Kind: chat.ToolResult, ID: it.CallID, Content: blocks})
	case "item_reference":
		return chat.Unsupported(at+".type", "item_reference is not possible with this provider, which stores nothing: send the item itself (store: false)")
	case "reasoning":
		out.Say(chat.Assistant, thoughts(it)...)
	default:
		return chat.Unsupported(at+".type", "%q is not possible with this provider", it.Type)
	}
	return nil
}

func parseMessage(at string, it *item, out *chat.Request) error {
	blocks, err := content(at+".content", it.Content, out)
	if err != nil {
		return err
	}
	switch it.Role {
	case "system", "developer":
		for i := range blocks {
			if blocks[i].Kind != chat.Text {
				return chat.Unsupported(at+".content", "can only be text with this provider, since the role is %s", it.Role)
			}
		}
		out.System = append(out.System, blocks...)
	case "user":
		out.Say(chat.User, blocks...)
	case "assistant":
		out.Say(chat.Assistant, blocks...)
	default:
		return chat.Invalid(at+".role", "%q is not one of system, developer, user, assistant", it.Role)
	}
	return nil
}

// Marks of what encrypted_content holds: a provider's proof of the thoughts in
// the summary, or thoughts that nobody may read.
const (
	markSignature = "s."
	markRedacted  = "r."
)

func thoughts(it *item) []chat.Block {
	if data, ok := strings.CutPrefix(it.EncryptedContent, markRedacted); ok {
		return []chat.Block{{Kind: chat.RedactedThinking, Text: data}}
	}
	b := chat.Block{Kind: chat.Thinking}
	for _, s := range it.Summary {
		b.Text += s.Text
	}
	signature, ours := strings.CutPrefix(it.EncryptedContent, markSignature)
	if ours { // another provider's proves nothing here
		b.Signature = signature
	}
	if b.Text == "" && b.Signature == "" {
		return nil
	}
	return []chat.Block{b}
}

// content reads a string or a list of parts. What is ignored of them is put into r.
func content(at string, v jsontext.Value, r *chat.Request) ([]chat.Block, error) {
	var list []part
	switch {
	case len(v) == 0 || v.Kind() == 'n':
		return nil, nil
	case v.Kind() == '"':
		list = []part{{Type: "input_text"}}
		if err := json.Unmarshal(v, &list[0].Text); err != nil {
			return nil, chat.BadJSON(err)
		}
	default:
		if err := json.Unmarshal(v, &list); err != nil {
			return nil, chat.Invalid(at, "must be a string or a list of content parts")
		}
	}
	var out []chat.Block
	for i, p := range list {
		b, err := block(at+"["+strconv.Itoa(i)+"]", p)
		if err != nil {
			return nil, err
		}
		if err := p.ignore(&b, r); err != nil {
			return nil, err
		}
		if b.Kind != chat.Text || strings.TrimSpace(b.Text) != "" {
			out = append(out, b)
		}
	}
	return out, nil
}

func block(at string, p part) (chat.Block, error) {
	switch p.Type {
	case "input_text", "output_text", "text":
		return chat.Block{Kind: chat.Text, Text: p.Text}, nil
	case "refusal":
		return chat.Block{Kind: chat.Text, Text: p.Refusal}, nil
	case "input_image":
		if p.ImageURL == "" {
			return chat.Block{}, chat.Unsupported(at+".file_id", "is not possible with this provider: send image_url")
		}
		return openai.Media(at+".image_url", p.ImageURL, "")
	case "input_file":
		if p.FileURL != "" {
			b, err := openai.Media(at+".file_url", p.FileURL, p.Filename)
			b.Kind = chat.Document
			return b, err
		}
		return openai.File(at, p.FileData, p.Filename)
	}
	return chat.Block{}, chat.Unsupported(at+".type", "%q is not possible with this provider", p.Type)
}

func parseRest(in *request, out *chat.Request) error {
	if len(in.Rest) == 0 {
		return nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(in.Rest, &members); err != nil {
		return chat.BadJSON(err)
	}
	for name, v := range members {
		switch {
		case v.Kind() == 'n' || harmlessHere(name, v):
		case name == "prompt": // it is kept by OpenAI, and a part of what is asked
			return chat.Unsupported(name, "is not possible with this provider: send its text as instructions or input")
		default:
			if err := out.TakeUnknown(name, v); err != nil {
				return err
			}
		}
	}
	return nil
}
