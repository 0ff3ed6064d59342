package fakellm

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// openAIRequest is the body of POST /v1/chat/completions. RawMessage stands
// for what the fake takes and does not look into.
type openAIRequest struct {
	Model               string          `json:"model"`
	Messages            []openAIMessage `json:"messages"`
	Stream              bool            `json:"stream"`
	StreamOptions       *streamOptions  `json:"stream_options"`
	Tools               []openAITool    `json:"tools"`
	ToolChoice          json.RawMessage `json:"tool_choice"`
	ParallelToolCalls   *bool           `json:"parallel_tool_calls"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	Temperature         *float64        `json:"temperature"`
	TopP                *float64        `json:"top_p"`
	N                   *int            `json:"n"`
	ReasoningEffort     *string         `json:"reasoning_effort"`
	PresencePenalty     *float64        `json:"presence_penalty"`
	FrequencyPenalty    *float64        `json:"frequency_penalty"`
	Seed                *int64          `json:"seed"`
	User                *string         `json:"user"`
	ServiceTier         *string         `json:"service_tier"`
	Logprobs            *bool           `json:"logprobs"`
	TopLogprobs         *int            `json:"top_logprobs"`
	Store               *bool           `json:"store"`
	Verbosity           *string         `json:"verbosity"`
	SafetyIdentifier    *string         `json:"safety_identifier"`
	PromptCacheKey      *string         `json:"prompt_cache_key"`
	PromptRetention     *string         `json:"prompt_cache_retention"`
	Modalities          []string        `json:"modalities"`
	Stop                json.RawMessage `json:"stop"`
	ResponseFormat      json.RawMessage `json:"response_format"`
	Metadata            json.RawMessage `json:"metadata"`
	LogitBias           json.RawMessage `json:"logit_bias"`
	Prediction          json.RawMessage `json:"prediction"`
	Audio               json.RawMessage `json:"audio"`
	WebSearchOptions    json.RawMessage `json:"web_search_options"`
	Functions           json.RawMessage `json:"functions"`
	FunctionCall        json.RawMessage `json:"function_call"`
}

type streamOptions struct {
	IncludeUsage       bool  `json:"include_usage"`
	IncludeObfuscation *bool `json:"include_obfuscation"`
}

type openAITool struct {
	Type     string `json:"type"`
	Function struct {
		Name        string          `json:"name"`
		Description *string         `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
		Strict      *bool           `json:"strict"`
	} `json:"function"`
}

type openAIMessage struct {
	Role       string           `json:"role"`
	Content    json.RawMessage  `json:"content"`
	Name       *string          `json:"name"`
	Refusal    *string          `json:"refusal"`
	ToolCallID string           `json:"tool_call_id"`
	ToolCalls  []openAIToolCall `json:"tool_calls"`
	Audio      json.RawMessage  `json:"audio"`
	Function   json.RawMessage  `json:"function_call"`
	Notes      json.RawMessage  `json:"annotations"`
}

type openAIToolCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string  `json:"name"`
		Arguments *string `json:"arguments"`
	} `json:"function"`
}

// texts returns the text parts of a message.
func (m openAIMessage) texts() []string {
	if s, ok := asString(m.Content); ok {
		return []string{s}
	}
	var parts []struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(m.Content, &parts) != nil {
		return nil
	}
	var out []string
	for _, p := range parts {
		if p.Text != "" {
			out = append(out, p.Text)
		}
	}
	return out
}

// tell takes what the fake understands of a checked request into p.
func (r *openAIRequest) tell(p *prompt) {
	for _, m := range r.Messages {
		m.tell(p)
	}
	for _, t := range r.Tools {
		p.tools = append(p.tools, tool{t.Function.Name, t.Function.Parameters})
	}
	p.choice, _ = r.toolChoice() // checked before
	p.think = r.ReasoningEffort != nil && *r.ReasoningEffort != "none"
	for _, limit := range []*int{r.MaxTokens, r.MaxCompletionTokens} {
		if limit != nil {
			p.maxTokens = *limit
		}
	}
	p.usageEvent = r.StreamOptions != nil && r.StreamOptions.IncludeUsage
}

func (m openAIMessage) tell(p *prompt) {
	p.said = append(p.said, m.texts()...)
	text := strings.Join(m.texts(), " ")
	switch m.Role {
	case "user":
		p.text, p.results = text, nil
	case "tool", "function":
		p.results = append(p.results, text)
	}
}

