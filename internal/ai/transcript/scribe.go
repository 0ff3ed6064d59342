package transcript

import (
	"slices"
	"strconv"
)

const (
	// DefaultMaxText is Options.MaxText where it is 0.
	DefaultMaxText = 4 << 10
	// textsPerSide is how many texts of the greatest size a side of a
	// conversation may take in a transcript.
	textsPerSide = 16
	// maxParts is how many parts of an answer are kept.
	maxParts = 256
)

// Options of a Scribe.
type Options struct {
	// Prompts and Answers say which of them are put down.
	Prompts, Answers bool
	// MaxText is how much of a text is put down, in bytes; 0: DefaultMaxText. A
	// whole side of a conversation gets sixteen times as much.
	MaxText int
	// Patterns are taken out besides what is taken out of every text.
	Patterns []Pattern
}

// Scribe puts down conversations. It is safe for concurrent use.
type Scribe struct {
	options Options
	redact  *redactor
}

// New returns a Scribe. The error names the pattern that is wrong.
func New(o Options) (*Scribe, error) {
	if o.MaxText <= 0 {
		o.MaxText = DefaultMaxText
	}
	r, err := newRedactor(o.MaxText, o.Patterns)
	if err != nil {
		return nil, err
	}
	return &Scribe{o, r}, nil
}

// AppendPrompt appends what the body of a client's request says, as JSON members
// each of which begins with a comma. known are secrets that may be in it. Where
// not all messages fit, the newest are there.
func (s *Scribe) AppendPrompt(dst, body []byte, known []string) []byte {
	if !s.options.Prompts {
		return dst
	}
	w := &writer{s.redact, known}
	system, messages := readRequest(body)
	if len(system) > 0 {
		dst = s.appendSystem(append(dst, `,"gen_ai.system_instructions":`...), system, w)
	}
	if len(messages) == 0 {
		return dst
	}
	var newest [][]byte
	room := s.options.MaxText * textsPerSide
	for i := len(messages) - 1; i >= 0; i-- {
		m := readMessage(&messages[i])
		b := m.appendTo(nil, w)
		if room -= len(b); room < 0 && len(newest) > 0 {
			break
		}
		newest = append(newest, b)
	}
	slices.Reverse(newest)
	dst = append(dst, `,"gen_ai.input.messages":[`...)
	for i, b := range newest {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, b...)
	}
	dst = append(dst, ']')
	if left := len(messages) - len(newest); left > 0 {
		dst = strconv.AppendInt(append(dst, `,"citoroute.input.messages_left_out":`...), int64(left), 10)
	}
	return dst
}

func (s *Scribe) appendSystem(dst []byte, system []part, w *writer) []byte {
	dst = append(dst, '[')
	for i := range system[:min(len(system), textsPerSide)] {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = system[i].appendTo(dst, w)
	}
	return append(dst, ']')
}

// Answer returns what takes in one answer; nil where answers are not put down.
func (s *Scribe) Answer() *Answer {
	if !s.options.Answers {
		return nil
	}
	return &Answer{scribe: s, room: (s.options.MaxText + slack) * textsPerSide}
}
