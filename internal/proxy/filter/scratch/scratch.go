// Package scratch joins strings without allocating, for values that live as
// long as one exchange: forwarded addresses, rewritten paths, locations.
//
// It imports the standard library and package poison only.
package scratch

import (
	"unsafe"

	"github.com/citoroute/citoroute/internal/poison"
)

// Buffer holds the bytes of the strings that it made. The zero value is ready.
// It belongs to one exchange at a time.
type Buffer struct{ b []byte }

// Reset makes the memory free again: every string that came from the buffer is
// void.
func (s *Buffer) Reset() {
	poison.Bytes(s.b)
	s.b = s.b[:0]
}

// Join returns the parts one after another. The string is valid until Reset.
func (s *Buffer) Join(parts ...string) string {
	start := s.Start()
	for _, p := range parts {
		s.b = append(s.b, p...)
	}
	return s.End(start)
}

// Start begins a string that is written piece by piece; it returns the mark
// that End wants.
func (s *Buffer) Start() int { return len(s.b) }

// Bytes is the buffer to append to between Start and End; hand it back to Keep.
func (s *Buffer) Bytes() []byte { return s.b }

// Keep takes the grown buffer back.
func (s *Buffer) Keep(b []byte) { s.b = b }

// End returns what was appended since the mark. The string is valid until Reset.
func (s *Buffer) End(start int) string {
	part := s.b[start:]
	if len(part) == 0 {
		return ""
	}
	// Growing the buffer later copies it and leaves this part where it is, and
	// nothing writes below len(s.b) before Reset.
	return unsafe.String(&part[0], len(part))
}
