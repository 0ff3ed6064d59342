package fakellm

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// converseRequest is the body of Converse and ConverseStream.
type converseRequest struct {
	Messages        []converseMessage `json:"messages"`
	System          []converseBlock   `json:"system"`
	InferenceConfig *struct {
		MaxTokens     *int     `json:"maxTokens"`
		Temperature   *float64 `json:"temperature"`
		TopP          *float64 `json:"topP"`
		StopSequences []string `json:"stopSequences"`
	} `json:"inferenceConfig"`
	ToolConfig *struct {
		Tools      []converseTool   `json:"tools"`
		ToolChoice *json.RawMessage `json:"toolChoice"`
	} `json:"toolConfig"`
	AdditionalRequest json.RawMessage            `json:"additionalModelRequestFields"`
	AdditionalPaths   []string                   `json:"additionalModelResponseFieldPaths"`
	GuardrailConfig   json.RawMessage            `json:"guardrailConfig"`
	PromptVariables   map[string]json.RawMessage `json:"promptVariables"`
	RequestMetadata   map[string]string          `json:"requestMetadata"`
	PerformanceConfig json.RawMessage            `json:"performanceConfig"`
	ServiceTier       json.RawMessage            `json:"serviceTier"`
	OutputConfig      json.RawMessage            `json:"outputConfig"`
}

type converseMessage struct {
	Role    string          `json:"role"`
	Content []converseBlock `json:"content"`
}

// converseBlock is a union: exactly one field is set.
type converseBlock struct {
	Text       *string          `json:"text"`
	Image      json.RawMessage  `json:"image"`
	Document   json.RawMessage  `json:"document"`
	CachePoint json.RawMessage  `json:"cachePoint"`
	Guard      json.RawMessage  `json:"guardContent"`
	Reasoning  json.RawMessage  `json:"reasoningContent"`
	ToolUse    *converseToolUse `json:"toolUse"`
	ToolResult *converseResult  `json:"toolResult"`
}

