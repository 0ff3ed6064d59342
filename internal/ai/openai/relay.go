package openai

import (
	"bytes"
	"encoding/json/jsontext"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/quickjson"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

// Relay forwards OpenAI's own stream to a client of the same protocol. The
// data of every event is passed on byte for byte; the usage that only we asked
// for is taken out, and so is its null in the chunks before.
type Relay struct {
	includeUsage bool

	sse     sse.Decoder
	scratch []byte
	usage   chat.Usage
	outcome chat.Outcome
	said    int
	ended   bool
}

// NewRelay returns a Relay; includeUsage says that the client asked for the
// usage itself.
func NewRelay(includeUsage bool) *Relay { return &Relay{includeUsage: includeUsage} }

// Write appends to dst what the client is to get for p. content says that some
// of it is of the answer, so that the request can no longer be tried
// elsewhere. The error is a *chat.Error.
func (r *Relay) Write(dst, p []byte) (out []byte, content bool, err error) {
	err = r.sse.Write(p, func(e sse.Event) error {
		if r.ended {
			return nil
		}
		if string(e.Data) == "[DONE]" {
			r.ended = true
			dst = sse.Append(dst, "", e.Data)
			return nil
		}
		in, err := readAnyChunk(e.Data)
		if err != nil {
			return err
		}
		if in.Error != nil {
			return readError(errorStatus(in.Error), in.Error)
		}
		if in.Usage != nil {
			r.usage = readUsage(in.Usage)
			if !r.includeUsage && len(in.Choices) == 0 {
				return nil
			}
		}
		r.note(in)
		content = content || says(in)
		r.said += said(in)
		data := e.Data
		if !r.includeUsage && in.Usage == nil {
			data = r.withoutUsage(data)
		}
		dst = sse.Append(dst, string(e.Name), data)
		return nil
	})
	return dst, content, err
}

// withoutUsage returns a chunk without its member "usage" that is null, which is
// valid until the next call.
func (r *Relay) withoutUsage(data []byte) []byte {
	const name, last = `"usage"`, `,"usage":null}`
	if head, ok := bytes.CutSuffix(data, []byte(last)); ok { // as most write it
		r.scratch = append(append(r.scratch[:0], head...), '}')
		return r.scratch
	}
	if !bytes.Contains(data, []byte(name)) {
		return data
	}
	var head, tail []byte
	quickjson.Members(data, func(n []byte, value jsontext.Value, at int) bool {
		if string(n) == "usage" && string(value) == "null" {
			head, tail = data[:at], data[at+len(value):]
		}
		return head == nil
	})
	const space = " \t\r\n"
	head, ok := bytes.CutSuffix(bytes.TrimRight(head, space+":"), []byte(name))
	if !ok {
		return data
	}
	if before, ok := bytes.CutSuffix(bytes.TrimRight(head, space), []byte(",")); ok {
		head = before
	} else { // it is the first member
		tail = bytes.TrimPrefix(bytes.TrimLeft(tail, space), []byte(","))
	}
	r.scratch = append(append(r.scratch[:0], head...), tail...)
	return r.scratch
}

// readAnyChunk reads what must be known of a chunk. Not everything that speaks this
// protocol keeps to its types: what has other ones is the client's to read, and
// becomes a chunk with one piece of unknown content.
func readAnyChunk(data []byte) (*chunk, error) {
	in, err := readChunk(data)
	if err == nil {
		return in, nil
	}
	var rest struct {
		Usage *usage `json:"usage"`
	}
	if chat.UnmarshalAnyhow(data, &rest) != nil {
		return nil, err
	}
	return &chunk{Usage: rest.Usage, Choices: []chunkChoice{{Delta: chunkDelta{Rest: data}}}}, nil
}

// note takes from a chunk what it tells of the whole answer.
func (r *Relay) note(in *chunk) {
	if r.outcome.ID == "" {
		r.outcome.ID, r.outcome.Model = in.ID, in.Model
	}
	for i := range in.Choices {
		if reason := in.Choices[i].FinishReason; reason != nil && len(r.outcome.Finishes) < maxChoices {
			r.outcome.Finishes = append(r.outcome.Finishes, readFinish(*reason, false))
		}
	}
}

// maxChoices is the most answers that OpenAI gives to one request.
const maxChoices = 128

// says whether a chunk holds part of the answer, rather than announcing it.
func says(in *chunk) bool {
	for i := range in.Choices {
		c := &in.Choices[i]
		d := &c.Delta
		if c.FinishReason != nil || value(d.Content) != "" || value(d.Refusal) != "" ||
			d.thoughts() != "" || len(d.ReasoningDetails) > 0 || len(d.ToolCalls) > 0 || saysMore(d.Rest) {
			return true
		}
	}
	return false
}

// saysMore says whether one of the members of a delta that we do not know has a
// value.
func saysMore(rest jsontext.Value) bool {
	if len(rest) == 0 {
		return false
	}
	empty := quickjson.Members(rest, func(_ []byte, value jsontext.Value, _ int) bool {
		switch string(value) {
		case "null", `""`, "[]", "{}":
			return true
		}
		return false
	})
	return !empty
}

// said is how much text a chunk holds, in bytes.
func said(in *chunk) (n int) {
	for i := range in.Choices {
		d := &in.Choices[i].Delta
		n += len(value(d.Content)) + len(value(d.Refusal)) + len(d.thoughts()) + len(d.Rest)
		for j := range d.ToolCalls {
			n += len(d.ToolCalls[j].Rest)
			if f := d.ToolCalls[j].Function; f != nil { // there are calls of other kinds
				n += len(f.Arguments)
			}
		}
	}
	return n
}

// Close is called at the end of the stream; it returns an error for one that
// broke off.
func (r *Relay) Close() error {
	if !r.ended {
		return chat.Truncated()
	}
	return nil
}

// Usage is what the provider has reported so far.
func (r *Relay) Usage() chat.Usage { return r.usage }

// Outcome is what the provider has told of the answer so far.
func (r *Relay) Outcome() chat.Outcome { return r.outcome }

// Said is how much text has been forwarded, in bytes.
func (r *Relay) Said() int { return r.said }

// metered is a whole answer, as far as ReadUsage looks at it.
type metered struct {
	Usage *usage `json:"usage"`
}

// ReadUsage reads the usage out of a whole answer, and nothing else of it.
func ReadUsage(body []byte) (chat.Usage, bool) {
	in, err := meteredJSON.Borrow(body)
	if err != nil {
		var anyhow metered
		if chat.UnmarshalAnyhow(body, &anyhow) != nil || anyhow.Usage == nil {
			return chat.Usage{}, false
		}
		return readUsage(anyhow.Usage), true
	}
	defer in.Return()
	if in.Value.Usage == nil {
		return chat.Usage{}, false
	}
	return readUsage(in.Value.Usage), true
}

// ReadOutcome reads what a whole answer tells of itself, and nothing else of it.
func ReadOutcome(body []byte) (out chat.Outcome) {
	var in chunk
	if chunkJSON.Unmarshal(body, &in) != nil {
		return out
	}
	r := Relay{}
	r.note(&in)
	return r.outcome
}
