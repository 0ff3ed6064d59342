package ai

import "github.com/citoroute/citoroute/internal/ai/chat"

// maxKept is the most of a stream that is held at once, in bytes: as much as of a
// whole answer. The client's protocol may repeat texts at their end, and what comes
// before the first content may hold the whole request.
const maxKept = 32 << 20

// Stream turns the bytes of a provider's streamed answer into the client's.
//
// What comes before the first content is held back: a failure until then is an
// error that may be answered with its own status, or tried elsewhere. After
// it, the client is told inside the stream; no finish and no end is invented.
type Stream struct {
	relay   relay // set where both sides speak the same protocol
	decoder decoder
	encoder encoder

	held    []byte
	kept    int  // bytes that encoders may have kept
	begun   bool // the client's answer has its start
	started bool
	failed  bool
	usage   chat.Usage
	counted bool
	said    int

	asked     string // the model, where the provider does not say which it is
	id, model string // of an answer that is translated
	finish    chat.Finish
}

// Stream returns the translation of a's streamed answer; created is in Unix
// seconds.
func (a *Attempt) Stream(created int64) *Stream {
	s := &Stream{encoder: a.call.client.encoder(created, &a.call.head), asked: a.Wire.Model}
	if a.relayed {
		s.relay = a.call.client.relay(a.call.head.IncludeUsage)
	} else {
		s.decoder = a.provider.stream(a.Wire)
	}
	return s
}

// Started says that content has gone to the client.
func (s *Stream) Started() bool { return s.started }

// Usage is what the provider has reported so far; ok is false where it has
// reported nothing.
func (s *Stream) Usage() (u chat.Usage, ok bool) { return s.usage, s.counted }

// Outcome is what the provider has told of the answer so far.
func (s *Stream) Outcome() chat.Outcome {
	if s.relay != nil {
		return s.relay.Outcome()
	}
	return outcomeOf(s.id, s.model, s.finish)
}

// Said is how much text, thoughts and arguments of tools included, the provider
// has sent so far, in bytes.
func (s *Stream) Said() int { return s.said }

// Write appends to dst what the client is to get now for p. An error is a
// *chat.Error and ends the stream: where Started is false nothing of dst is
// for the client, else dst holds the event that tells it.
func (s *Stream) Write(dst, p []byte) ([]byte, error) {
	if s.relay != nil {
		out, content, err := s.relay.Write(s.held, p)
		s.usage, s.said = s.relay.Usage(), s.relay.Said()
		s.counted = s.usage != chat.Usage{}
		return s.settle(dst, out, content, err)
	}
	out, content := s.held, false
	err := s.decoder.Write(p, func(e chat.Event) (err error) {
		content = content || e.Content()
		out, err = s.event(out, e)
		return err
	})
	return s.settle(dst, out, content, err)
}

// Close is called when the provider has ended its stream; it returns like
// Write. A stream that broke off is an error.
func (s *Stream) Close(dst []byte) ([]byte, error) {
	if s.failed {
		return dst, nil
	}
	if s.relay != nil {
		err := s.relay.Close()
		return s.settle(dst, s.held, err == nil, err)
	}
	out := s.held
	err := s.decoder.Close(func(e chat.Event) (err error) {
		out, err = s.event(out, e)
		return err
	})
	return s.settle(dst, out, err == nil, err)
}

// Abort appends the event that tells the client that the provider's stream
// failed for a reason that the stream itself does not show, like a timeout.
func (s *Stream) Abort(dst []byte, e *chat.Error) []byte {
	if s.failed || !s.started {
		return dst
	}
	s.failed = true
	return s.encoder.AppendError(dst, e)
}

// event appends what the client is to get for e. An end before which nobody has
// said why the model stopped is none: the answer failed on the provider's side.
func (s *Stream) event(out []byte, e chat.Event) ([]byte, error) {
	if e.Kind == chat.Start {
		return s.begin(out, e), nil
	}
	if e.Content() { // a provider need not say how its answer starts
		out = s.begin(out, chat.Event{Kind: chat.Start})
	}
	switch e.Kind {
	case chat.Stop:
		s.finish = e.Finish
	case chat.UsageEvent:
		s.usage, s.counted = e.Usage, true
	case chat.TextDelta, chat.ThinkDelta, chat.RefusalDelta, chat.ToolDelta:
		s.said += len(e.Text)
	case chat.End:
		if s.finish == 0 {
			return out, chat.BadUpstream("the provider's stream ended without saying why the model stopped")
		}
	default:
	}
	if s.kept += len(e.ID) + len(e.Name) + len(e.Text); s.kept > maxKept {
		return out, errTooLong()
	}
	return s.encoder.Append(out, e), nil
}

func errTooLong() error { return chat.BadUpstream("the provider's stream is too long") }

// begin appends the start of the answer, once.
func (s *Stream) begin(out []byte, e chat.Event) []byte {
	if s.begun {
		return out
	}
	if e.Model == "" {
		e.Model = s.asked
	}
	s.begun, s.id, s.model = true, e.ID, e.Model
	return s.encoder.Append(out, e)
}

// settle decides what of out goes to the client.
func (s *Stream) settle(dst, out []byte, content bool, err error) ([]byte, error) {
	if content || s.started {
		s.started = true
		dst, s.held = append(dst, out...), out[:0]
	} else {
		s.held = out
	}
	if err == nil && len(s.held) > maxKept {
		s.held, err = nil, errTooLong()
	}
	if err == nil {
		return dst, nil
	}
	s.failed = true
	e := asError(err)
	if s.started {
		dst = s.encoder.AppendError(dst, e)
	}
	return dst, e
}
