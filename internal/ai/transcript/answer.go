package transcript

import (
	"encoding/json/jsontext"
	"slices"

	"github.com/citoroute/citoroute/internal/ai/quickjson"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

// Answer takes in one answer as the client gets it, whole or as a stream, and
// keeps as much of it as is put down. Its methods may be called on nil, and then
// do nothing.
type Answer struct {
	scribe *Scribe
	sse    sse.Decoder
	broken bool   // the stream could not be read on
	said   []said // by the number of the choice
	parts  int    // in all of said
	room   int    // bytes that may yet be kept
}

// said is one choice of an answer. The answers of messages and of responses are
// one choice.
type said struct {
	parts  []spoken
	finish string
}

// spoken is a part in the making.
type spoken struct {
	part
	slot  slot
	bytes []byte // of text
}

// slot tells the parts of a choice apart.
type slot struct {
	kind  string
	index int
}

// chunk is a whole answer or an event of a stream, of any protocol.
type chunk struct {
	Type jsontext.Value `json:"type"`

	Choices []choice `json:"choices"` // chat completions

	Index        int            `json:"index"` // messages
	ContentBlock jsontext.Value `json:"content_block"`
	Delta        jsontext.Value `json:"delta"`
	Content      jsontext.Value `json:"content"`
	StopReason   jsontext.Value `json:"stop_reason"`

	OutputIndex int            `json:"output_index"` // responses
	Item        jsontext.Value `json:"item"`
	Response    *response      `json:"response"`
	Output      jsontext.Value `json:"output"`
	Status      jsontext.Value `json:"status"`
}

type choice struct {
	Index        int            `json:"index"`
	Delta        jsontext.Value `json:"delta"`
	Message      jsontext.Value `json:"message"`
	FinishReason jsontext.Value `json:"finish_reason"`
}

type response struct {
	Status jsontext.Value `json:"status"`
}

// delta is a piece of an answer in a stream.
type delta struct {
	Content     jsontext.Value `json:"content"`
	Reasoning   jsontext.Value `json:"reasoning_content"`
	Refusal     jsontext.Value `json:"refusal"`
	ToolCalls   []toolDelta    `json:"tool_calls"`
	Text        jsontext.Value `json:"text"`
	Thinking    jsontext.Value `json:"thinking"`
	PartialJSON jsontext.Value `json:"partial_json"`
	StopReason  jsontext.Value `json:"stop_reason"`
}

type toolDelta struct {
	Index    int            `json:"index"`
	ID       jsontext.Value `json:"id"`
	Function struct {
		Name      jsontext.Value `json:"name"`
		Arguments jsontext.Value `json:"arguments"`
	} `json:"function"`
}

var (
	chunkJSON = quickjson.For[chunk]()
	deltaJSON = quickjson.For[delta]()
)

// Whole takes in a whole answer.
func (a *Answer) Whole(body []byte) {
	if a == nil {
		return
	}
	var in chunk
	if chunkJSON.Unmarshal(body, &in) != nil {
		return
	}
	for i := range in.Choices {
		c := &in.Choices[i]
		m := readMessage(object(c.Message))
		a.whole(c.Index, m.parts)
		a.ends(c.Index, first(c.FinishReason))
	}
	a.whole(0, parts(in.Content))
	for _, item := range nodes(in.Output) {
		a.whole(0, itemParts(&item))
	}
	a.ends(0, first(in.StopReason, in.Status))
}

// itemParts are the parts of an item of a response's output.
func itemParts(item *node) []part {
	if first(item.Type) == "message" {
		return parts(item.Content)
	}
	return []part{readPart(item)}
}

// Write takes in bytes of a stream.
func (a *Answer) Write(p []byte) {
	if a == nil || a.broken {
		return
	}
	err := a.sse.Write(p, func(e sse.Event) error {
		var in chunk
		if chunkJSON.Unmarshal(e.Data, &in) == nil {
			a.event(&in)
		}
		return nil
	})
	a.broken = err != nil
}

// event takes in an event of a stream.
func (a *Answer) event(in *chunk) {
	for i := range in.Choices {
		c := &in.Choices[i]
		a.delta(c.Index, 0, readDelta(c.Delta))
		a.ends(c.Index, first(c.FinishReason))
	}
	switch kind := first(in.Type); kind {
	case "content_block_start":
		a.begins(in.Index, readPart(object(in.ContentBlock)))
	case "content_block_delta":
		a.delta(0, in.Index, readDelta(in.Delta))
	case "message_delta":
		a.ends(0, first(readDelta(in.Delta).StopReason))
	case "response.output_item.added":
		if p := itemParts(object(in.Item)); len(p) == 1 && p[0].kind != typeReasoning {
			a.begins(in.OutputIndex, p[0])
		}
	case "response.output_text.delta":
		a.says(0, slot{typeText, in.OutputIndex}, in.Delta)
	case "response.refusal.delta":
		a.says(0, slot{"refusal", in.OutputIndex}, in.Delta)
	case "response.reasoning_summary_text.delta":
		a.says(0, slot{typeReasoning, in.OutputIndex}, in.Delta)
	case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
		a.says(0, slot{typeToolCall, in.OutputIndex}, in.Delta)
	case "response.completed", "response.incomplete", "response.failed":
		if in.Response != nil {
			a.ends(0, first(in.Response.Status))
		}
	}
}

func readDelta(v jsontext.Value) *delta {
	d := new(delta)
	if v.Kind() != '{' || deltaJSON.Unmarshal(v, d) != nil {
		return new(delta)
	}
	return d
}

// delta takes in a piece of a choice; block is its number, where the protocol
// numbers them.
func (a *Answer) delta(choice, block int, d *delta) {
	a.says(choice, slot{typeReasoning, block}, d.Reasoning)
	a.says(choice, slot{typeReasoning, block}, d.Thinking)
	a.says(choice, slot{typeText, block}, d.Content)
	a.says(choice, slot{typeText, block}, d.Text)
	a.says(choice, slot{"refusal", block}, d.Refusal)
	a.says(choice, slot{typeToolCall, block}, d.PartialJSON)
	for i := range d.ToolCalls {
		t := &d.ToolCalls[i]
		p := a.part(choice, slot{typeToolCall, t.Index})
		if p == nil {
			return
		}
		if id := first(t.ID); id != "" {
			p.id, p.name = id, first(t.Function.Name)
		}
		a.says(choice, slot{typeToolCall, t.Index}, t.Function.Arguments)
	}
}

// begins takes in the begin of a part that is a choice's only one of its number.
func (a *Answer) begins(index int, in part) {
	p := a.part(0, slot{in.kind, index})
	if p == nil {
		return
	}
	text := in.text
	if in.kind == typeToolCall && text == "{}" {
		text = "" // the arguments follow
	}
	in.text, in.size = "", 0
	p.part = in
	a.keep(p, text)
}

// whole takes in the parts of a choice.
func (a *Answer) whole(choice int, in []part) {
	for _, p := range in {
		kept := a.part(choice, slot{p.kind, a.parts})
		if kept == nil {
			return
		}
		text := p.text
		p.text, p.size = "", 0
		kept.part = p
		a.keep(kept, text)
	}
}

// says takes in more of a part; what is no string is nothing.
func (a *Answer) says(choice int, in slot, more jsontext.Value) {
	s, ok := text(more)
	if !ok || s == "" {
		return
	}
	if p := a.part(choice, in); p != nil {
		a.keep(p, s)
	}
}

// keep keeps of s what there is room for.
func (a *Answer) keep(p *spoken, s string) {
	p.size += len(s)
	n := min(len(s), max(a.scribe.options.MaxText+slack-len(p.bytes), 0), a.room)
	p.bytes = append(p.bytes, s[:n]...)
	a.room -= n
}

// part returns a part of a choice, a new one where it is not there yet; nil:
// there are too many.
func (a *Answer) part(choice int, at slot) *spoken {
	c := a.choice(choice)
	if c == nil {
		return nil
	}
	for i := len(c.parts) - 1; i >= 0; i-- {
		if c.parts[i].slot == at {
			return &c.parts[i]
		}
	}
	if a.parts == maxParts {
		return nil
	}
	a.parts++
	c.parts = append(c.parts, spoken{slot: at, part: part{kind: at.kind}})
	return &c.parts[len(c.parts)-1]
}

func (a *Answer) choice(i int) *said {
	if i < 0 || i >= textsPerSide {
		return nil
	}
	for len(a.said) <= i {
		a.said = append(a.said, said{})
	}
	return &a.said[i]
}

func (a *Answer) ends(choice int, reason string) {
	if reason == "" {
		return
	}
	if c := a.choice(choice); c != nil {
		c.finish = reason
	}
}

// finishReason is why the choice ended, in the words of the conventions.
func (c *said) finishReason() string {
	switch c.finish {
	case "", "failed":
		return "error" // also where it broke off
	case "end_turn", "stop_sequence":
		return "stop"
	case "completed": // a response has no word for it
		if slices.ContainsFunc(c.parts, func(p spoken) bool { return p.kind == typeToolCall }) {
			return "tool_call"
		}
		return "stop"
	case "max_tokens", "incomplete":
		return "length"
	case "tool_calls", "tool_use":
		return "tool_call"
	case "refusal":
		return "content_filter"
	}
	return c.finish
}

// done is the part as it is now.
func (p *spoken) done() part {
	out := p.part
	if out.text = string(p.bytes); out.kind == typeToolCall && len(p.bytes) == out.size {
		out.text = plain(out.text)
		out.size = len(out.text)
	}
	return out
}

// Append appends what the answer says, as a JSON member that begins with a
// comma. known are secrets that may be in it.
func (a *Answer) Append(dst []byte, known []string) []byte {
	if a == nil || a.parts == 0 {
		return dst
	}
	w := &writer{a.scribe.redact, known}
	dst = append(dst, `,"gen_ai.output.messages":[`...)
	for i := range a.said {
		c := &a.said[i]
		m := message{role: "assistant", finish: w.name(c.finishReason())}
		for j := range c.parts {
			m.parts = append(m.parts, c.parts[j].done())
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = m.appendTo(dst, w)
	}
	return append(dst, ']')
}
