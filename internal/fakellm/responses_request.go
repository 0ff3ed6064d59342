package fakellm

import (
	"encoding/json"
	"slices"
	"strings"
)

// responsesRequest is the body of POST /v1/responses. RawMessage stands for what
// the fake takes and does not look into.
type responsesRequest struct {
	Model              string              `json:"model"`
	Input              json.RawMessage     `json:"input"`
	Instructions       *string             `json:"instructions"`
	Stream             bool                `json:"stream"`
	StreamOptions      *obfuscation        `json:"stream_options"`
	Tools              []responsesTool     `json:"tools"`
	ToolChoice         json.RawMessage     `json:"tool_choice"`
	ParallelToolCalls  json.RawMessage     `json:"parallel_tool_calls"`
	MaxToolCalls       *int                `json:"max_tool_calls"`
	MaxOutputTokens    *int                `json:"max_output_tokens"`
	Temperature        *float64            `json:"temperature"`
	TopP               *float64            `json:"top_p"`
	TopLogprobs        *int                `json:"top_logprobs"`
	Reasoning          *responsesReasoning `json:"reasoning"`
	Text               *responsesText      `json:"text"`
	Include            []string            `json:"include"`
	Truncation         *string             `json:"truncation"`
	Metadata           json.RawMessage     `json:"metadata"`
	User               *string             `json:"user"`
	SafetyIdentifier   *string             `json:"safety_identifier"`
	PromptCacheKey     *string             `json:"prompt_cache_key"`
	PromptRetention    *string             `json:"prompt_cache_retention"`
	PromptOptions      json.RawMessage     `json:"prompt_cache_options"`
	ServiceTier        *string             `json:"service_tier"`
	Store              *bool               `json:"store"`
	Background         bool                `json:"background"`
	PreviousResponseID *string             `json:"previous_response_id"`
	Conversation       json.RawMessage     `json:"conversation"`
	Prompt             json.RawMessage     `json:"prompt"`
	ContextManagement  json.RawMessage     `json:"context_management"`
	Moderation         json.RawMessage     `json:"moderation"`

	items []responsesInput // of Input, once that is checked
}

type obfuscation struct {
	Include *bool `json:"include_obfuscation"`
}

