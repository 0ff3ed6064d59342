package chat

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"maps"
	"slices"
)

// Role is who speaks in a turn.
type Role uint8

// Roles.
const (
	User Role = iota + 1
	Assistant
)

// Request is a conversation and how to go on with it.
type Request struct {
	// Model is what the client asked for.
	Model string
	// System holds text blocks, in order.
	System []Block
	// Turns alternate in role; see [Request.Say].
	Turns []Turn

	Tools      []Tool
	ToolChoice ToolChoice
	// ParallelTools is nil where the client did not say.
	ParallelTools *bool

	// MaxTokens is 0 where the client set no limit.
	MaxTokens         int64
	Temperature, TopP *float64
	TopK              *int64
	Stop              []string
	Format            Format
	// Effort is how much to reason: "", none, minimal, low, medium, high, xhigh or max.
	Effort string
	// Thinking is Anthropic's own thinking object, where the client gave one.
	Thinking jsontext.Value

	User        string
	ServiceTier string
	Stream      bool
	// Ignored names parameters that the client set and that only OpenAI knows.
	Ignored []string
	// Bedrock holds members of Bedrock's own request that the client set, by
	// their names there; see [Request.TakeUnknown].
	Bedrock map[string]jsontext.Value

	// Source is the JSON that texts and raw members may share memory with.
	Source []byte

	// What Turns and plain texts are put into.
	lists Lists[Turn, Block]
}

// Reset empties r, and keeps the memory of its turns and texts for what it holds
// next.
func (r *Request) Reset() {
	r.lists.Reset()
	*r = Request{lists: r.lists}
}

// Grow makes room for n turns, of which each is one text.
func (r *Request) Grow(n int) {
	r.lists.Grow(n, n)
	r.Turns = r.lists.Turns()
}

// Text makes a list of one block, which is text. It is for Say and System.
func (r *Request) Text(text string, cache jsontext.Value) []Block {
	all := &r.lists.blocks
	n := len(*all)
	*all = append(*all, Block{Kind: Text, Text: text, Cache: cache})
	return (*all)[n : n+1 : n+1]
}

// bedrockMembers are the members of Converse's request that a client may set in
// its own, with the kind of JSON that each is.
var bedrockMembers = map[string]jsontext.Kind{
	"additionalModelRequestFields":      '{',
	"additionalModelResponseFieldPaths": '[',
	"guardrailConfig":                   '{',
	"performanceConfig":                 '{',
	"requestMetadata":                   '{',
}

// TakeUnknown takes in a member that the client's protocol does not have: one of
// Bedrock's own, or one to ignore. The error is for one of the wrong type.
func (r *Request) TakeUnknown(name string, value jsontext.Value) error {
	switch kind, ok := bedrockMembers[name]; {
	case !ok:
		r.Ignored = append(r.Ignored, name)
	case value.Kind() == 'n':
	case value.Kind() != kind:
		return Invalid(name, "has the wrong type")
	default:
		if r.Bedrock == nil {
			r.Bedrock = map[string]jsontext.Value{}
		}
		r.Bedrock[name] = value
	}
	return nil
}

// Foreign names the parameters that the client set and that no provider but
// OpenAI and Bedrock, each its own, knows.
func (r *Request) Foreign() []string {
	if len(r.Ignored)+len(r.Bedrock) == 0 {
		return nil
	}
	return slices.AppendSeq(slices.Clone(r.Ignored), slices.Values(slices.Sorted(maps.Keys(r.Bedrock))))
}

// EffortWord is Effort, or where only a thinking object says how much to
// reason, the word that comes nearest to it. It is for models that know no such
// object.
func (r *Request) EffortWord() string {
	var t struct {
		Type   string `json:"type"`
		Budget int64  `json:"budget_tokens"`
	}
	if r.Effort != "" || r.Thinking.Kind() != '{' || json.Unmarshal(r.Thinking, &t) != nil || t.Type != "enabled" {
		return r.Effort
	}
	switch {
	case t.Budget <= 1024:
		return "low"
	case t.Budget <= 4096:
		return "medium"
	}
	return "high"
}

// CheckEffort returns an error for a word that [Request.Effort] does not know;
// param is the parameter that holds it.
func CheckEffort(param, effort string) error {
	switch effort {
	case "", "none", "minimal", "low", "medium", "high", "xhigh", "max":
		return nil
	}
	return Invalid(param, "%q is not one of none, minimal, low, medium, high, xhigh, max", effort)
}

// Turn is what one role says before the other goes on.
type Turn struct {
	Role   Role
	Blocks []Block
}

// BlocksOf is how many blocks turns have.
func BlocksOf(turns []Turn) (n int) {
	for i := range turns {
		n += len(turns[i].Blocks)
	}
	return n
}