func (r *openAIRequest) check() error {
	switch {
	case r.Model == "":
		return refuse("you must provide a model parameter")
	case len(r.Messages) == 0:
		return refuse("Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	case r.User != nil && len(*r.User) > 64:
		return refuse("Invalid 'user': string too long. Expected a string with maximum length 64, but got a string with length %d instead.", len(*r.User))
	case r.StreamOptions != nil && !r.Stream:
		return refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	}
	for _, f := range []func() error{r.checkSampling, r.checkLimits, r.checkTools, r.checkMessages} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func (r *openAIRequest) checkSampling() error {
	switch {
	case !upTo(r.Temperature, 2):
		return refuse("Invalid 'temperature': expected a value between 0 and 2, but got %v instead.", *r.Temperature)
	case !upTo(r.TopP, 1):
		return refuse("Invalid 'top_p': expected a value between 0 and 1, but got %v instead.", *r.TopP)
	case r.N != nil && *r.N != 1:
		return refuse("Invalid 'n': the fake answers once.")
	}
	return nil
}

func (r *openAIRequest) checkLimits() error {
	switch {
	case r.MaxTokens != nil && r.MaxCompletionTokens != nil:
		return refuse("Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
	case !atLeastOne(r.MaxTokens):
		return refuse("Invalid 'max_tokens': integer below minimum value. Expected a value >= 1, but got %d instead.", *r.MaxTokens)
	case !atLeastOne(r.MaxCompletionTokens):
		return refuse("Invalid 'max_completion_tokens': integer below minimum value. Expected a value >= 1, but got %d instead.", *r.MaxCompletionTokens)
	}
	return nil
}

var openAIToolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func (r *openAIRequest) checkTools() error {
	for i, t := range r.Tools {
		switch {
		case t.Type != "function":
			return refuse("Invalid value: '%s'. Supported values are: 'function' and 'custom'.", t.Type)
		case !openAIToolName.MatchString(t.Function.Name):
			return refuse("Invalid 'tools[%d].function.name': string does not match pattern.", i)
		case !isNull(t.Function.Parameters) && !isObject(t.Function.Parameters):
			return refuse("Invalid schema for function '%s': it is not of type 'object'.", t.Function.Name)
		}
	}
	if r.Tools != nil && len(r.Tools) == 0 {
		return refuse("Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	}
	if !isNull(r.ToolChoice) && len(r.Tools) == 0 {
		return refuse("Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.")
	}
	_, err := r.toolChoice()
	return err
}

func (r *openAIRequest) toolChoice() (toolChoice, error) {
	if isNull(r.ToolChoice) {
		return toolChoice{}, nil
	}
	if s, ok := asString(r.ToolChoice); ok {
		return openAIToolMode(s)
	}
	var named struct {
		Type     string `json:"type"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
		Allowed json.RawMessage `json:"allowed_tools"`
	}
	if err := decode(r.ToolChoice, &named, "Unknown parameter: 'tool_choice.%s'."); err != nil {
		return toolChoice{}, err
	}
	if named.Type == "allowed_tools" {
		return toolChoice{}, nil
	}
	if named.Type != "function" || named.Function.Name == "" {
		return toolChoice{}, refuse("Missing required parameter: 'tool_choice.function'.")
	}
	return toolChoice{force: true, name: named.Function.Name}, nil
}

func openAIToolMode(mode string) (toolChoice, error) {
	switch mode {
	case "auto":
		return toolChoice{}, nil
	case "none":
		return toolChoice{none: true}, nil
	case "required":
		return toolChoice{force: true}, nil
	}
	return toolChoice{}, refuse("Invalid value: '%s'. Supported values are: 'none', 'auto', and 'required'.", mode)
}

// checkMessages checks the order of roles: every tool call is answered before
// anything else is said, and nothing is answered that was not called.
func (r *openAIRequest) checkMessages() error {
	var open []string
	for i, m := range r.Messages {
		if len(open) > 0 && m.Role != "tool" {
			return unanswered(open)
		}
		switch m.Role {
		case "system", "developer", "user":
			if isNull(m.Content) {
				return refuse("Invalid value for 'messages.[%d].content': expected a string, got null.", i)
			}
		case "assistant":
			var err error
			if open, err = m.calls(i); err != nil {
				return err
			}
		case "tool":
			at := slices.Index(open, m.ToolCallID)
			if at < 0 {
				return refuse("Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.")
			}
			open = slices.Delete(open, at, at+1)
		case "function":
		default:
			return refuse("Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.", m.Role)
		}
	}
	if len(open) > 0 {
		return unanswered(open)
	}
	return nil
}

func unanswered(open []string) error {
	return refuse("An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: %s", open[0])
}

// calls checks message i, which is the assistant's, and returns the IDs of the
// tool calls that it makes.
func (m openAIMessage) calls(i int) ([]string, error) {
	if isNull(m.Content) && len(m.ToolCalls) == 0 && isNull(m.Function) && m.Refusal == nil && isNull(m.Audio) {
		return nil, refuse("Invalid value for 'content': expected a string, got null.")
	}
	var ids []string
	for _, c := range m.ToolCalls {
		if c.ID == "" || c.Type != "function" || c.Function.Name == "" || c.Function.Arguments == nil {
			return nil, refuse("Invalid 'messages[%d].tool_calls': id, type, function.name and function.arguments are required.", i)
		}
		if len(c.ID) > 40 {
			return nil, refuse("Invalid 'messages[%d].tool_calls[0].id': string too long. Expected a string with maximum length 40, but got a string with length %d instead.", i, len(c.ID))
		}
		ids = append(ids, c.ID)
	}
	return ids, nil
}
