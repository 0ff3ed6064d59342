// Package trace is the part of W3C Trace Context that a proxy needs on the path
// of a request: who the parent is, whether the request is recorded, and the
// header field for the next hop. It exports nothing; package observe does.
//
// It imports the standard library only.
package trace

import (
	"encoding/binary"
	"encoding/hex"
)

// ID is the identifier of a trace; all zero is none.
type ID [16]byte

// Span is the identifier of a span in a trace; all zero is none.
type Span [8]byte

// Trace is a request's place in a trace. The zero value is a request that is
// not recorded.
type Trace struct {
	ID ID
	// Parent is the caller's span; zero where the trace begins here. Own is the
	// span of the request itself.
	Parent, Own Span
	// Sampled says that the spans are to be recorded.
	Sampled bool
}

// Header is the name of the field that carries a trace.
const Header = "Traceparent"

const (
	// fieldLen is the length of version 00: later ones may be longer.
	fieldLen = len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01")
	sampled  = 1
)

// parse reads a Traceparent field (W3C Trace Context section 3.2).
func parse(field string) (t Trace, ok bool) {
	if len(field) < fieldLen || field[2] != '-' || field[35] != '-' || field[52] != '-' {
		return Trace{}, false
	}
	var version, flags [1]byte
	for _, part := range []struct {
		to   []byte
		from string
	}{{version[:], field[:2]}, {t.ID[:], field[3:35]}, {t.Parent[:], field[36:52]}, {flags[:], field[53:55]}} {
		if !unhex(part.to, part.from) {
			return Trace{}, false
		}
	}
	switch {
	case version[0] == 0xff, version[0] == 0 && len(field) != fieldLen, len(field) > fieldLen && field[fieldLen] != '-':
		return Trace{}, false
	case t.ID == ID{}, t.Parent == Span{}:
		return Trace{}, false
	}
	t.Sampled = flags[0]&sampled != 0
	return t, true
}

// unhex reads lower-case hexadecimal.
func unhex(to []byte, from string) bool {
	for i := range to {
		high, low := digit(from[2*i]), digit(from[2*i+1])
		if high > 0xf || low > 0xf {
			return false
		}
		to[i] = high<<4 | low
	}
	return true
}

func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// Field is the Traceparent field that makes span the parent of what follows.
func (t *Trace) Field(span Span) string {
	b := make([]byte, 0, fieldLen)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, t.ID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, span[:])
	return string(append(b, "-01"...))
}

// Sampler decides which requests are recorded.
type Sampler struct{ below uint64 }

// NewSampler returns a Sampler that records the share ratio, 0 to 1, of those
// requests whose caller has not decided.
func NewSampler(ratio float64) *Sampler {
	const all = 1 << 63
	switch {
	case ratio >= 1:
		return &Sampler{all}
	case ratio > 0:
		return &Sampler{uint64(ratio * all)}
	}
	return &Sampler{}
}

// Begin decides about a request: as its caller did, whose Traceparent is in
// field, else by chance. A request that is not recorded gets the zero value,
// and its field should be passed on as it is.
func (s *Sampler) Begin(field string, random func() uint64) Trace {
	t, ok := parse(field)
	switch {
	case ok && !t.Sampled, !ok && random()>>1 >= s.below:
		return Trace{}
	case !ok:
		binary.BigEndian.PutUint64(t.ID[:], random())
		binary.BigEndian.PutUint64(t.ID[8:], random()|1) // never zero
		t.Sampled = true
	}
	t.Own = NewSpan(random)
	return t
}

// NewSpan returns a new identifier.
func NewSpan(random func() uint64) (s Span) {
	binary.BigEndian.PutUint64(s[:], random()|1) // never zero
	return s
}
