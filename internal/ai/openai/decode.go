package openai

import (
	"cmp"
	"encoding/json/jsontext"
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/quickjson"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

// chunk is the data of an event of OpenAI's stream, and a whole answer: the
// members that either has.
type chunk struct {
	ID      string        `json:"id"`
	Model   string        `json:"model"`
	Choices []chunkChoice `json:"choices"`
	Usage   *usage        `json:"usage"`
	Error   *errorDetail  `json:"error"`
}

type chunkChoice struct {
	Delta        chunkDelta `json:"delta"`
	Message      chunkDelta `json:"message"`
	FinishReason *string    `json:"finish_reason"`
}

type chunkDelta struct {
	Role             string  `json:"role"`
	Content          *string `json:"content"`
	Refusal          *string `json:"refusal"`
	ReasoningContent *string `json:"reasoning_content"`
	// Reasoning is how other servers call ReasoningContent; with some it is no text.
	Reasoning        jsontext.Value  `json:"reasoning"`
	ReasoningDetails []reasoningPart `json:"reasoning_details"`
	ToolCalls        []toolCall      `json:"tool_calls"`

	// Rest is every other member, like audio: nothing that is translated.
	Rest jsontext.Value `json:",embed"`
}

// readChunk reads an event of a stream.
func readChunk(data []byte) (*chunk, error) {
	in := &chunk{}
	if chunkJSON.Unmarshal(data, in) != nil {
		in = &chunk{}
		if chat.UnmarshalAnyhow(data, in) != nil {
			in = &chunk{Error: errorIn(data)}
			if in.Error == nil {
				return nil, chat.BadUpstream("an event of the provider's stream is not valid")
			}
		}
	}
	if len(in.Choices) == 0 && in.Usage == nil && in.Error == nil {
		in.Error = errorIn(data)
	}
	return in, nil
}

type errorDetail struct {
	Message string         `json:"message"`
	Type    string         `json:"type"`
	Code    jsontext.Value `json:"code"`
	Param   *string        `json:"param"`
}

func readUsage(u *usage) chat.Usage {
	out := chat.Usage{Prompt: chat.Count(u.PromptTokens), Completion: chat.Count(u.CompletionTokens)}
	if d := u.PromptDetails; d != nil {
		out.CacheRead = min(chat.Count(d.CachedTokens), out.Prompt)
		out.CacheWrite = min(chat.Count(d.CacheWriteTokens), out.Prompt-out.CacheRead)
	}
	if d := u.OutputDetails; d != nil {
		out.Reasoning = min(chat.Count(d.ReasoningTokens), out.Completion)
	}
	return out
}

// readFinish reads a finish reason; called says that the answer has tool calls.
// With a call that the client demanded OpenAI says "stop".
func readFinish(reason string, called bool) chat.Finish {
	switch reason {
	case "length":
		return chat.FinishLength
	case "tool_calls", "function_call":
		return chat.FinishTools
	case "content_filter":
		return chat.FinishFiltered
	}
	if called {
		return chat.FinishTools
	}
	return chat.FinishStop
}

// DecodeChat reads a whole answer of OpenAI into out, which is empty.
func DecodeChat(w *chat.Wire, body []byte, out *chat.Response) error {
	var in chunk
	if err := chat.UnmarshalAnyhow(body, &in); err != nil || len(in.Choices) == 0 {
		return cmp.Or(Failure(body), chat.BadUpstream("the provider's answer is not a chat completion"))
	}
	c := in.Choices[0]
	out.ID, out.Model, out.Refusal = in.ID, in.Model, value(c.Message.Refusal)
	out.Finish = readFinish(value(c.FinishReason), len(c.Message.ToolCalls) > 0)
	if out.Refusal != "" {
		out.Finish = chat.FinishFiltered
	}
	if in.Usage != nil {
		out.Usage, out.HasUsage = readUsage(in.Usage), true
	}
	thoughts := c.Message.thoughts()
	m := message{ReasoningContent: &thoughts, ReasoningDetails: c.Message.ReasoningDetails}
	out.Blocks = reasoningBlocks(&m)
	if s := value(c.Message.Content); s != "" {
		out.Blocks = append(out.Blocks, chat.Block{Kind: chat.Text, Text: s})
	}
	for _, t := range c.Message.ToolCalls {
		if t.Function == nil {
			continue
		}
		input, err := arguments("tool_calls", t.Function.Arguments)
		if err != nil && out.Finish == chat.FinishLength {
			continue // it was cut off, and the client is told so
		}
		if err != nil {
			return chat.BadUpstream("the arguments of a tool call in the provider's answer are not a JSON object")
		}
		out.Blocks = append(out.Blocks, chat.Block{Kind: chat.ToolUse, ID: t.ID, Name: w.Names.Client(t.Function.Name), Input: input})
	}
	return nil
}

// thoughts are what the model thinks.
func (d *chunkDelta) thoughts() string {
	if d.ReasoningContent != nil || d.Reasoning.Kind() != '"' {
		return value(d.ReasoningContent)
	}
	text, err := quickjson.String(d.Reasoning)
	if err != nil { // it was read as JSON before
		return ""
	}
	return text
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// Error reads an answer whose status is not 2xx.
func Error(status int, body []byte) *chat.Error {
	d := errorIn(body)
	if d == nil {
		return chat.ProviderError(status, "", string(body))
	}
	return readError(status, d)
}

// Failure is the error that an answer with status 200 holds instead of what was
// asked for; nil where it holds none.
func Failure(body []byte) *chat.Error {
	d := errorIn(body)
	if d == nil {
		return nil
	}
	return chat.BadUpstream("the provider answered with an error: %s", chat.ProviderError(502, "", d.Message).Message)
}

// errorIn finds the error in a body or event: OpenAI's object, or what other
// servers have in its place: a text, or its members beside "object": "error".
// It returns nil where there is none.
func errorIn(body []byte) *errorDetail {
	var in struct {
		Error  jsontext.Value `json:"error"`
		Object jsontext.Value `json:"object"`
	}
	if chat.UnmarshalAnyhow(body, &in) != nil {
		return nil
	}
	var d errorDetail
	switch {
	case in.Error.Kind() == '"':
		return &errorDetail{Message: quickjson.Text(in.Error)}
	case in.Error.Kind() == '{' && chat.UnmarshalAnyhow(in.Error, &d) == nil,
		string(in.Object) == `"error"` && chat.UnmarshalAnyhow(body, &d) == nil:
		return &d
	}
	return nil
}

func readError(status int, d *errorDetail) *chat.Error {
	code := strings.Trim(string(present(d.Code)), `"`)
	e := chat.ProviderError(status, code, d.Message)
	e.Param = value(d.Param)
	if d.Type != "" {
		e.Type = d.Type
	}
	return e
}

// ChatDecoder reads a streamed answer of OpenAI.
type ChatDecoder struct {
	wire    *chat.Wire
	sse     sse.Decoder
	started bool
	ended   bool
	refused bool
	calls   int    // tool calls that have started: the newest is calls-1
	call    string // the identifier of the newest
	index   int    // its number in the provider's stream
	filled  bool   // it has arguments
}

// NewChatDecoder returns a decoder for the answer to w.
func NewChatDecoder(w *chat.Wire) *ChatDecoder { return &ChatDecoder{wire: w} }

// Write feeds bytes of the stream and calls emit for every event that they
// complete. The error is emit's, or a *chat.Error.
func (d *ChatDecoder) Write(p []byte, emit func(chat.Event) error) error {
	return d.sse.Write(p, func(e sse.Event) error {
		if d.ended {
			return nil
		}
		if string(e.Data) == "[DONE]" {
			d.ended = true
			return emit(chat.Event{Kind: chat.End})
		}
		in, err := readChunk(e.Data)
		if err != nil {
			return err
		}
		if in.Error != nil {
			return readError(errorStatus(in.Error), in.Error)
		}
		return d.chunk(in, emit)
	})
}

// errorStatus is the status for an error that came in a stream, whose own
// status was 200.
func errorStatus(d *errorDetail) int {
	code := strings.Trim(string(d.Code), `"`)
	if n, err := strconv.Atoi(code); err == nil && n >= 400 && n <= 599 { // as other servers have it
		return n
	}
	if code == chat.CodeRateLimit {
		return 429
	}
	switch d.Type {
	case chat.TypeInvalidRequest:
		return 400
	case chat.TypeRateLimit, "insufficient_quota", "tokens", "requests":
		return 429
	}
	return 502
}

// Close is called at the end of the stream; it returns an error for one that
// broke off.
func (d *ChatDecoder) Close(func(chat.Event) error) error {
	if !d.ended {
		return chat.Truncated()
	}
	return nil
}

func (d *ChatDecoder) chunk(in *chunk, emit func(chat.Event) error) error {
	var events []chat.Event
	if !d.started && len(in.Choices) > 0 { // Azure's first chunk has none, nor an identifier
		d.started = true
		events = append(events, chat.Event{Kind: chat.Start, ID: in.ID, Model: in.Model})
	}
	for i := range in.Choices {
		var err error
		if events, err = d.delta(events, &in.Choices[i]); err != nil {
			return err
		}
	}
	if in.Usage != nil {
		events = append(events, chat.Event{Kind: chat.UsageEvent, Usage: readUsage(in.Usage)})
	}
	for _, e := range events {
		if err := emit(e); err != nil {
			return err
		}
	}
	return nil
}

func (d *ChatDecoder) delta(events []chat.Event, c *chunkChoice) ([]chat.Event, error) {
	say := func(kind chat.EventKind, s string) {
		if s != "" {
			events = append(events, chat.Event{Kind: kind, Text: s})
		}
	}
	say(chat.ThinkDelta, c.Delta.thoughts())
	for _, r := range c.Delta.ReasoningDetails {
		say(chat.ThinkSign, r.Signature)
		say(chat.ThinkHidden, r.Data)
	}
	say(chat.TextDelta, value(c.Delta.Content))
	if refusal := value(c.Delta.Refusal); refusal != "" {
		d.refused = true
		say(chat.RefusalDelta, refusal)
	}
	for i := range c.Delta.ToolCalls {
		var err error
		if events, err = d.tool(events, &c.Delta.ToolCalls[i]); err != nil {
			return nil, err
		}
	}
	if c.FinishReason == nil {
		return events, nil
	}
	finish := readFinish(*c.FinishReason, d.calls > 0)
	if d.refused {
		finish = chat.FinishFiltered
	}
	return append(d.endTool(events), chat.Event{Kind: chat.Stop, Finish: finish}), nil
}

// tool reads a piece of a tool call. Calls come one after the other: a client
// of another protocol has no way to hear more of one that has ended. An
// identifier that is new begins the next call, since not every server numbers
// its calls.
func (d *ChatDecoder) tool(events []chat.Event, t *toolCall) ([]chat.Event, error) {
	if t.Function == nil {
		return events, nil
	}
	if t.ID != "" && t.ID != d.call {
		events = d.endTool(events)
		d.calls, d.call, d.filled = d.calls+1, t.ID, false
		if t.Index != nil {
			d.index = *t.Index
		}
		events = append(events, chat.Event{Kind: chat.ToolStart, Tool: d.calls - 1, ID: t.ID, Name: d.wire.Names.Client(t.Function.Name)})
	}
	switch {
	case t.Function.Arguments == "":
		return events, nil
	case d.calls == 0:
		return nil, chat.BadUpstream("the provider's stream has arguments of no tool call")
	case t.Index != nil && *t.Index != d.index:
		return nil, chat.BadUpstream("the provider's stream goes on with tool call %d, which is not the one in progress", *t.Index)
	}
	d.filled = true
	return append(events, chat.Event{Kind: chat.ToolDelta, Tool: d.calls - 1, Text: t.Function.Arguments}), nil
}

// endTool ends the tool call in progress; one without arguments has an empty
// object.
func (d *ChatDecoder) endTool(events []chat.Event) []chat.Event {
	if d.calls == 0 {
		return events
	}
	if !d.filled {
		events = append(events, chat.Event{Kind: chat.ToolDelta, Tool: d.calls - 1, Text: "{}"})
	}
	return append(events, chat.Event{Kind: chat.ToolEnd, Tool: d.calls - 1})
}
