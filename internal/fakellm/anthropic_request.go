package fakellm

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// anthropicRequest is the body of POST /v1/messages.
type anthropicRequest struct {
	Model             string             `json:"model"`
	MaxTokens         *int               `json:"max_tokens"`
	Messages          []anthropicMsg     `json:"messages"`
	System            json.RawMessage    `json:"system"`
	Stream            bool               `json:"stream"`
	Tools             []anthropicTool    `json:"tools"`
	ToolChoice        *anthropicChoice   `json:"tool_choice"`
	Thinking          *anthropicThinking `json:"thinking"`
	Temperature       *float64           `json:"temperature"`
	TopP              *float64           `json:"top_p"`
	TopK              *int               `json:"top_k"`
	StopSequences     []string           `json:"stop_sequences"`
	ServiceTier       *string            `json:"service_tier"`
	Metadata          *anthropicMetadata `json:"metadata"`
	OutputConfig      json.RawMessage    `json:"output_config"`
	CacheControl      json.RawMessage    `json:"cache_control"`
	Container         json.RawMessage    `json:"container"`
	ContextManagement json.RawMessage    `json:"context_management"`
	MCPServers        json.RawMessage    `json:"mcp_servers"`
	InferenceGeo      *string            `json:"inference_geo"`
}

type anthropicMetadata struct {
	UserID *string `json:"user_id"`
}

type anthropicMsg struct {
	Role    string          `json:"role"`
	Content json.RawMessage `json:"content"`
}

type anthropicTool struct {
	Type         *string         `json:"type"`
	Name         string          `json:"name"`
	Description  *string         `json:"description"`
	InputSchema  json.RawMessage `json:"input_schema"`
	Strict       *bool           `json:"strict"`
	CacheControl json.RawMessage `json:"cache_control"`
	EagerInput   *bool           `json:"eager_input_streaming"`
	DeferLoading *bool           `json:"defer_loading"`
	Callers      json.RawMessage `json:"allowed_callers"`
	Examples     json.RawMessage `json:"input_examples"`
}

type anthropicChoice struct {
	Type            string `json:"type"`
	Name            string `json:"name"`
	DisableParallel *bool  `json:"disable_parallel_tool_use"`
}

type anthropicThinking struct {
	Type         string  `json:"type"`
	BudgetTokens *int    `json:"budget_tokens"`
	Display      *string `json:"display"`
}

type anthropicBlock struct {
	Type         string          `json:"type"`
	Text         *string         `json:"text"`
	Source       json.RawMessage `json:"source"`
	ID           string          `json:"id"`
	Name         string          `json:"name"`
	Input        json.RawMessage `json:"input"`
	ToolUseID    string          `json:"tool_use_id"`
	Content      json.RawMessage `json:"content"`
	IsError      *bool           `json:"is_error"`
	Thinking     *string         `json:"thinking"`
	Signature    *string         `json:"signature"`
	Data         *string         `json:"data"`
	Title        *string         `json:"title"`
	Context      *string         `json:"context"`
	Citations    json.RawMessage `json:"citations"`
	CacheControl json.RawMessage `json:"cache_control"`
}

func (m anthropicMsg) blocks() ([]anthropicBlock, error) {
	return anthropicBlocks(m.Content, "messages.content")
}

// anthropicBlocks reads content, which is a string or a list of blocks.
func anthropicBlocks(raw json.RawMessage, where string) ([]anthropicBlock, error) {
	if s, ok := asString(raw); ok {
		return []anthropicBlock{{Type: "text", Text: &s}}, nil
	}
	var blocks []anthropicBlock
	if err := decode(raw, &blocks, where+".%s: Extra inputs are not permitted"); err != nil {
		return nil, err
	}
	return blocks, nil
}