type responsesTool struct {
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	Description *string         `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
	Strict      *bool           `json:"strict"`
}

type responsesReasoning struct {
	Effort          *string `json:"effort"`
	Summary         *string `json:"summary"`
	GenerateSummary *string `json:"generate_summary"`
	Context         *string `json:"context"`
	Mode            *string `json:"mode"`
}

type responsesText struct {
	Verbosity *string `json:"verbosity"`
	Format    *struct {
		Type        string          `json:"type"`
		Name        string          `json:"name"`
		Description *string         `json:"description"`
		Schema      json.RawMessage `json:"schema"`
		Strict      *bool           `json:"strict"`
	} `json:"format"`
}

func (r *responsesRequest) check() error {
	switch {
	case r.Model == "":
		return refuse("Missing required parameter: 'model'.")
	case r.StreamOptions != nil && !r.Stream:
		return refuse("The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	case r.User != nil && len(*r.User) > 64:
		return refuse("Invalid 'user': string too long. Expected a string with maximum length 64, but got a string with length %d instead.", len(*r.User))
	case !upTo(r.Temperature, 2):
		return refuse("Invalid 'temperature': expected a value between 0 and 2, but got %v instead.", *r.Temperature)
	case !upTo(r.TopP, 1):
		return refuse("Invalid 'top_p': expected a value between 0 and 1, but got %v instead.", *r.TopP)
	case r.MaxOutputTokens != nil && *r.MaxOutputTokens < 16:
		return refuse("Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got %d instead.", *r.MaxOutputTokens)
	}
	for _, f := range []func() error{r.checkStored, r.checkWords, r.checkFormat, r.checkTools, r.checkInput} {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// checkStored refuses what refers to something that is kept at OpenAI.
func (r *responsesRequest) checkStored() error {
	switch {
	case r.PreviousResponseID != nil:
		return refuse("Previous response with id '%s' not found.", *r.PreviousResponseID)
	case !isNull(r.Conversation), !isNull(r.Prompt), r.Background:
		return refuse("The fake keeps nothing: no 'conversation', no 'prompt', no 'background'.")
	}
	return nil
}

// checkWords checks the members that are one of a few words.
func (r *responsesRequest) checkWords() error {
	for _, word := range r.Include {
		if err := oneOf("include", &word, "reasoning.encrypted_content", "message.output_text.logprobs", "message.input_image.image_url"); err != nil {
			return err
		}
	}
	if r.Reasoning != nil {
		if err := oneOf("reasoning.effort", r.Reasoning.Effort, "none", "minimal", "low", "medium", "high", "xhigh", "max"); err != nil {
			return err
		}
		if err := oneOf("reasoning.summary", r.Reasoning.Summary, "auto", "concise", "detailed"); err != nil {
			return err
		}
	}
	return oneOf("truncation", r.Truncation, "auto", "disabled")
}

// oneOf checks a member that may be absent.
func oneOf(name string, value *string, words ...string) error {
	if value == nil || slices.Contains(words, *value) {
		return nil
	}
	return refuse("Invalid value: '%s' for '%s'. Supported values are: '%s'.", *value, name, strings.Join(words, "', '"))
}

func (r *responsesRequest) checkFormat() error {
	if r.Text == nil || r.Text.Format == nil {
		return nil
	}
	f := r.Text.Format
	switch {
	case f.Type != "json_schema":
		return oneOf("text.format.type", &f.Type, "text", "json_object", "json_schema")
	case !openAIToolName.MatchString(f.Name):
		return refuse("Invalid 'text.format.name': string does not match pattern.")
	case !isObject(f.Schema):
		return refuse("Missing required parameter: 'text.format.schema'.")
	}
	return nil
}

func (r *responsesRequest) checkTools() error {
	for i, t := range r.Tools {
		switch {
		case t.Type != "function":
			return refuse("Invalid value: '%s' for 'tools[%d].type'. The fake has function tools only.", t.Type, i)
		case !openAIToolName.MatchString(t.Name):
			return refuse("Invalid 'tools[%d].name': string does not match pattern.", i)
		case !isNull(t.Parameters) && !isObject(t.Parameters):
			return refuse("Invalid schema for function '%s': it is not of type 'object'.", t.Name)
		case t.Strict != nil && *t.Strict && !closed(t.Parameters):
			return refuse("Invalid schema for function '%s': In context=(), 'additionalProperties' is required to be supplied and to be false.", t.Name)
		}
	}
	choice, err := r.toolChoice()
	if err == nil && choice.force && len(r.Tools) == 0 {
		return refuse("Tool choice 'required' must be specified with 'tools' parameter.")
	}
	return err
}

// closed says whether a schema allows no properties besides its own.
func closed(schema json.RawMessage) bool {
	var s struct {
		Additional *bool `json:"additionalProperties"`
	}
	return json.Unmarshal(schema, &s) == nil && s.Additional != nil && !*s.Additional
}

func (r *responsesRequest) toolChoice() (toolChoice, error) {
	if isNull(r.ToolChoice) {
		return toolChoice{}, nil
	}
	if s, ok := asString(r.ToolChoice); ok {
		return openAIToolMode(s)
	}
	var named struct {
		Type  string            `json:"type"`
		Name  string            `json:"name"`
		Mode  string            `json:"mode"`
		Tools []json.RawMessage `json:"tools"`
	}
	if err := decode(r.ToolChoice, &named, "Unknown parameter: 'tool_choice.%s'."); err != nil {
		return toolChoice{}, err
	}
	if named.Type == "allowed_tools" {
		return openAIToolMode(named.Mode)
	}
	if named.Type != "function" || !slices.ContainsFunc(r.Tools, func(t responsesTool) bool { return t.Name == named.Name }) {
		return toolChoice{}, refuse("Tool choice '%s' not found in 'tools' parameter.", named.Name)
	}
	return toolChoice{force: true, name: named.Name}, nil
}

// tell takes what the fake understands of a checked request into p.
func (r *responsesRequest) tell(p *prompt) {
	if r.Instructions != nil {
		p.said = append(p.said, *r.Instructions)
	}
	for _, it := range r.items {
		it.tell(p)
	}
	for _, t := range r.Tools {
		p.tools = append(p.tools, tool{t.Name, t.Parameters})
	}
	p.choice, _ = r.toolChoice() // checked before
	if r.Reasoning != nil {
		p.think = r.Reasoning.Effort != nil && *r.Reasoning.Effort != "none"
		p.summary = r.Reasoning.Summary != nil
	}
	p.proof = slices.Contains(r.Include, "reasoning.encrypted_content")
	if r.MaxOutputTokens != nil {
		p.maxTokens = *r.MaxOutputTokens
	}
}