// Kind is the kind of a Block.
type Kind uint8

// Kinds of blocks.
const (
	Text             Kind = iota + 1 // Text
	Image                            // Media
	Document                         // Media
	ToolUse                          // ID, Name, Input; assistant only
	ToolResult                       // ID, Content, Failed; user only
	Thinking                         // Text, Signature; assistant only
	RedactedThinking                 // Data in Text; assistant only
)

// Block is a piece of a turn. Which fields are set depends on Kind.
type Block struct {
	Kind Kind
	Text string
	// Media is an image's or document's content.
	Media Media
	// ID is a tool call's identifier, Name the tool's name, Input its argument
	// object, byte for byte as it was given.
	ID, Name string
	Input    jsontext.Value
	// Content is what a tool answered: text, images and documents.
	Content []Block
	Failed  bool
	// Signature proves to its provider that a thinking block is its own.
	Signature string
	// Cache is Anthropic's cache_control object, where the client gave one.
	Cache jsontext.Value
}

// Media is content by value or by reference.
type Media struct {
	// Type is the media type, lower case, without parameters.
	Type string
	// Data is base64. URL is set instead where the content is elsewhere; it is
	// never fetched by us.
	Data, URL string
	// Name is a document's title; it may be empty.
	Name string
}

// Tool is a function that the model may call.
type Tool struct {
	Name, Description string
	// Schema is the JSON schema of the arguments, byte for byte; nil where absent.
	Schema jsontext.Value
	Strict *bool
	Cache  jsontext.Value
}

// ToolMode says whether the model calls a tool.
type ToolMode uint8

// Tool modes. The zero value is that the client did not say.
const (
	ToolsAuto ToolMode = iota + 1
	ToolsNone
	ToolsRequired
	ToolsNamed // the one in ToolChoice.Name
)

// ToolChoice says whether, and which, tool the model is to call.
type ToolChoice struct {
	Mode ToolMode
	Name string
	// Allowed limits the choice to these tools where it is not nil.
	Allowed []string
}

// FormatKind is the kind of a Format.
type FormatKind uint8

// Kinds of formats. The zero value is plain text.
const (
	FormatJSON   FormatKind = iota + 1 // any JSON object
	FormatSchema                       // JSON that fits Schema
)

// Format is the form that the answer must have.
type Format struct {
	Kind              FormatKind
	Name, Description string
	Schema            jsontext.Value
	Strict            *bool
}

// Say appends blocks to the conversation. Turns of one role that follow each
// other become one, and the results of tools come first in their turn: that is
// what every provider takes. Without blocks it does nothing. It keeps blocks.
func (r *Request) Say(role Role, blocks ...Block) {
	if len(blocks) == 0 {
		return
	}
	if n := len(r.Turns); n == 0 || r.Turns[n-1].Role != role {
		r.Turns = append(r.Turns, Turn{Role: role})
	}
	turn := &r.Turns[len(r.Turns)-1]
	if turn.Blocks == nil && len(blocks) == 1 {
		turn.Blocks = blocks
		return
	}
	for _, b := range blocks {
		if b.Kind != ToolResult {
			turn.Blocks = append(turn.Blocks, b)
			continue
		}
		at := 0
		for at < len(turn.Blocks) && turn.Blocks[at].Kind == ToolResult {
			at++
		}
		turn.Blocks = append(turn.Blocks, Block{})
		copy(turn.Blocks[at+1:], turn.Blocks[at:])
		turn.Blocks[at] = b
	}
}

// AllowedTools returns the tools that the choice leaves.
func (r *Request) AllowedTools() []Tool {
	if r.ToolChoice.Allowed == nil {
		return r.Tools
	}
	var left []Tool
	for _, t := range r.Tools {
		if slices.Contains(r.ToolChoice.Allowed, t.Name) {
			left = append(left, t)
		}
	}
	return left
}

// UsesTools says whether the conversation has tool calls or results in it.
func (r *Request) UsesTools() bool {
	for _, t := range r.Turns {
		for _, b := range t.Blocks {
			if b.Kind == ToolUse || b.Kind == ToolResult {
				return true
			}
		}
	}
	return false
}

// ToolsOfHistory returns a declaration of every tool that the conversation
// called, for providers that want them all declared.
func (r *Request) ToolsOfHistory() []Tool {
	var tools []Tool
	seen := map[string]bool{}
	for _, t := range r.Turns {
		for _, b := range t.Blocks {
			if b.Kind == ToolUse && !seen[b.Name] {
				seen[b.Name] = true
				tools = append(tools, Tool{Name: b.Name})
			}
		}
	}
	return tools
}