func (r *anthropicRequest) check() error {
	switch {
	case r.Model == "":
		return refuse("model: Field required")
	case r.MaxTokens == nil:
		return refuse("max_tokens: Field required")
	case *r.MaxTokens < 1:
		return refuse("max_tokens: Input should be greater than or equal to 1")
	case len(r.Messages) == 0:
		return refuse("messages: at least one message is required")
	case !upTo(r.Temperature, 1):
		return refuse("temperature: range: 0..1")
	case !upTo(r.TopP, 1):
		return refuse("top_p: range: 0..1")
	case r.ServiceTier != nil && *r.ServiceTier != "auto" && *r.ServiceTier != "standard_only":
		return refuse("service_tier: Input should be 'auto' or 'standard_only'")
	}
	for _, f := range []func() error{r.checkTexts, r.checkSystem, r.checkThinking, r.checkTools, r.checkMessages, r.checkThoughts} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// checkTexts checks what is said of the user and of the end.
func (r *anthropicRequest) checkTexts() error {
	if r.Metadata != nil && r.Metadata.UserID != nil && strings.Contains(*r.Metadata.UserID, "@") {
		return refuse("metadata.user_id: user_id appears to contain an email address")
	}
	if slices.ContainsFunc(r.StopSequences, func(s string) bool { return strings.TrimSpace(s) == "" }) {
		return refuse("stop_sequences: each stop sequence must contain non-whitespace")
	}
	return nil
}

func (r *anthropicRequest) checkSystem() error {
	if isNull(r.System) {
		return nil
	}
	if _, ok := asString(r.System); ok {
		return nil // the empty string is taken
	}
	blocks, err := anthropicBlocks(r.System, "system")
	if err != nil {
		return err
	}
	for _, b := range blocks {
		if b.Type != "text" || b.Text == nil || *b.Text == "" {
			return refuse("system: text content blocks must be non-empty")
		}
	}
	return nil
}

func (r *anthropicRequest) checkThinking() error {
	if r.Thinking == nil {
		return nil
	}
	switch r.Thinking.Type {
	case "disabled", "adaptive":
		return nil
	case "enabled":
		return r.checkBudget(r.Thinking.BudgetTokens)
	}
	return refuse("thinking: Input tag '%s' found using 'type' does not match any of the expected tags", r.Thinking.Type)
}

func (r *anthropicRequest) checkBudget(budget *int) error {
	switch {
	case budget == nil:
		return refuse("thinking.enabled.budget_tokens: Field required")
	case *budget < 1024:
		return refuse("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
	case *budget >= *r.MaxTokens:
		return refuse("`max_tokens` must be greater than `thinking.budget_tokens`.")
	case r.Temperature != nil && *r.Temperature != 1:
		return refuse("`temperature` may only be set to 1 when thinking is enabled.")
	case r.ToolChoice != nil && (r.ToolChoice.Type == "any" || r.ToolChoice.Type == "tool"):
		return refuse("Thinking may not be enabled when tool_choice forces tool use.")
	}
	return nil
}

var anthropicToolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)

func (r *anthropicRequest) checkTools() error {
	for i, t := range r.Tools {
		if !anthropicToolName.MatchString(t.Name) {
			return refuse("tools.%d.custom.name: String should match pattern '^[a-zA-Z0-9_-]{1,128}$'", i)
		}
		if !t.takesObject() {
			return refuse("tools.%d.custom.input_schema.type: Input should be 'object'", i)
		}
	}
	return r.checkToolChoice()
}

// takesObject says that a tool's input is declared to be an object.
func (t anthropicTool) takesObject() bool {
	var schema struct {
		Type string `json:"type"`
	}
	return isObject(t.InputSchema) && json.Unmarshal(t.InputSchema, &schema) == nil && schema.Type == "object"
}

func (r *anthropicRequest) checkToolChoice() error {
	switch c := r.ToolChoice; {
	case c == nil:
	case len(r.Tools) == 0:
		return refuse("tool_choice may only be specified while providing tools.")
	case !slices.Contains([]string{"auto", "any", "tool", "none"}, c.Type):
		return refuse("tool_choice: Input tag '%s' found using 'type' does not match any of the expected tags", c.Type)
	case c.Type == "none" && c.DisableParallel != nil:
		return refuse("tool_choice.none.disable_parallel_tool_use: Extra inputs are not permitted")
	case (c.Type == "tool") != (c.Name != ""):
		return refuse("tool_choice.tool.name: Field required")
	}
	return nil
}

// checkMessages checks roles, blocks and that each tool use is answered by the
// next message.
func (r *anthropicRequest) checkMessages() error {
	var open []string
	for i, m := range r.Messages {
		blocks, err := m.blocks()
		if err != nil {
			return err
		}
		if m.Role != "user" && m.Role != "assistant" {
			return refuse("messages.%d.role: Input should be 'user' or 'assistant'", i)
		}
		last := i == len(r.Messages)-1
		if len(blocks) == 0 && (!last || m.Role != "assistant") {
			return refuse("messages.%d: all messages must have non-empty content except for the optional final assistant message", i)
		}
		open, err = anthropicTurn(i, m.Role, blocks, open)
		if err != nil {
			return err
		}
		if last && m.Role == "assistant" && len(blocks) > 0 {
			if t := blocks[len(blocks)-1].Text; t != nil && strings.TrimRight(*t, " \t\r\n") != *t {
				return refuse("messages: final assistant content cannot end with trailing whitespace")
			}
		}
	}
	if len(open) > 0 {
		return refuse("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s.", len(r.Messages)-1, open[0])
	}
	return nil
}

// anthropicTurn checks one message, given the tool uses that it must answer,
// and returns those that the next one must.
func anthropicTurn(i int, role string, blocks []anthropicBlock, open []string) ([]string, error) {
	var next []string
	for _, b := range blocks {
		if err := b.check(i, role); err != nil {
			return nil, err
		}
		switch b.Type {
		case "tool_use":
			next = append(next, b.ID)
		case "tool_result":
			at := slices.Index(open, b.ToolUseID)
			if at < 0 {
				return nil, refuse("messages.%d.content: unexpected `tool_use_id` found in `tool_result` blocks: %s.", i, b.ToolUseID)
			}
			open = slices.Delete(open, at, at+1)
		default:
			if role == "user" && len(open) > 0 {
				return nil, refuse("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s.", i-1, open[0])
			}
		}
	}
	if len(open) > 0 {
		return nil, refuse("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s.", i-1, open[0])
	}
	return next, nil
}

// checkThoughts checks, where the model is to think, that it thought before the
// tool calls that it is in the middle of.
func (r *anthropicRequest) checkThoughts() error {
	if r.Thinking == nil || r.Thinking.Type != "enabled" {
		return nil
	}
	for i := len(r.Messages) - 1; i > 0; i -= 2 {
		results, _ := r.Messages[i].blocks() // checked
		if len(results) == 0 || results[0].Type != "tool_result" {
			return nil
		}
		calls, _ := r.Messages[i-1].blocks()
		if strings.HasSuffix(calls[0].Type, "thinking") {
			return nil
		}
		if before, _ := r.Messages[max(i-2, 0)].blocks(); before[0].Type != "tool_result" {
			return refuse("messages.%d.content.0.type: Expected `thinking` or `redacted_thinking`, but found `%s`.", i-1, calls[0].Type)
		}
	}
	return nil
}

var anthropicToolID = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

func (b anthropicBlock) check(i int, role string) error {
	switch {
	case b.Type == "text" && (b.Text == nil || strings.TrimSpace(*b.Text) == ""):
		return refuse("messages: text content blocks must contain non-whitespace text")
	case b.Type == "tool_use" && !anthropicToolID.MatchString(b.ID):
		return refuse("messages.%d.content.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'", i)
	case b.Type == "thinking" && (b.Signature == nil || *b.Signature != signature):
		return refuse("messages.%d.content: Invalid `signature` in `thinking` block", i)
	case !b.complete(role):
		return refuse("messages.%d.content: Input tag '%s' found using 'type' does not match any of the expected tags, or a field of it is missing", i, b.Type)
	}
	return nil
}

// complete says whether a block may be in a message of that role and has what
// its type needs.
func (b anthropicBlock) complete(role string) bool {
	assistant := role == "assistant"
	switch b.Type {
	case "text":
		return true
	case "image", "document":
		return !assistant && isObject(b.Source)
	case "tool_use":
		return assistant && b.Name != "" && isObject(b.Input)
	case "tool_result":
		return !assistant
	case "thinking":
		return assistant && b.Thinking != nil
	case "redacted_thinking":
		return assistant && b.Data != nil
	}
	return false
}

// tell puts what a checked request says into p.
func (r *anthropicRequest) tell(p *prompt) {
	if blocks, err := anthropicBlocks(r.System, "system"); err == nil {
		for _, b := range blocks {
			p.said = append(p.said, *b.Text)
		}
	}
	for _, m := range r.Messages {
		blocks, _ := m.blocks() // checked
		var text []string
		var results []string
		for _, b := range blocks {
			if b.Text != nil {
				text = append(text, *b.Text)
			}
			if b.Type == "tool_result" {
				results = append(results, resultText(b.Content))
			}
		}
		p.said = append(append(p.said, text...), results...)
		if m.Role != "user" {
			continue
		}
		p.results = results
		if len(text) > 0 {
			p.text = strings.Join(text, " ")
		}
	}
	for _, t := range r.Tools {
		p.tools = append(p.tools, tool{t.Name, t.InputSchema})
	}
	if c := r.ToolChoice; c != nil {
		p.choice = toolChoice{none: c.Type == "none", force: c.Type == "any" || c.Type == "tool", name: c.Name}
	}
	p.think = r.Thinking != nil && r.Thinking.Type != "disabled"
	p.maxTokens = *r.MaxTokens
}

// resultText returns the text of a tool result's content.
func resultText(raw json.RawMessage) string {
	if isNull(raw) {
		return ""
	}
	blocks, err := anthropicBlocks(raw, "content")
	if err != nil {
		return ""
	}
	var out []string
	for _, b := range blocks {
		if b.Text != nil {
			out = append(out, *b.Text)
		}
	}
	return strings.Join(out, " ")
}
