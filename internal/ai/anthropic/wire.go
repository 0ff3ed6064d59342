package anthropic

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

// Version is the value of the anthropic-version header field.
const Version = "2023-06-01"

// request is the body of POST /v1/messages.
type request struct {
	Model         string         `json:"model"`
	MaxTokens     int64          `json:"max_tokens"`
	System        []block        `json:"system,omitempty"`
	Messages      []message      `json:"messages"`
	Tools         []tool         `json:"tools,omitempty"`
	ToolChoice    *toolChoice    `json:"tool_choice,omitempty"`
	Temperature   *float64       `json:"temperature,omitempty"`
	TopP          *float64       `json:"top_p,omitempty"`
	TopK          *int64         `json:"top_k,omitempty"`
	StopSequences []string       `json:"stop_sequences,omitempty"`
	Thinking      jsontext.Value `json:"thinking,omitzero"`
	OutputConfig  *outputConfig  `json:"output_config,omitempty"`
	Metadata      *metadata      `json:"metadata,omitempty"`
	ServiceTier   string         `json:"service_tier,omitempty"`
	Stream        bool           `json:"stream,omitzero"`
}

type message struct {
	Role    string  `json:"role"`
	Content []block `json:"content"`
}

// block is a content block of any type, in requests and answers.
type block struct {
	Type         string         `json:"type"`
	Text         *string        `json:"text,omitzero"`
	Source       *source        `json:"source,omitempty"`
	Title        string         `json:"title,omitempty"`
	ID           string         `json:"id,omitempty"`
	Name         string         `json:"name,omitempty"`
	Input        jsontext.Value `json:"input,omitzero"`
	Caller       *caller        `json:"caller,omitempty"` // answers only
	ToolUseID    string         `json:"tool_use_id,omitempty"`
	Content      jsontext.Value `json:"content,omitzero"`
	IsError      bool           `json:"is_error,omitzero"`
	Thinking     *string        `json:"thinking,omitzero"`
	Signature    *string        `json:"signature,omitzero"`
	Data         string         `json:"data,omitempty"`
	CacheControl jsontext.Value `json:"cache_control,omitzero"`
}

// caller says who made a tool call.
type caller struct {
	Type string `json:"type"` // direct: the model
}

// Types of blocks.
const (
	typeText             = "text"
	typeImage            = "image"
	typeDocument         = "document"
	typeToolUse          = "tool_use"
	typeToolResult       = "tool_result"
	typeThinking         = "thinking"
	typeRedactedThinking = "redacted_thinking"
)

// blockTypes are all of them.
var blockTypes = []string{typeText, typeImage, typeDocument, typeToolUse, typeToolResult, typeThinking, typeRedactedThinking}

type source struct {
	Type      string `json:"type"` // base64, url or text
	MediaType string `json:"media_type,omitempty"`
	Data      string `json:"data,omitempty"`
	URL       string `json:"url,omitempty"`
}

type tool struct {
	Type         string         `json:"type,omitempty"`
	Name         string         `json:"name"`
	Description  string         `json:"description,omitempty"`
	InputSchema  jsontext.Value `json:"input_schema,omitzero"`
	Strict       *bool          `json:"strict,omitempty"`
	CacheControl jsontext.Value `json:"cache_control,omitzero"`
}

type toolChoice struct {
	Type                   string `json:"type"` // auto, any, tool or none
	Name                   string `json:"name,omitempty"`
	DisableParallelToolUse bool   `json:"disable_parallel_tool_use,omitzero"`
}

type outputConfig struct {
	Effort string        `json:"effort,omitempty"`
	Format *outputFormat `json:"format,omitempty"`
}

type outputFormat struct {
	Type   string         `json:"type"` // json_schema
	Schema jsontext.Value `json:"schema"`
}

type metadata struct {
	UserID string `json:"user_id,omitempty"`
}

// response is a whole answer, and the message of a message_start event.
type response struct {
	ID           string       `json:"id"`
	Type         string       `json:"type"`
	Role         string       `json:"role"`
	Model        string       `json:"model"`
	Content      []block      `json:"content"`
	StopReason   *string      `json:"stop_reason"`
	StopSequence *string      `json:"stop_sequence"`
	StopDetails  *stopDetails `json:"stop_details,omitempty"`
	Usage        usage        `json:"usage"`
}

type stopDetails struct {
	Type        string `json:"type,omitempty"`
	Category    string `json:"category,omitempty"`
	Explanation string `json:"explanation,omitempty"`
}

// usage has pointers because an absent field of a later event leaves the
// earlier value as it is.
type usage struct {
	InputTokens         *int64         `json:"input_tokens,omitempty"`
	CacheCreation       *int64         `json:"cache_creation_input_tokens,omitempty"`
	CacheRead           *int64         `json:"cache_read_input_tokens,omitempty"`
	OutputTokens        *int64         `json:"output_tokens,omitempty"`
	OutputTokensDetails *outputDetails `json:"output_tokens_details,omitempty"`
}

type outputDetails struct {
	ThinkingTokens *int64 `json:"thinking_tokens,omitempty"`
}

// event is the data of any event of a stream.
type event struct {
	Type         string       `json:"type"`
	Message      *response    `json:"message,omitempty"`
	Index        int          `json:"index"`
	ContentBlock *block       `json:"content_block,omitempty"`
	Delta        *delta       `json:"delta,omitempty"`
	Usage        *usage       `json:"usage,omitempty"`
	Error        *errorDetail `json:"error,omitempty"`
}

type delta struct {
	Type        string       `json:"type,omitempty"`
	Text        string       `json:"text,omitempty"`
	PartialJSON string       `json:"partial_json,omitempty"`
	Thinking    string       `json:"thinking,omitempty"`
	Signature   string       `json:"signature,omitempty"`
	StopReason  *string      `json:"stop_reason,omitempty"`
	StopDetails *stopDetails `json:"stop_details,omitempty"`
}

type errorBody struct {
	Type      string       `json:"type"`
	Error     *errorDetail `json:"error"`
	RequestID string       `json:"request_id,omitempty"`
}

type errorDetail struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}
