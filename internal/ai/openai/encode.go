package openai

import (
	"cmp"
	"encoding/json/jsontext"
	"strconv"
	"strings"
	"sync"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/sse"
	"github.com/citoroute/citoroute/internal/poison"
)

// chatResponse is a whole chat completion.
type chatResponse struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *usage   `json:"usage,omitempty"`
}

type choice struct {
	Index        int            `json:"index"`
	Message      answer         `json:"message"`
	LogProbs     jsontext.Value `json:"logprobs"`
	FinishReason string         `json:"finish_reason"`
}

type answer struct {
	Role             string          `json:"role"`
	Content          *string         `json:"content"`
	Refusal          *string         `json:"refusal"`
	ReasoningContent string          `json:"reasoning_content,omitempty"`
	ReasoningDetails []reasoningPart `json:"reasoning_details,omitempty"`
	ToolCalls        []toolCall      `json:"tool_calls,omitempty"`
	FunctionCall     *functionCall   `json:"function_call,omitempty"`
}

type usage struct {
	PromptTokens     int64             `json:"prompt_tokens"`
	CompletionTokens int64             `json:"completion_tokens"`
	TotalTokens      int64             `json:"total_tokens"`
	PromptDetails    *promptDetails    `json:"prompt_tokens_details,omitempty"`
	OutputDetails    *completionDetail `json:"completion_tokens_details,omitempty"`
}

type promptDetails struct {
	CachedTokens     int64 `json:"cached_tokens"`
	CacheWriteTokens int64 `json:"cache_write_tokens,omitzero"`
}

type completionDetail struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

// finishReason is the word for f; the protocol has none for not knowing it.
func finishReason(f chat.Finish, functions bool) string {
	if f == chat.FinishTools && functions {
		return "function_call"
	}
	return cmp.Or(f.String(), chat.FinishStop.String())
}

func writeUsage(u chat.Usage) *usage { return new(usageMemory).write(u) }

// usageMemory is one piece of memory for all parts of a usage.
type usageMemory struct {
	usage  usage
	prompt promptDetails
	output completionDetail
}

func (m *usageMemory) write(u chat.Usage) *usage {
	m.prompt = promptDetails{CachedTokens: u.CacheRead, CacheWriteTokens: u.CacheWrite}
	m.output = completionDetail{ReasoningTokens: u.Reasoning}
	m.usage = usage{
		PromptTokens: u.Prompt, CompletionTokens: u.Completion, TotalTokens: u.Total(),
		PromptDetails: &m.prompt, OutputDetails: &m.output,
	}
	return &m.usage
}

// EncodeChat writes a whole answer for a client, into mem where that is not nil; created is in Unix seconds.
func EncodeChat(mem []byte, r *chat.Response, created int64) ([]byte, error) {
	m := completions.Get().(*completion) //nolint:forcetypeassert // the pool holds nothing else.
	defer m.free()
	m.choice[0].FinishReason = finishReason(r.Finish, r.Functions)
	a := &m.choice[0].Message
	a.Role = "assistant"
	for i := range r.Blocks {
		switch b := &r.Blocks[i]; b.Kind {
		case chat.Thinking:
			a.ReasoningContent += b.Text
			a.ReasoningDetails = append(a.ReasoningDetails, reasoningPart{Type: reasoningText, Text: b.Text, Signature: b.Signature})
		case chat.RedactedThinking:
			a.ReasoningDetails = append(a.ReasoningDetails, reasoningPart{Type: reasoningEncrypted, Data: b.Text})
		case chat.ToolUse:
			a.ToolCalls = append(a.ToolCalls, toolCall{ID: b.ID, Type: "function", Function: &functionCall{Name: b.Name, Arguments: string(b.Input)}})
		default: // text: see textOf
		}
	}
	if m.text = textOf(r.Blocks); m.text != "" || len(a.ToolCalls) == 0 {
		a.Content = &m.text
	}
	if r.Functions && len(a.ToolCalls) > 0 {
		a.ToolCalls, a.FunctionCall = nil, a.ToolCalls[0].Function
	}
	if r.Refusal != "" {
		a.Refusal = &r.Refusal
	}
	m.response = chatResponse{
		ID: r.ID, Object: "chat.completion", Created: created, Model: r.Model,
		Choices: m.choice[:],
	}
	if r.HasUsage {
		m.response.Usage = m.usage.write(r.Usage)
	}
	return chatResponseJSON.MarshalInto(mem, &m.response, r.Source)
}

// completion is one piece of memory for all parts of a whole answer.
type completion struct {
	response chatResponse
	choice   [1]choice
	text     string
	usage    usageMemory
}

// completions are those that nobody uses.
var completions = sync.Pool{New: func() any { return new(completion) }}

func (m *completion) free() {
	if poison.On {
		poison.Value(m)
		return
	}
	*m = completion{}
	completions.Put(m)
}

// textOf returns the text of an answer.
func textOf(blocks []chat.Block) string {
	if len(blocks) == 1 && blocks[0].Kind == chat.Text {
		return blocks[0].Text
	}
	parts := make([]string, 0, 4)
	for i := range blocks {
		if blocks[i].Kind == chat.Text {
			parts = append(parts, blocks[i].Text)
		}
	}
	return strings.Join(parts, "")
}

// ChatEncoder writes a streamed answer, which begins with its start, for a client,
// as server-sent events.
type ChatEncoder struct {
	created      int64
	includeUsage bool
	functions    bool

	prefix   []byte // of every chunk, up to its choices
	thoughts int    // those that have their proof, or are hidden
	thought  []byte // the text of the one in progress, but for the first
	usage    chat.Usage
	counted  bool // the provider has told usage
	finished bool
}

