package bedrock

import (
	json "encoding/json/v2"
	"maps"
	"slices"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/eventstream"
)

// streamStatus is the status of each exception of a stream.
var streamStatus = map[string]int{
	"internalServerException":     500,
	"modelStreamErrorException":   424,
	"validationException":         400,
	"throttlingException":         429,
	"serviceUnavailableException": 503,
	"modelTimeoutException":       504,
}

func streamError(m eventstream.Message) *chat.Error {
	if m.Headers[":message-type"] == "error" {
		return providerError(502, m.Headers[":error-code"], m.Headers[":error-message"])
	}
	name := m.Headers[":exception-type"]
	var in failure
	_ = json.Unmarshal(m.Payload, &in) // without a message the name must do
	status, ok := streamStatus[name]
	if !ok {
		status = 502
	}
	if name == "modelStreamErrorException" && in.OriginalStatus >= 400 && in.OriginalStatus < 600 {
		status = in.OriginalStatus
	}
	return providerError(status, name, in.text())
}

// Decoder reads a streamed answer.
type Decoder struct {
	wire    *chat.Wire
	frames  eventstream.Decoder
	tools   int
	open    map[int]*opened // content blocks that have begun and not ended, by index
	stopped bool
	spoilt  error // the model's answer is malformed: told when its usage is known
}

// opened is a tool call in progress.
type opened struct {
	tool     int
	asText   bool // the tool that stands in for a response format
	hasInput bool
}

// NewDecoder returns a Decoder for the answer to w.
func NewDecoder(w *chat.Wire) *Decoder { return &Decoder{wire: w, open: map[int]*opened{}} }

// Write feeds bytes of the stream and calls emit for every event that they
// complete. The error is emit's, or a *chat.Error.
func (d *Decoder) Write(p []byte, emit func(chat.Event) error) error {
	var ours error // emit's, or the provider's: everything else is a broken frame
	err := d.frames.Write(p, func(m eventstream.Message) error {
		ours = d.message(m, emit)
		return ours
	})
	if err != nil && ours == nil {
		return chat.BadUpstream("the provider's stream cannot be read: %v", err)
	}
	return err
}

// Close is called at the end of the stream: only now is it known that no usage
// is to come. It returns an error for a stream that broke off.
func (d *Decoder) Close(emit func(chat.Event) error) error {
	if !d.stopped || d.frames.Pending() {
		return chat.Truncated()
	}
	if d.spoilt != nil {
		return d.spoilt
	}
	return emit(chat.Event{Kind: chat.End})
}

func (d *Decoder) message(m eventstream.Message, emit func(chat.Event) error) error {
	if kind := m.Headers[":message-type"]; kind == "exception" || kind == "error" {
		return streamError(m)
	}
	switch m.Headers[":event-type"] {
	case "messageStart":
		return emit(chat.Event{Kind: chat.Start, ID: answerID(d.wire), Model: shownModel(d.wire.Model)})
	case "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata":
	default:
		return nil // there may be new ones, of any form
	}
	var in event
	if err := eventJSON.Unmarshal(m.Payload, &in); err != nil {
		return chat.BadUpstream("an event of the provider's stream is not valid")
	}
	switch m.Headers[":event-type"] {
	case "contentBlockStart":
		return d.start(&in, emit)
	case "contentBlockDelta":
		return d.delta(&in, emit)
	case "contentBlockStop":
		return d.stop(in.ContentBlockIndex, emit)
	case "messageStop":
		d.stopped, d.spoilt = true, malformed(in.StopReason)
		if d.spoilt == nil {
			return d.end(in.StopReason, emit)
		}
	case "metadata":
		return d.metadata(in.Usage, emit)
	}
	return nil
}

// end is the end of the answer, and so of what did not say that it ends.
func (d *Decoder) end(reason string, emit func(chat.Event) error) error {
	for _, index := range slices.Sorted(maps.Keys(d.open)) {
		if err := d.stop(index, emit); err != nil {
			return err
		}
	}
	return emit(chat.Event{Kind: chat.Stop, Finish: finish(reason, d.tools > 0)})
}

// metadata is the last event of a stream.
func (d *Decoder) metadata(u *usage, emit func(chat.Event) error) error {
	if u != nil {
		if err := emit(chat.Event{Kind: chat.UsageEvent, Usage: readUsage(u)}); err != nil {
			return err
		}
	}
	return d.spoilt
}

func (d *Decoder) start(in *event, emit func(chat.Event) error) error {
	t := in.Start.ToolUse
	if t == nil || t.Type == serverTool {
		return nil
	}
	if d.wire.FormatTool != "" && t.Name == d.wire.FormatTool {
		d.open[in.ContentBlockIndex] = &opened{asText: true}
		return nil
	}
	o := &opened{tool: d.tools}
	d.open[in.ContentBlockIndex] = o
	d.tools++
	return emit(chat.Event{Kind: chat.ToolStart, Tool: o.tool, ID: t.ToolUseID, Name: d.wire.Names.Client(t.Name)})
}

func (d *Decoder) delta(in *event, emit func(chat.Event) error) error {
	say := func(kind chat.EventKind, s string) error {
		if s == "" {
			return nil
		}
		return emit(chat.Event{Kind: kind, Text: s})
	}
	r := in.Delta.ReasoningContent
	for _, s := range []struct {
		kind chat.EventKind
		text string
	}{{chat.ThinkDelta, r.Text}, {chat.ThinkSign, r.Signature}, {chat.ThinkHidden, r.RedactedContent}, {chat.TextDelta, in.Delta.Text}} {
		if err := say(s.kind, s.text); err != nil {
			return err
		}
	}
	o, input := d.open[in.ContentBlockIndex], in.Delta.ToolUse.Input
	switch {
	case o == nil || input == "":
		return nil
	case o.asText:
		return say(chat.TextDelta, input)
	}
	o.hasInput = true
	return emit(chat.Event{Kind: chat.ToolDelta, Tool: o.tool, Text: input})
}

func (d *Decoder) stop(index int, emit func(chat.Event) error) error {
	o := d.open[index]
	delete(d.open, index)
	if o == nil || o.asText {
		return nil
	}
	if !o.hasInput {
		if err := emit(chat.Event{Kind: chat.ToolDelta, Tool: o.tool, Text: "{}"}); err != nil {
			return err
		}
	}
	return emit(chat.Event{Kind: chat.ToolEnd, Tool: o.tool})
}
