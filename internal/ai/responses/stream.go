package responses

import (
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

// Encoder writes a streamed answer, which begins with its start, for a client, as
// server-sent events. The protocol repeats whole texts at their end, so it holds the
// answer: memory grows with it.
type Encoder struct {
	created  int64
	response *response
	sequence int
	open     *progress         // the message or thought in progress
	tools    map[int]*progress // tool calls in progress, by number
	finish   chat.Finish
	usage    chat.Usage
	counted  bool
}

// progress is an output item that has not ended.
type progress struct {
	item    output
	index   int
	refusal bool
	text    strings.Builder
}

// NewEncoder returns an Encoder; created is in Unix seconds.
func NewEncoder(created int64) *Encoder {
	return &Encoder{created: created, tools: map[int]*progress{}}
}

// Append appends to dst what the client is to get for e: nothing, or whole
// events.
func (c *Encoder) Append(dst []byte, e chat.Event) []byte {
	switch e.Kind {
	case chat.Start:
		return c.start(dst, e)
	case chat.TextDelta:
		return c.text(dst, "message", e.Text, false)
	case chat.RefusalDelta:
		return c.text(dst, "message", e.Text, true)
	case chat.ThinkDelta:
		return c.text(dst, "reasoning", e.Text, false)
	case chat.ThinkSign:
		dst = c.begin(dst, "reasoning", false)
		c.open.item.EncryptedContent = markSignature + e.Text
		return c.end(dst)
	case chat.ThinkHidden:
		dst = c.end(dst)
		dst = c.begin(dst, "reasoning", false)
		c.open.item.EncryptedContent = markRedacted + e.Text
		return c.end(dst)
	case chat.ToolStart, chat.ToolDelta, chat.ToolEnd:
		return c.tool(dst, e)
	case chat.Stop:
		c.finish = e.Finish
		return c.end(dst)
	case chat.UsageEvent:
		c.usage, c.counted = e.Usage, true
	case chat.End:
		return c.complete(dst)
	case chat.Ping:
		return sse.AppendComment(dst, "ping")
	}
	return dst
}

// AppendError appends the event that tells the client of a failure in the
// middle of a stream. Nothing follows it.
func (c *Encoder) AppendError(dst []byte, err *chat.Error) []byte {
	code := err.Code
	if code == "" {
		code = err.Type
	}
	return c.event(dst, "error", `"code":`+chat.Quote(code)+`,"message":`+chat.Quote(err.Message)+`,"param":null`)
}

// event appends one event; members are those besides type and sequence_number.
func (c *Encoder) event(dst []byte, kind, members string) []byte {
	data := `{"type":"` + kind + `","sequence_number":` + strconv.Itoa(c.sequence) + `,` + members + `}`
	c.sequence++
	return sse.Append(dst, kind, []byte(data))
}

// with appends an event that holds v under name, after members.
func (c *Encoder) with(dst []byte, kind, members, name string, v any) []byte {
	b, err := chat.Marshal(v)
	if err != nil { // plain structs of strings: it cannot happen
		return dst
	}
	if members != "" {
		members += ","
	}
	return c.event(dst, kind, members+`"`+name+`":`+string(b))
}

func (c *Encoder) start(dst []byte, e chat.Event) []byte {
	c.response = newResponse(e.ID, e.Model, "in_progress", c.created)
	dst = c.with(dst, "response.created", "", "response", c.response)
	return c.with(dst, "response.in_progress", "", "response", c.response)
}

func (c *Encoder) add(dst []byte, item output, prefix string) ([]byte, *progress) {
	p := &progress{item: item, index: len(c.response.Output)}
	p.item.ID = prefix + strings.TrimPrefix(c.response.ID, "resp_") + "_" + strconv.Itoa(p.index)
	c.response.Output = append(c.response.Output, p.item) // keeps its place; the whole item comes at its end
	return c.with(dst, "response.output_item.added", `"output_index":`+strconv.Itoa(p.index), "item", p.item), p
}

// at names an item; inner names its first part.
func (p *progress) at() string {
	return `"item_id":` + chat.Quote(p.item.ID) + `,"output_index":` + strconv.Itoa(p.index)
}

func (p *progress) inner() string {
	if p.item.Type == "reasoning" {
		return p.at() + `,"summary_index":0`
	}
	return p.at() + `,"content_index":0`
}

// part is the item's first part with its text so far.
func (p *progress) part() any {
	switch {
	case p.item.Type == "reasoning":
		return summary{"summary_text", p.text.String()}
	case p.refusal:
		return refusalPart(p.text.String())
	}
	return textPart(p.text.String())
}

// events are the names of an item's events: those of its part, and those of
// the part's text.
func (p *progress) events() (part, text string) {
	switch {
	case p.item.Type == "reasoning":
		return "response.reasoning_summary_part", "response.reasoning_summary_text"
	case p.refusal:
		return "response.content_part", "response.refusal"
	}
	return "response.content_part", "response.output_text"
}

// begin makes sure that the item in progress is of that kind.
func (c *Encoder) begin(dst []byte, kind string, refusal bool) []byte {
	if c.open != nil && c.open.item.Type == kind && c.open.refusal == refusal {
		return dst
	}
	dst = c.end(dst)
	item, prefix := output{Type: kind, Status: "in_progress", Role: "assistant", Content: []messagePart{}}, "msg_"
	if kind == "reasoning" {
		item, prefix = output{Type: kind, Summary: []summary{}}, "rs_"
	}
	dst, c.open = c.add(dst, item, prefix)
	c.open.refusal = refusal
	return dst
}

func (c *Encoder) text(dst []byte, kind, s string, refusal bool) []byte {
	dst = c.begin(dst, kind, refusal)
	p := c.open
	part, text := p.events()
	if p.text.Len() == 0 {
		dst = c.with(dst, part+".added", p.inner(), "part", p.part())
	}
	p.text.WriteString(s)
	members := p.inner() + `,"delta":` + chat.Quote(s)
	if kind == "message" && !refusal {
		members += `,"logprobs":[]`
	}
	return c.event(dst, text+".delta", members)
}

// end ends the message or thought in progress.
func (c *Encoder) end(dst []byte) []byte {
	p := c.open
	if p == nil {
		return dst
	}
	c.open = nil
	if p.text.Len() > 0 {
		part, text := p.events()
		name, logprobs := "text", ""
		switch {
		case p.refusal:
			name = "refusal"
		case p.item.Type == "message":
			logprobs = `,"logprobs":[]`
		}
		dst = c.event(dst, text+".done", p.inner()+`,"`+name+`":`+chat.Quote(p.text.String())+logprobs)
		dst = c.with(dst, part+".done", p.inner(), "part", p.part())
		switch whole := p.part().(type) {
		case summary:
			p.item.Summary = []summary{whole}
		case messagePart:
			p.item.Content = []messagePart{whole}
		}
	}
	return c.done(dst, p)
}

// done ends an item and keeps it for the whole answer.
func (c *Encoder) done(dst []byte, p *progress) []byte {
	if p.item.Status != "" {
		p.item.Status = status(c.finish) // which is known where it is the last item
	}
	c.response.Output[p.index] = p.item
	return c.with(dst, "response.output_item.done", `"output_index":`+strconv.Itoa(p.index), "item", p.item)
}

func (c *Encoder) tool(dst []byte, e chat.Event) []byte {
	if e.Kind == chat.ToolStart {
		dst = c.end(dst)
		empty := ""
		dst, c.tools[e.Tool] = c.add(dst, output{Type: "function_call", Status: "in_progress", CallID: e.ID, Name: e.Name, Arguments: &empty}, "fc_")
		return dst
	}
	p := c.tools[e.Tool]
	if p == nil {
		return dst
	}
	if e.Kind == chat.ToolDelta {
		p.text.WriteString(e.Text)
		return c.event(dst, "response.function_call_arguments.delta", p.at()+`,"delta":`+chat.Quote(e.Text))
	}
	delete(c.tools, e.Tool)
	arguments := p.text.String()
	p.item.Arguments = &arguments
	dst = c.event(dst, "response.function_call_arguments.done", p.at()+`,"arguments":`+chat.Quote(arguments))
	return c.done(dst, p)
}

func (c *Encoder) complete(dst []byte) []byte {
	dst = c.end(dst)
	c.response.settle(c.finish)
	if c.counted {
		c.response.Usage = writeUsage(c.usage)
	}
	return c.with(dst, "response."+c.response.Status, "", "response", c.response)
}
