package bedrock

import (
	"encoding/json/jsontext"

	"github.com/citoroute/citoroute/internal/ai/quickjson"
)

// The codecs of what every request passes through.
var (
	requestJSON  = quickjson.For[request]()
	responseJSON = quickjson.For[response]()
	eventJSON    = quickjson.For[event]()
)

// request is the body of Converse and ConverseStream; the model is in the path.
type request struct {
	Messages        []message      `json:"messages"`
	System          []block        `json:"system,omitempty"`
	InferenceConfig *inference     `json:"inferenceConfig,omitempty"`
	ToolConfig      *toolConfig    `json:"toolConfig,omitempty"`
	OutputConfig    *outputConfig  `json:"outputConfig,omitempty"`
	ServiceTier     *serviceTier   `json:"serviceTier,omitempty"`
	Additional      map[string]any `json:"additionalModelRequestFields,omitempty"`

	// Members that are the client's, as they are.
	GuardrailConfig   jsontext.Value `json:"guardrailConfig,omitzero"`
	PerformanceConfig jsontext.Value `json:"performanceConfig,omitzero"`
	RequestMetadata   jsontext.Value `json:"requestMetadata,omitzero"`
	ResponsePaths     jsontext.Value `json:"additionalModelResponseFieldPaths,omitzero"`
}

type message struct {
	Role    string  `json:"role"`
	Content []block `json:"content"`
}

// block is a union: exactly one member is set.
type block struct {
	Text             *string     `json:"text,omitzero"`
	Image            *image      `json:"image,omitempty"`
	Document         *document   `json:"document,omitempty"`
	ToolUse          *toolUse    `json:"toolUse,omitempty"`
	ToolResult       *result     `json:"toolResult,omitempty"`
	ReasoningContent *reasoning  `json:"reasoningContent,omitempty"`
	CachePoint       *cachePoint `json:"cachePoint,omitempty"`
	// Citations is text with its sources, in answers only.
	Citations *citations `json:"citationsContent,omitempty"`
}

type citations struct {
	Content []cited `json:"content"`
}

type cited struct {
	Text string `json:"text"`
}

type cachePoint struct {
	Type string `json:"type"` // default
	TTL  string `json:"ttl,omitempty"`
}

type image struct {
	Format string  `json:"format"`
	Source *source `json:"source"`
}

type document struct {
	Name   string  `json:"name"`
	Format string  `json:"format"`
	Source *source `json:"source"`
}

type source struct {
	Bytes      string      `json:"bytes,omitempty"` // base64
	S3Location *s3Location `json:"s3Location,omitempty"`
}

type s3Location struct {
	URI string `json:"uri"`
}

type toolUse struct {
	ToolUseID string         `json:"toolUseId"`
	Name      string         `json:"name"`
	Input     jsontext.Value `json:"input,omitzero"`
	Type      string         `json:"type,omitempty"` // server_tool_use: not for the client to answer
}

// serverTool is the type of a tool that Bedrock itself calls and answers.
const serverTool = "server_tool_use"

type result struct {
	ToolUseID string  `json:"toolUseId"`
	Content   []block `json:"content"`
	Status    string  `json:"status,omitempty"`
}

type reasoning struct {
	ReasoningText   *reasoningText `json:"reasoningText,omitempty"`
	RedactedContent string         `json:"redactedContent,omitempty"` // base64
}

type reasoningText struct {
	Text      string `json:"text"`
	Signature string `json:"signature,omitempty"`
}

type inference struct {
	MaxTokens     *int64   `json:"maxTokens,omitempty"`
	Temperature   *float64 `json:"temperature,omitempty"`
	TopP          *float64 `json:"topP,omitempty"`
	StopSequences []string `json:"stopSequences,omitempty"`
}

type toolConfig struct {
	Tools      []toolEntry `json:"tools"`
	ToolChoice *toolChoice `json:"toolChoice,omitempty"`
}

// toolEntry is a union: exactly one member is set.
type toolEntry struct {
	ToolSpec   *toolSpec   `json:"toolSpec,omitempty"`
	CachePoint *cachePoint `json:"cachePoint,omitempty"`
}

type toolSpec struct {
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	InputSchema inputSchema `json:"inputSchema"`
	Strict      *bool       `json:"strict,omitempty"`
}

type inputSchema struct {
	JSON jsontext.Value `json:"json"`
}

// toolChoice is a union: exactly one member is set.
type toolChoice struct {
	Auto *struct{} `json:"auto,omitzero"`
	Any  *struct{} `json:"any,omitzero"`
	Tool *named    `json:"tool,omitempty"`
}

type named struct {
	Name string `json:"name"`
}

type outputConfig struct {
	Effort     string      `json:"effort,omitempty"`
	TextFormat *textFormat `json:"textFormat,omitempty"`
}

type textFormat struct {
	Type      string    `json:"type"` // json_schema
	Structure structure `json:"structure"`
}

type structure struct {
	JSONSchema jsonSchema `json:"jsonSchema"`
}

type jsonSchema struct {
	Schema      string `json:"schema"` // the schema as a string of JSON
	Name        string `json:"name,omitempty"`
	Description string `json:"description,omitempty"`
}

type serviceTier struct {
	Type string `json:"type"`
}

// response is the body of a Converse answer.
type response struct {
	Output struct {
		Message *message `json:"message"`
	} `json:"output"`
	StopReason string `json:"stopReason"`
	Usage      *usage `json:"usage"`
}

type usage struct {
	InputTokens           int64 `json:"inputTokens"`
	OutputTokens          int64 `json:"outputTokens"`
	CacheReadInputTokens  int64 `json:"cacheReadInputTokens"`
	CacheWriteInputTokens int64 `json:"cacheWriteInputTokens"`
}

// event is the payload of any event of a ConverseStream answer.
type event struct {
	ContentBlockIndex int `json:"contentBlockIndex"`
	Start             struct {
		ToolUse *toolUse `json:"toolUse"`
	} `json:"start"`
	Delta      delta  `json:"delta"`
	StopReason string `json:"stopReason"`
	Usage      *usage `json:"usage"`
}

type delta struct {
	Text    string `json:"text"`
	ToolUse struct {
		Input string `json:"input"`
	} `json:"toolUse"`
	ReasoningContent struct {
		Text            string `json:"text"`
		Signature       string `json:"signature"`
		RedactedContent string `json:"redactedContent"`
	} `json:"reasoningContent"`
}

// failure is the body of an exception. Over HTTP the member is Message for
// some services and message for others, and the type may be in the body alone.
type failure struct {
	Type           string `json:"__type"`
	Message        string `json:"message"`
	MessageUpper   string `json:"Message"`
	OriginalStatus int    `json:"originalStatusCode"`
}

func (f failure) text() string {
	if f.Message != "" {
		return f.Message
	}
	return f.MessageUpper
}
