package anthropic

import (
	"encoding/base64"
	"strconv"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

func encodeText(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func stopReason(f chat.Finish) string {
	switch f {
	case chat.FinishLength:
		return "max_tokens"
	case chat.FinishTools:
		return "tool_use"
	case chat.FinishFiltered:
		return "refusal"
	case chat.FinishSequence:
		return "stop_sequence"
	default:
		return "end_turn"
	}
}

// writeUsage writes zeros for a usage that the provider did not tell: the protocol
// requires the member and its numbers, and its clients add them up.
func writeUsage(u chat.Usage) usage {
	input := u.Prompt - u.CacheRead - u.CacheWrite
	return usage{InputTokens: &input, CacheCreation: &u.CacheWrite, CacheRead: &u.CacheRead, OutputTokens: &u.Completion}
}

// Encode writes a whole answer for a client.
func Encode(r *chat.Response) ([]byte, error) {
	reason := stopReason(r.Finish)
	out := response{ID: r.ID, Type: "message", Role: "assistant", Model: r.Model, Content: []block{}, StopReason: &reason, Usage: writeUsage(r.Usage)}
	for _, b := range r.Blocks {
		switch b.Kind {
		case chat.Text:
			out.Content = append(out.Content, block{Type: typeText, Text: &b.Text})
		case chat.Thinking:
			out.Content = append(out.Content, block{Type: typeThinking, Thinking: &b.Text, Signature: &b.Signature})
		case chat.RedactedThinking:
			out.Content = append(out.Content, block{Type: typeRedactedThinking, Data: b.Text})
		case chat.ToolUse:
			out.Content = append(out.Content, block{Type: typeToolUse, ID: b.ID, Name: b.Name, Input: b.Input, Caller: &caller{"direct"}})
		default: // an answer has no others
		}
	}
	if r.Refusal != "" {
		out.Content = append(out.Content, block{Type: typeText, Text: &r.Refusal})
	}
	return chat.Marshal(out)
}

// EncodeError writes an error as Anthropic does.
func EncodeError(e *chat.Error) []byte {
	b, err := chat.Marshal(errorBody{Type: "error", Error: &errorDetail{Type: errorType(e.Status), Message: e.Message}})
	if err != nil {
		return []byte(`{"type":"error","error":{"type":"api_error","message":"the gateway could not process the request"}}`)
	}
	return b
}

func errorType(status int) string {
	switch status {
	case 401:
		return "authentication_error"
	case 402:
		return "billing_error"
	case 403:
		return "permission_error"
	case 404:
		return "not_found_error"
	case 413:
		return "request_too_large"
	case 429:
		return "rate_limit_error"
	case 503:
		return "overloaded_error"
	case 504:
		return "timeout_error"
	}
	if status == 424 || status >= 500 { // 424: a model of Bedrock's that failed
		return "api_error"
	}
	return "invalid_request_error"
}

// Encoder writes a streamed answer, which begins with its start, for a client, as
// server-sent events.
type Encoder struct {
	next   int         // index of the next content block
	open   string      // type of the block in progress that is no tool call, or ""
	signed bool        // that block is a thought that has its proof: it is complete
	tools  map[int]int // tool call to its block, while that is in progress
	usage  chat.Usage
	finish chat.Finish
}

// NewEncoder returns an Encoder.
func NewEncoder() *Encoder { return &Encoder{tools: map[int]int{}} }

// Append appends to dst what the client is to get for e: nothing, or whole
// events.
func (c *Encoder) Append(dst []byte, e chat.Event) []byte {
	switch e.Kind {
	case chat.Start:
		return c.start(dst, e)
	case chat.TextDelta, chat.RefusalDelta:
		dst = c.block(dst, typeText, `{"type":"text","text":""}`)
		return c.delta(dst, c.next-1, `{"type":"text_delta","text":`, e.Text)
	case chat.ThinkDelta:
		dst = c.block(dst, typeThinking, `{"type":"thinking","thinking":"","signature":""}`)
		return c.delta(dst, c.next-1, `{"type":"thinking_delta","thinking":`, e.Text)
	case chat.ThinkSign:
		dst = c.block(dst, typeThinking, `{"type":"thinking","thinking":"","signature":""}`)
		c.signed = true
		return c.delta(dst, c.next-1, `{"type":"signature_delta","signature":`, e.Text)
	case chat.ThinkHidden:
		dst = c.block(dst, typeRedactedThinking, `{"type":"redacted_thinking","data":`+chat.Quote(e.Text)+`}`)
		return c.closeBlock(dst)
	case chat.ToolStart:
		dst = c.closeBlock(dst)
		c.tools[e.Tool] = c.next
		return c.startBlock(dst, `{"type":"tool_use","id":`+chat.Quote(e.ID)+`,"name":`+chat.Quote(e.Name)+`,"input":{},"caller":{"type":"direct"}}`)
	case chat.ToolDelta:
		if index, ok := c.tools[e.Tool]; ok {
			return c.delta(dst, index, `{"type":"input_json_delta","partial_json":`, e.Text)
		}
	case chat.ToolEnd:
		if index, ok := c.tools[e.Tool]; ok {
			delete(c.tools, e.Tool)
			return stopBlock(dst, index)
		}
	case chat.Stop:
		c.finish = e.Finish
	case chat.UsageEvent:
		c.usage = e.Usage
	case chat.End:
		return c.end(dst)
	case chat.Ping:
		return sse.Append(dst, "ping", []byte(`{"type":"ping"}`))
	}
	return dst
}

// AppendError appends the event that tells the client of a failure in the
// middle of a stream. Nothing follows it.
func (c *Encoder) AppendError(dst []byte, err *chat.Error) []byte {
	return sse.Append(dst, "error", EncodeError(err))
}

func (c *Encoder) start(dst []byte, e chat.Event) []byte {
	m := response{ID: e.ID, Type: "message", Role: "assistant", Model: e.Model, Content: []block{}, Usage: writeUsage(c.usage)}
	b, err := chat.Marshal(struct {
		Type    string    `json:"type"`
		Message *response `json:"message"`
	}{"message_start", &m})
	if err != nil {
		return dst
	}
	return sse.Append(dst, "message_start", b)
}

// block makes sure that the block in progress is of that type.
func (c *Encoder) block(dst []byte, kind, start string) []byte {
	if c.open == kind && !c.signed {
		return dst
	}
	dst = c.closeBlock(dst)
	c.open = kind
	return c.startBlock(dst, start)
}

func (c *Encoder) startBlock(dst []byte, start string) []byte {
	data := `{"type":"content_block_start","index":` + strconv.Itoa(c.next) + `,"content_block":` + start + `}`
	c.next++
	return sse.Append(dst, "content_block_start", []byte(data))
}

func (c *Encoder) closeBlock(dst []byte) []byte {
	if c.open == "" {
		return dst
	}
	c.open, c.signed = "", false
	return stopBlock(dst, c.next-1)
}

func stopBlock(dst []byte, index int) []byte {
	return sse.Append(dst, "content_block_stop", []byte(`{"type":"content_block_stop","index":`+strconv.Itoa(index)+`}`))
}

func (c *Encoder) delta(dst []byte, index int, head, text string) []byte {
	data := append([]byte(`{"type":"content_block_delta","index":`), strconv.Itoa(index)...)
	data = append(data, `,"delta":`...)
	data = append(data, head...)
	data = append(data, chat.Quote(text)...)
	return sse.Append(dst, "content_block_delta", append(data, "}}"...))
}

func (c *Encoder) end(dst []byte) []byte {
	dst = c.closeBlock(dst)
	b, err := chat.Marshal(struct {
		Type  string `json:"type"`
		Delta any    `json:"delta"`
		Usage usage  `json:"usage"`
	}{"message_delta", struct {
		StopReason   string  `json:"stop_reason"`
		StopSequence *string `json:"stop_sequence"`
	}{stopReason(c.finish), nil}, writeUsage(c.usage)})
	if err != nil {
		return dst
	}
	dst = sse.Append(dst, "message_delta", b)
	return sse.Append(dst, "message_stop", []byte(`{"type":"message_stop"}`))
}