// NewChatEncoder returns an encoder for the answer to what was asked; created is
// in Unix seconds.
func NewChatEncoder(created int64, asked *Head) *ChatEncoder {
	return &ChatEncoder{created: created, includeUsage: asked.IncludeUsage, functions: asked.Functions}
}

// Append appends to dst what the client is to get for e: nothing, or whole
// events.
func (c *ChatEncoder) Append(dst []byte, e chat.Event) []byte {
	switch e.Kind {
	case chat.Start:
		return c.start(dst, e)
	case chat.TextDelta:
		return c.delta(dst, `"content":`, e.Text, "")
	case chat.RefusalDelta:
		return c.delta(dst, `"refusal":`, e.Text, "")
	case chat.ThinkDelta:
		if c.thoughts > 0 {
			c.thought = append(c.thought, e.Text...)
		}
		return c.delta(dst, `"reasoning_content":`, e.Text, "")
	case chat.ThinkSign:
		return c.sign(dst, e.Text)
	case chat.ThinkHidden:
		c.thoughts++
		return c.delta(dst, `"reasoning_details":[{"type":"`+reasoningEncrypted+`","data":`, e.Text, "}]")
	case chat.ToolStart, chat.ToolDelta:
		return c.tool(dst, e)
	case chat.Stop:
		return c.finish(dst, e.Finish)
	case chat.UsageEvent:
		c.usage, c.counted = e.Usage, true
	case chat.End:
		return c.end(dst)
	case chat.Ping:
		return sse.AppendComment(dst, "ping")
	default: // the protocol has no end of a tool call
	}
	return dst
}

// AppendError appends the event that tells the client of a failure in the
// middle of a stream. Nothing follows it.
func (c *ChatEncoder) AppendError(dst []byte, err *chat.Error) []byte {
	return sse.Append(dst, "", EncodeError(err))
}

func (c *ChatEncoder) start(dst []byte, e chat.Event) []byte {
	p := []byte(`data: {"id":`)
	p = append(p, chat.Quote(e.ID)...)
	p = append(p, `,"object":"chat.completion.chunk","created":`...)
	p = strconv.AppendInt(p, c.created, 10)
	p = append(p, `,"model":`...)
	p = append(p, chat.Quote(e.Model)...)
	p = append(p, `,"choices":[`...)
	c.prefix = p
	dst = append(dst, c.prefix...)
	dst = append(dst, `{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]`...)
	return c.close(dst)
}

// delta appends a chunk whose delta is head, text as a JSON string, and tail.
func (c *ChatEncoder) delta(dst []byte, head, text, tail string) []byte {
	dst = append(dst, c.prefix...)
	dst = append(dst, `{"index":0,"delta":{`...)
	dst = append(dst, head...)
	dst = chat.AppendQuote(dst, text)
	dst = append(dst, tail...)
	dst = append(dst, `},"finish_reason":null}]`...)
	return c.close(dst)
}

// sign appends the proof of a thought. The text of the first is what the other
// chunks have said and no detail has: see reasoningBlocks. Others repeat theirs.
func (c *ChatEncoder) sign(dst []byte, signature string) []byte {
	head := `"reasoning_details":[{"type":"` + reasoningText + `",`
	if len(c.thought) > 0 {
		head += `"text":` + chat.Quote(string(c.thought)) + `,`
	}
	c.thoughts, c.thought = c.thoughts+1, c.thought[:0]
	return c.delta(dst, head+`"signature":`, signature, "}]")
}

// tool appends a piece of a tool call. By their older name there is one only.
func (c *ChatEncoder) tool(dst []byte, e chat.Event) []byte {
	start := e.Kind == chat.ToolStart
	switch {
	case c.functions && e.Tool > 0:
		return dst
	case c.functions && start:
		return c.delta(dst, `"function_call":{"name":`, e.Name, `,"arguments":""}`)
	case c.functions:
		return c.delta(dst, `"function_call":{"arguments":`, e.Text, "}")
	case start:
		head := `"tool_calls":[{"index":` + strconv.Itoa(e.Tool) + `,"id":` + chat.Quote(e.ID) + `,"type":"function","function":{"name":`
		return c.delta(dst, head, e.Name, `,"arguments":""}}]`)
	}
	return c.delta(dst, `"tool_calls":[{"index":`+strconv.Itoa(e.Tool)+`,"function":{"arguments":`, e.Text, "}}]")
}

func (c *ChatEncoder) finish(dst []byte, f chat.Finish) []byte {
	if c.finished {
		return dst
	}
	c.finished = true
	dst = append(dst, c.prefix...)
	dst = append(dst, `{"index":0,"delta":{},"finish_reason":"`...)
	dst = append(dst, finishReason(f, c.functions)...)
	dst = append(dst, `"}]`...)
	return c.close(dst)
}

func (c *ChatEncoder) end(dst []byte) []byte {
	if c.includeUsage && c.counted {
		dst = append(dst, c.prefix...)
		dst = append(dst, `],"usage":`...)
		if b, err := usageJSON.Append(dst, writeUsage(c.usage)); err == nil {
			dst = b
		}
		dst = append(dst, "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}

func (c *ChatEncoder) close(dst []byte) []byte {
	if c.includeUsage {
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, "}\n\n"...)
}

// EncodeError writes an error as OpenAI does.
func EncodeError(e *chat.Error) []byte {
	dst := append([]byte(`{"error":{"message":`), chat.Quote(e.Message)...)
	dst = append(dst, `,"type":`...)
	dst = chat.AppendQuote(dst, e.Type)
	dst = append(dst, `,"param":`...)
	dst = appendOptional(dst, e.Param)
	dst = append(dst, `,"code":`...)
	dst = appendOptional(dst, e.Code)
	return append(dst, "}}"...)
}

func appendOptional(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return chat.AppendQuote(dst, s)
}
