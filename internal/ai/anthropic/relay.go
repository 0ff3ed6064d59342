package anthropic

import (
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ai/sse"
)

// Relay forwards Anthropic's own stream to a client of the same protocol. The
// data of every event is passed on byte for byte.
type Relay struct {
	sse     sse.Decoder
	usage   usage
	outcome chat.Outcome
	said    int
	ended   bool
}

// NewRelay returns a Relay.
func NewRelay() *Relay { return &Relay{} }

// Write appends to dst what the client is to get for p. content says that some
// of it is of the answer, so that the request can no longer be tried
// elsewhere. The error is a *chat.Error.
func (r *Relay) Write(dst, p []byte) (out []byte, content bool, err error) {
	err = r.sse.Write(p, func(e sse.Event) error {
		if r.ended {
			return nil
		}
		in, err := readAnyEvent(e.Data)
		if err != nil {
			return err
		}
		if in.Usage != nil {
			r.usage.take(in.Usage)
		}
		switch in.Type {
		case "message_start":
			if in.Message != nil {
				r.usage.take(&in.Message.Usage)
				r.outcome = outcomeOf(in.Message)
			}
		case "content_block_start":
			content = content || !announces(in.ContentBlock)
		case "content_block_delta", "message_delta":
			content = true
			if d := in.Delta; d != nil {
				r.said += len(d.Text) + len(d.Thinking) + len(d.PartialJSON)
				if d.StopReason != nil {
					r.outcome.Finishes = []chat.Finish{finish(&chat.Wire{}, d.StopReason)}
				}
			}
		case "message_stop":
			r.ended = true
		case "error":
			return streamError(in.Error)
		}
		dst = sse.Append(dst, string(e.Name), e.Data)
		return nil
	})
	return dst, content, err
}

// readAnyEvent reads what must be known of an event. One with other types of
// members than we know is the client's to read.
func readAnyEvent(data []byte) (*event, error) {
	in := &event{}
	if readEvent(data, in) {
		return in, nil
	}
	var rest struct {
		Type  string       `json:"type"`
		Usage *usage       `json:"usage"`
		Error *errorDetail `json:"error"`
	}
	if chat.UnmarshalAnyhow(data, &rest) != nil {
		return nil, chat.BadUpstream("an event of the provider's stream is not valid")
	}
	return &event{Type: rest.Type, Usage: rest.Usage, Error: rest.Error}, nil
}

// announces says that a block begins in which nothing is said yet: what comes
// may still be an error.
func announces(b *block) bool {
	return b != nil && (b.Type == typeText || b.Type == typeThinking) && value(b.Text) == "" && value(b.Thinking) == ""
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
func (r *Relay) Usage() chat.Usage { return r.usage.sum() }

// Outcome is what the provider has told of the answer so far.
func (r *Relay) Outcome() chat.Outcome { return r.outcome }

// Said is how much text has been forwarded, in bytes.
func (r *Relay) Said() int { return r.said }

// ReadUsage reads the usage out of a whole answer, and nothing else of it.
func ReadUsage(body []byte) (chat.Usage, bool) {
	var in struct {
		Usage *usage `json:"usage"`
	}
	if chat.UnmarshalAnyhow(body, &in) != nil || in.Usage == nil {
		return chat.Usage{}, false
	}
	var total usage
	total.take(in.Usage)
	return total.sum(), true
}

// ReadOutcome reads what a whole answer tells of itself.
func ReadOutcome(body []byte) chat.Outcome {
	var in response
	if responseJSON.Unmarshal(body, &in) != nil {
		return chat.Outcome{}
	}
	return outcomeOf(&in)
}

func outcomeOf(in *response) chat.Outcome {
	out := chat.Outcome{ID: in.ID, Model: in.Model}
	if in.StopReason != nil {
		out.Finishes = []chat.Finish{finish(&chat.Wire{}, in.StopReason)}
	}
	return out
}
