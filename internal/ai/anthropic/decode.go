package anthropic

import (
	json "encoding/json/v2"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

// Decode reads a whole answer into out, which is empty and whose text shares
// memory with body. w is the request that it answers.
func Decode(w *chat.Wire, body []byte, out *chat.Response) error {
	loan, err := responseJSON.Borrow(body)
	if err != nil {
		in := &response{}
		if chat.UnmarshalAnyhow(body, in) != nil {
			return chat.BadUpstream("the provider's answer is not a message")
		}
		return in.read(w, body, out)
	}
	defer loan.Return()
	return loan.Value.read(w, body, out)
}

// read makes out the answer. Nothing of it is in the memory of in.
func (in *response) read(w *chat.Wire, body []byte, out *chat.Response) error {
	if in.Content == nil && in.StopReason == nil { // no empty answer is made of something else
		return chat.BadUpstream("the provider's answer is not a message")
	}
	out.Source = body
	out.ID, out.Model = strings.Clone(in.ID), strings.Clone(in.Model) // they may be kept
	out.HasUsage = in.Usage.told()
	for i := range in.Content {
		if b, ok := readBlock(w, &in.Content[i]); ok {
			out.Add(b)
		}
	}
	out.Finish = finish(w, in.StopReason)
	if out.Finish == chat.FinishFiltered {
		out.Refusal = refusal(in.StopDetails)
	}
	var total usage
	total.take(&in.Usage)
	out.Usage = total.sum()
	return nil
}

// readBlock converts a block of an answer; ok is false for what only
// Anthropic's own servers call and answer.
func readBlock(w *chat.Wire, in *block) (chat.Block, bool) {
	switch in.Type {
	case typeText:
		return chat.Block{Kind: chat.Text, Text: value(in.Text)}, true
	case typeThinking:
		return chat.Block{Kind: chat.Thinking, Text: value(in.Thinking), Signature: value(in.Signature)}, true
	case typeRedactedThinking:
		return chat.Block{Kind: chat.RedactedThinking, Text: in.Data}, true
	case typeToolUse:
		input := in.Input
		if input.Kind() != '{' {
			input = chat.EmptyObject()
		}
		if in.Name == w.FormatTool && in.Name != "" {
			return chat.Block{Kind: chat.Text, Text: string(input)}, true
		}
		return chat.Block{Kind: chat.ToolUse, ID: in.ID, Name: w.Names.Client(in.Name), Input: chat.Compact(input)}, true
	}
	return chat.Block{}, false
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func finish(w *chat.Wire, reason *string) chat.Finish {
	switch value(reason) {
	case "max_tokens", "model_context_window_exceeded":
		return chat.FinishLength
	case "tool_use":
		if w.FormatTool != "" {
			return chat.FinishStop
		}
		return chat.FinishTools
	case "refusal":
		return chat.FinishFiltered
	}
	return chat.FinishStop // end_turn, stop_sequence, pause_turn, and what is not known yet
}

func refusal(d *stopDetails) string {
	if d == nil {
		return ""
	}
	return d.Explanation
}

// take overwrites what is present in u: counts are cumulative over a stream.
func (t *usage) take(u *usage) {
	set := func(dst **int64, src *int64) {
		if src != nil {
			*dst = src
		}
	}
	set(&t.InputTokens, u.InputTokens)
	set(&t.CacheCreation, u.CacheCreation)
	set(&t.CacheRead, u.CacheRead)
	set(&t.OutputTokens, u.OutputTokens)
	if u.OutputTokensDetails != nil {
		if t.OutputTokensDetails == nil {
			t.OutputTokensDetails = &outputDetails{}
		}
		set(&t.OutputTokensDetails.ThinkingTokens, u.OutputTokensDetails.ThinkingTokens)
	}
}

// told says whether the provider has told a usage.
func (t *usage) told() bool { return t.InputTokens != nil || t.OutputTokens != nil }

// sum converts to our counting, in which the prompt includes the cache.
func (t *usage) sum() chat.Usage {
	get := func(n *int64) int64 {
		if n == nil {
			return 0
		}
		return chat.Count(*n)
	}
	out := chat.Usage{CacheRead: get(t.CacheRead), CacheWrite: get(t.CacheCreation), Completion: get(t.OutputTokens)}
	out.Prompt = get(t.InputTokens) + out.CacheRead + out.CacheWrite
	if d := t.OutputTokensDetails; d != nil {
		out.Reasoning = min(get(d.ThinkingTokens), out.Completion)
	}
	return out
}

// Error reads an answer whose status is not 2xx.
func Error(status int, body []byte) *chat.Error {
	if status == 529 { // Anthropic's own for an overload
		status = 503
	}
	var in errorBody
	if err := json.Unmarshal(body, &in); err != nil || in.Error == nil {
		return chat.ProviderError(status, "", string(body))
	}
	return chat.ProviderError(status, in.Error.Type, in.Error.Message)
}

// streamError reads the error event of a stream.
func streamError(d *errorDetail) *chat.Error {
	if d == nil {
		return chat.BadUpstream("the provider reported an error without saying which")
	}
	status, ok := map[string]int{
		"invalid_request_error": 400,
		"authentication_error":  401,
		"billing_error":         402,
		"permission_error":      403,
		"not_found_error":       404,
		"request_too_large":     413,
		"rate_limit_error":      429,
		"timeout_error":         504,
		"overloaded_error":      503,
	}[d.Type]
	if !ok {
		status = 500
	}
	return chat.ProviderError(status, d.Type, d.Message)
}

// Decoder reads a streamed answer.
type Decoder struct {
	wire  *chat.Wire
	sse   sse.Decoder
	usage usage
	tools int             // tool calls so far
	open  map[int]*opened // content blocks that have begun and not ended, by index
	ended bool
}

// opened is a content block in progress.
type opened struct {
	tool     int  // its number among the tool calls, or -1
	hidden   bool // an Anthropic server's own tool
	asText   bool // the tool that stands in for a response format
	hasInput bool
}

// NewDecoder returns a Decoder for the answer to w.
func NewDecoder(w *chat.Wire) *Decoder { return &Decoder{wire: w, open: map[int]*opened{}} }

// Write feeds bytes of the stream and calls emit for every event that they
// complete. The error is emit's, or a *chat.Error: the provider's own, or for
// a stream that cannot be read.
func (d *Decoder) Write(p []byte, emit func(chat.Event) error) error {
	return d.sse.Write(p, func(e sse.Event) error {
		if d.ended {
			return nil // some servers say "[DONE]" here, as OpenAI does
		}
		var in event
		if !readEvent(e.Data, &in) {
			return chat.BadUpstream("an event of the provider's stream is not valid")
		}
		if in.Type == "" {
			in.Type = string(e.Name)
		}
		return d.event(&in, emit)
	})
}

// readEvent reads an event into in, which is empty.
func readEvent(data []byte, in *event) bool {
	if eventJSON.Unmarshal(data, in) == nil {
		return true
	}
	*in = event{}
	return chat.UnmarshalAnyhow(data, in) == nil
}

// Close is called at the end of the stream; it returns an error for one that
// broke off.
func (d *Decoder) Close(func(chat.Event) error) error {
	if !d.ended {
		return chat.Truncated()
	}
	return nil
}

func (d *Decoder) event(in *event, emit func(chat.Event) error) error {
	switch in.Type {
	case "message_start":
		if in.Message == nil {
			return chat.BadUpstream("the provider's stream starts without a message")
		}
		d.usage.take(&in.Message.Usage)
		if err := emit(chat.Event{Kind: chat.Start, ID: in.Message.ID, Model: in.Message.Model}); err != nil {
			return err
		}
		return d.tellUsage(emit)
	case "content_block_start":
		return d.start(in, emit)
	case "content_block_delta":
		return d.delta(in, emit)
	case "content_block_stop":
		return d.stop(in.Index, emit)
	case "message_delta":
		if in.Usage != nil {
			d.usage.take(in.Usage)
		}
		return d.messageDelta(in.Delta, emit)
	case "message_stop":
		d.ended = true
		return emit(chat.Event{Kind: chat.End})
	case "ping":
		return emit(chat.Event{Kind: chat.Ping})
	case "error":
		return streamError(in.Error)
	}
	return nil
}

func (d *Decoder) tellUsage(emit func(chat.Event) error) error {
	if !d.usage.told() {
		return nil
	}
	return emit(chat.Event{Kind: chat.UsageEvent, Usage: d.usage.sum()})
}

func (d *Decoder) messageDelta(in *delta, emit func(chat.Event) error) error {
	if err := d.tellUsage(emit); err != nil {
		return err
	}
	if in == nil || in.StopReason == nil {
		return nil
	}
	reason := finish(d.wire, in.StopReason)
	if text := refusal(in.StopDetails); reason == chat.FinishFiltered && text != "" {
		if err := emit(chat.Event{Kind: chat.RefusalDelta, Text: text}); err != nil {
			return err
		}
	}
	return emit(chat.Event{Kind: chat.Stop, Finish: reason})
}

func (d *Decoder) start(in *event, emit func(chat.Event) error) error {
	b := in.ContentBlock
	if b == nil {
		return chat.BadUpstream("a content block of the provider's stream has no type")
	}
	o := &opened{tool: -1}
	d.open[in.Index] = o
	switch b.Type {
	case typeText:
		return text(emit, chat.TextDelta, value(b.Text))
	case typeThinking:
		return text(emit, chat.ThinkDelta, value(b.Thinking))
	case typeRedactedThinking:
		return text(emit, chat.ThinkHidden, b.Data)
	case typeToolUse:
		return d.startTool(o, b, emit)
	default:
		o.hidden = true
		return nil
	}
}

func (d *Decoder) startTool(o *opened, b *block, emit func(chat.Event) error) error {
	if o.asText = b.Name == d.wire.FormatTool && b.Name != ""; !o.asText {
		o.tool = d.tools
		d.tools++
		if err := emit(chat.Event{Kind: chat.ToolStart, Tool: o.tool, ID: b.ID, Name: d.wire.Names.Client(b.Name)}); err != nil {
			return err
		}
	}
	if b.Input.Kind() != '{' || strings.TrimSpace(string(b.Input[1:len(b.Input)-1])) == "" {
		return nil // it comes in pieces
	}
	return o.input(string(b.Input), emit)
}

// input emits a piece of a tool's arguments.
func (o *opened) input(s string, emit func(chat.Event) error) error {
	if s == "" {
		return nil
	}
	o.hasInput = true
	if o.asText {
		return emit(chat.Event{Kind: chat.TextDelta, Text: s})
	}
	return emit(chat.Event{Kind: chat.ToolDelta, Tool: o.tool, Text: s})
}

func (d *Decoder) delta(in *event, emit func(chat.Event) error) error {
	if in.Delta == nil {
		return nil
	}
	o := d.open[in.Index]
	if o == nil {
		o = &opened{tool: -1}
	}
	if o.hidden {
		return nil
	}
	switch in.Delta.Type {
	case "text_delta":
		return text(emit, chat.TextDelta, in.Delta.Text)
	case "thinking_delta":
		return text(emit, chat.ThinkDelta, in.Delta.Thinking)
	case "signature_delta":
		return text(emit, chat.ThinkSign, in.Delta.Signature)
	case "input_json_delta":
		if o.asText || o.tool >= 0 {
			return o.input(in.Delta.PartialJSON, emit)
		}
	}
	return nil
}

func (d *Decoder) stop(index int, emit func(chat.Event) error) error {
	o := d.open[index]
	delete(d.open, index)
	if o == nil || o.tool < 0 && !o.asText {
		return nil
	}
	if !o.hasInput {
		if err := o.input("{}", emit); err != nil {
			return err
		}
	}
	if o.asText {
		return nil
	}
	return emit(chat.Event{Kind: chat.ToolEnd, Tool: o.tool})
}

// text emits an event unless it says nothing.
func text(emit func(chat.Event) error, kind chat.EventKind, s string) error {
	if s == "" {
		return nil
	}
	return emit(chat.Event{Kind: kind, Text: s})
}