type converseToolUse struct {
	ID    string          `json:"toolUseId"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

type converseResult struct {
	ID      string            `json:"toolUseId"`
	Content []json.RawMessage `json:"content"`
	Status  *string           `json:"status"`
}

type converseTool struct {
	ToolSpec *struct {
		Name        string  `json:"name"`
		Description *string `json:"description"`
		InputSchema struct {
			JSON json.RawMessage `json:"json"`
		} `json:"inputSchema"`
		Strict *bool `json:"strict"`
	} `json:"toolSpec"`
	CachePoint json.RawMessage `json:"cachePoint"`
}

func (r *converseRequest) check() error {
	if len(r.Messages) == 0 {
		return refuse("The model returned the following errors: messages: at least one message is required")
	}
	for i, b := range r.System {
		if b.Text != nil && strings.TrimSpace(*b.Text) == "" {
			return refuse("The text field in the ContentBlock object at system.%d is blank. Add text to the text field, and try again.", i)
		}
	}
	if c := r.InferenceConfig; c != nil {
		switch {
		case !atLeastOne(c.MaxTokens):
			return refuse("1 validation error detected: Value '%d' at 'inferenceConfig.maxTokens' failed to satisfy constraint: Member must have value greater than or equal to 1", *c.MaxTokens)
		case !upTo(c.Temperature, 1):
			return refuse("1 validation error detected: Value '%v' at 'inferenceConfig.temperature' failed to satisfy constraint: Member must have value less than or equal to 1", *c.Temperature)
		case !upTo(c.TopP, 1):
			return refuse("1 validation error detected: Value '%v' at 'inferenceConfig.topP' failed to satisfy constraint: Member must have value less than or equal to 1", *c.TopP)
		}
	}
	for _, check := range []func() error{r.checkTools, r.checkMessages, r.checkMedia} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

var converseName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func (r *converseRequest) checkTools() error {
	if r.ToolConfig == nil {
		return nil
	}
	if len(r.ToolConfig.Tools) == 0 {
		return refuse("1 validation error detected: Value '[]' at 'toolConfig.tools' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	for i, t := range r.ToolConfig.Tools {
		switch {
		case t.ToolSpec == nil && !isNull(t.CachePoint):
		case t.ToolSpec == nil:
			return refuse("Malformed input request: toolConfig.tools.%d: toolSpec is required", i)
		case !converseName.MatchString(t.ToolSpec.Name):
			return refuse("1 validation error detected: Value '%s' at 'toolConfig.tools.%d.member.toolSpec.name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_-]+", t.ToolSpec.Name, i+1)
		case t.ToolSpec.Description != nil && *t.ToolSpec.Description == "":
			return refuse("1 validation error detected: Value '' at 'toolConfig.tools.%d.member.toolSpec.description' failed to satisfy constraint: Member must have length greater than or equal to 1", i+1)
		case !isObject(t.ToolSpec.InputSchema.JSON):
			return refuse("The value at toolConfig.tools.%d.toolSpec.inputSchema.json is invalid: it is not an object", i)
		}
	}
	_, err := r.toolChoice()
	return err
}

func (r *converseRequest) toolChoice() (toolChoice, error) {
	if r.ToolConfig == nil || r.ToolConfig.ToolChoice == nil || isNull(*r.ToolConfig.ToolChoice) {
		return toolChoice{}, nil
	}
	var c struct {
		Auto *struct{} `json:"auto"`
		Any  *struct{} `json:"any"`
		Tool *struct {
			Name string `json:"name"`
		} `json:"tool"`
	}
	err := decode(*r.ToolConfig.ToolChoice, &c, "Malformed input request: toolConfig.toolChoice: extraneous key [%s] is not permitted")
	switch {
	case err != nil:
		return toolChoice{}, err
	case c.Auto != nil && c.Any == nil && c.Tool == nil:
		return toolChoice{}, nil
	case c.Any != nil && c.Auto == nil && c.Tool == nil:
		return toolChoice{force: true}, nil
	case c.Tool != nil && c.Auto == nil && c.Any == nil:
		return toolChoice{force: true, name: c.Tool.Name}, nil
	}
	return toolChoice{}, refuse("toolConfig.toolChoice: exactly one of auto, any and tool must be set")
}

// checkMessages checks that roles alternate from user on, and that each tool
// use is answered by the next message.
func (r *converseRequest) checkMessages() error {
	var open []string
	for i, m := range r.Messages {
		want := [2]string{"user", "assistant"}[i%2]
		switch {
		case i == 0 && m.Role == "assistant":
			return refuse("A conversation must start with a user message. Try again with a conversation that starts with a user message.")
		case m.Role != want:
			return refuse("A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.")
		case len(m.Content) == 0:
			return refuse("The content field in the Message object at messages.%d is empty. Add a ContentBlock object to the content field and try again.", i)
		}
		var err error
		if open, err = r.checkTurn(i, m, open); err != nil {
			return err
		}
	}
	return nil
}

// checkTurn checks one message, given the tool uses that it must answer, and
// returns those that the next one must.
func (r *converseRequest) checkTurn(i int, m converseMessage, open []string) ([]string, error) {
	var next []string
	answered := 0
	for j, b := range m.Content {
		if err := b.check(i, j); err != nil {
			return nil, err
		}
		switch {
		case (b.ToolUse != nil || b.ToolResult != nil) && r.ToolConfig == nil:
			return nil, refuse("The toolConfig field must be defined when using toolUse and toolResult content blocks.")
		case b.ToolUse != nil:
			next = append(next, b.ToolUse.ID)
		case b.ToolResult != nil && !slices.Contains(open, b.ToolResult.ID):
			return nil, refuse("The number of toolResult blocks at messages.%d.content exceeds the number of toolUse blocks of previous turn.", i)
		case b.ToolResult != nil:
			answered++
		}
	}
	if answered < len(open) {
		return nil, refuse("Expected toolResult blocks at messages.%d.content for the following Ids: %s", i, open[0])
	}
	return next, nil
}

// check checks block j of message i by itself.
func (b converseBlock) check(i, j int) error {
	use := b.ToolUse
	switch {
	case b.fields() != 1:
		return refuse("The ContentBlock object at messages.%d.content.%d must set one of the following keys: text, image, toolUse, toolResult, document, cachePoint, reasoningContent.", i, j)
	case b.Text != nil && strings.TrimSpace(*b.Text) == "":
		return refuse("The text field in the ContentBlock object at messages.%d.content.%d is blank. Add text to the text field, and try again.", i, j)
	case use != nil && (!converseName.MatchString(use.ID) || use.Name == "" || !isObject(use.Input)):
		return refuse("The format of the value at messages.%d.content.%d.toolUse is invalid. Provide a json object for the field and try again.", i, j)
	}
	return nil
}

// fields counts the fields of the union that are set.
func (b converseBlock) fields() int {
	n := 0
	for _, set := range []bool{
		b.Text != nil, !isNull(b.Image), !isNull(b.Document), !isNull(b.CachePoint), !isNull(b.Guard),
		!isNull(b.Reasoning), b.ToolUse != nil, b.ToolResult != nil,
	} {
		if set {
			n++
		}
	}
	return n
}

// tell puts what a checked request says into p.
func (r *converseRequest) tell(p *prompt) {
	for _, b := range r.System {
		if b.Text != nil {
			p.said = append(p.said, *b.Text)
		}
	}
	for _, m := range r.Messages {
		text, results := m.texts()
		p.said = append(append(p.said, text...), results...)
		if m.Role != "user" {
			continue
		}
		p.results = results
		if len(text) > 0 {
			p.text = strings.Join(text, " ")
		}
	}
	if r.ToolConfig != nil {
		for _, t := range r.ToolConfig.Tools {
			if t.ToolSpec != nil {
				p.tools = append(p.tools, tool{t.ToolSpec.Name, t.ToolSpec.InputSchema.JSON})
			}
		}
	}
	p.choice, _ = r.toolChoice() // checked
	if c := r.InferenceConfig; c != nil && c.MaxTokens != nil {
		p.maxTokens = *c.MaxTokens
	}
	var extra struct {
		Thinking *struct {
			Type string `json:"type"`
		} `json:"thinking"`
	}
	if json.Unmarshal(r.AdditionalRequest, &extra) == nil && extra.Thinking != nil {
		p.think = extra.Thinking.Type != "disabled"
	}
}

// texts returns the text blocks and the texts of the tool results.
func (m converseMessage) texts() (text, results []string) {
	for _, b := range m.Content {
		if b.Text != nil {
			text = append(text, *b.Text)
		}
		if b.ToolResult == nil {
			continue
		}
		var all []string
		for _, raw := range b.ToolResult.Content {
			var c struct {
				Text *string         `json:"text"`
				JSON json.RawMessage `json:"json"`
			}
			switch {
			case json.Unmarshal(raw, &c) != nil:
			case c.Text != nil:
				all = append(all, *c.Text)
			case c.JSON != nil:
				all = append(all, string(c.JSON))
			}
		}
		results = append(results, strings.Join(all, " "))
	}
	return text, results
}
