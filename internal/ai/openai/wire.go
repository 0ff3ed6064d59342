package openai

import (
	"encoding/json/jsontext"

	"github.com/citoroute/citoroute/internal/ai/quickjson"
)

// The codecs of what every request passes through.
var (
	chatRequestJSON  = quickjson.For[chatRequest]()
	chatResponseJSON = quickjson.For[chatResponse]()
	partJSON         = quickjson.For[part]()
	chunkJSON        = quickjson.For[chunk]()
	usageJSON        = quickjson.For[usage]()
	meteredJSON      = quickjson.For[metered]()
)

// chatRequest is the body of POST /v1/chat/completions. Members that may have
// several shapes stay raw until it is known which one they have.
type chatRequest struct {
	Model    string    `json:"model"`
	Messages []message `json:"messages"`

	Tools             []tool         `json:"tools,omitempty"`
	ToolChoice        jsontext.Value `json:"tool_choice,omitzero"`
	ParallelToolCalls *bool          `json:"parallel_tool_calls,omitempty"`
	Functions         []function     `json:"functions,omitempty"`
	FunctionCall      jsontext.Value `json:"function_call,omitzero"`

	MaxTokens           *int64         `json:"max_tokens,omitempty"`
	MaxCompletionTokens *int64         `json:"max_completion_tokens,omitempty"`
	Temperature         *float64       `json:"temperature,omitempty"`
	TopP                *float64       `json:"top_p,omitempty"`
	TopK                *int64         `json:"top_k,omitempty"`
	N                   *int64         `json:"n,omitempty"`
	Stop                jsontext.Value `json:"stop,omitzero"`
	ResponseFormat      *format        `json:"response_format,omitempty"`
	ReasoningEffort     *string        `json:"reasoning_effort,omitempty"`
	Thinking            jsontext.Value `json:"thinking,omitzero"`
	Modalities          []string       `json:"modalities,omitempty"`
	Audio               jsontext.Value `json:"audio,omitzero"`
	User                string         `json:"user,omitempty"`
	SafetyIdentifier    string         `json:"safety_identifier,omitempty"`
	ServiceTier         *string        `json:"service_tier,omitempty"`
	Stream              *bool          `json:"stream,omitempty"`
	StreamOptions       *streamOptions `json:"stream_options,omitempty"`

	// Rest is every other member: known to OpenAI alone, or to nobody.
	Rest jsontext.Value `json:",embed"`
}

type streamOptions struct {
	IncludeUsage bool           `json:"include_usage,omitzero"`
	Rest         jsontext.Value `json:",embed"`
}

type message struct {
	Role             string          `json:"role"`
	Content          jsontext.Value  `json:"content,omitzero"`
	Name             string          `json:"name,omitempty"`
	Refusal          *string         `json:"refusal,omitempty"`
	ToolCalls        []toolCall      `json:"tool_calls,omitempty"`
	FunctionCall     *functionCall   `json:"function_call,omitempty"`
	ToolCallID       string          `json:"tool_call_id,omitempty"`
	ReasoningContent *string         `json:"reasoning_content,omitempty"`
	ReasoningDetails []reasoningPart `json:"reasoning_details,omitempty"`
	IsError          bool            `json:"is_error,omitzero"`
	Audio            jsontext.Value  `json:"audio,omitzero"`
	CacheControl     jsontext.Value  `json:"cache_control,omitzero"`
	Rest             jsontext.Value  `json:",embed"`
}

// reasoningPart keeps what a provider needs to recognise its own reasoning
// when the client sends it back.
type reasoningPart struct {
	Type      string `json:"type"` // reasoning.text or reasoning.encrypted
	Text      string `json:"text,omitempty"`
	Signature string `json:"signature,omitempty"`
	Data      string `json:"data,omitempty"`
	Index     *int   `json:"index,omitempty"`
}

// Types of reasoningPart.
const (
	reasoningText      = "reasoning.text"
	reasoningEncrypted = "reasoning.encrypted"
)

type toolCall struct {
	Index        *int           `json:"index,omitempty"`
	ID           string         `json:"id,omitempty"`
	Type         string         `json:"type,omitempty"`
	Function     *functionCall  `json:"function,omitempty"`
	CacheControl jsontext.Value `json:"cache_control,omitzero"`
	Rest         jsontext.Value `json:",embed"`
}

type functionCall struct {
	Name      string         `json:"name,omitempty"`
	Arguments string         `json:"arguments"`
	Rest      jsontext.Value `json:",embed"`
}

type tool struct {
	Type         string         `json:"type"`
	Function     *function      `json:"function,omitempty"`
	CacheControl jsontext.Value `json:"cache_control,omitzero"`
	Rest         jsontext.Value `json:",embed"`
}

type function struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Parameters  jsontext.Value `json:"parameters,omitzero"`
	Strict      *bool          `json:"strict,omitempty"`
	Rest        jsontext.Value `json:",embed"`
}

type format struct {
	Type       string         `json:"type"`
	JSONSchema *jsonSchema    `json:"json_schema,omitempty"`
	Rest       jsontext.Value `json:",embed"`
}

type jsonSchema struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	Schema      jsontext.Value `json:"schema,omitzero"`
	Strict      *bool          `json:"strict,omitempty"`
	Rest        jsontext.Value `json:",embed"`
}

type part struct {
	Type         string         `json:"type"`
	Text         string         `json:"text,omitempty"`
	Refusal      string         `json:"refusal,omitempty"`
	ImageURL     *imageURL      `json:"image_url,omitempty"`
	File         *file          `json:"file,omitempty"`
	CacheControl jsontext.Value `json:"cache_control,omitzero"`
	Rest         jsontext.Value `json:",embed"`
}

type imageURL struct {
	URL    string         `json:"url"`
	Detail string         `json:"detail,omitempty"`
	Rest   jsontext.Value `json:",embed"`
}

type file struct {
	FileData string         `json:"file_data,omitempty"`
	FileID   string         `json:"file_id,omitempty"`
	Filename string         `json:"filename,omitempty"`
	Rest     jsontext.Value `json:",embed"`
}
