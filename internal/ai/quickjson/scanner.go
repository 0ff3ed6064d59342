package quickjson

import (
	"bytes"
	"encoding/binary"
	"encoding/json/jsontext"
	"sync"
	"unicode/utf8"
)

const (
	// maxDepth and maxMembers bound what is read here: the nesting, and the
	// members of an object, since each name is compared with those before it.
	maxDepth   = 256
	maxMembers = 64
)

// scanner goes over JSON from front to back. Every method says false for what
// is not valid, and for what it does not know; the scanner is of no use then.
type scanner struct {
	b     []byte
	at    int
	depth int
	share bool // strings share memory with b
	// visit is called for each member of the outermost object.
	visit func(name []byte, value jsontext.Value, at int) bool
	// memory is what is taken for lists and behind pointers; nil: they get their own.
	memory *memory
	// names are those of the objects that are open, innermost last; of a struct's
	// without those that it has a field for.
	names []span
	store [16]span // what names begins in
}

// span is a part of what is scanned.
type span struct{ start, end int }

// scanners are those that nobody uses.
var scanners = sync.Pool{New: func() any { return new(scanner) }}

// scan takes a scanner for b.
func scan(b []byte) *scanner {
	s := scanners.Get().(*scanner) //nolint:forcetypeassert // the pool holds nothing else.
	s.b = b
	return s
}

// free gives the scanner back.
func (s *scanner) free() {
	s.b, s.at, s.depth, s.share, s.visit, s.memory, s.names = nil, 0, 0, false, nil, nil, s.store[:0]
	scanners.Put(s)
}

// peek passes white space and returns the next byte; 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.b) {
		switch c := s.b[s.at]; c {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// take passes c.
func (s *scanner) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

// end says that nothing but white space is left.
func (s *scanner) end() bool { return s.peek() == 0 && s.at == len(s.b) }

// members calls member with the name of each member of an object, which must
// pass the value.
func (s *scanner) members(member func(name []byte) bool) bool {
	if !s.take('{') || s.depth == maxDepth {
		return false
	}
	if s.take('}') {
		return true
	}
	s.depth++
	open := len(s.names)
	for {
		name, ok := s.name(open)
		if !ok || !member(name) {
			return false
		}
		if s.take(',') {
			continue
		}
		s.depth--
		s.names = s.names[:open]
		return s.take('}')
	}
}

// name reads a member's name and the colon behind it. The object, whose names
// begin at open, must not have had it yet.
func (s *scanner) name(open int) ([]byte, bool) {
	at, ok := s.plainName()
	return s.b[at.start:at.end], ok && s.note(open, at)
}

// plainName passes a name without escapes and the colon behind it.
func (s *scanner) plainName() (at span, ok bool) {
	raw, plain, ok := s.quoted()
	if !ok || !plain {
		return span{}, false
	}
	at = span{s.at + 1 - len(raw), s.at - 1}
	return at, s.take(':')
}

// note notes the name of a member of an object, whose names begin at open. It
// says false for one that was there before, and for too many.
func (s *scanner) note(open int, name span) bool {
	if len(s.names)-open == maxMembers {
		return false
	}
	for _, other := range s.names[open:] {
		if string(s.b[name.start:name.end]) == string(s.b[other.start:other.end]) {
			return false
		}
	}
	if s.names == nil {
		s.names = s.store[:0]
	}
	s.names = append(s.names, name)
	return true
}

// elements calls element for each element of an array, which must pass it.
func (s *scanner) elements(element func() bool) bool {
	if !s.take('[') || s.depth == maxDepth {
		return false
	}
	if s.take(']') {
		return true
	}
	s.depth++
	for {
		if !element() {
			return false
		}
		if s.take(',') {
			continue
		}
		s.depth--
		return s.take(']')
	}
}

// raw passes any value and returns it.
func (s *scanner) raw() ([]byte, bool) {
	s.peek()
	start := s.at
	ok := s.skip()
	return s.b[start:s.at:s.at], ok
}

func (s *scanner) skip() bool {
	switch s.peek() {
	case '{':
		return s.members(func([]byte) bool { return s.skip() })
	case '[':
		return s.elements(s.skip)
	case '"':
		_, _, ok := s.quoted()
		return ok
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	_, ok := s.number()
	return ok
}

func (s *scanner) word(w string) bool {
	if s.peek() != w[0] || len(s.b)-s.at < len(w) || string(s.b[s.at:s.at+len(w)]) != w {
		return false
	}
	s.at += len(w)
	return true
}

// number passes a number (RFC 8259 section 6); whole says that it has neither
// fraction nor exponent.
func (s *scanner) number() (whole, ok bool) {
	s.peek()
	if s.at < len(s.b) && s.b[s.at] == '-' {
		s.at++
	}
	first := s.at
	n := s.digits()
	if n == 0 || n > 1 && s.b[first] == '0' {
		return false, false
	}
	whole = true
	if s.at < len(s.b) && s.b[s.at] == '.' {
		s.at++
		whole = false
		if s.digits() == 0 {
			return false, false
		}
	}
	if s.at < len(s.b) && s.b[s.at]|0x20 == 'e' {
		s.at++
		whole = false
		if s.at < len(s.b) && (s.b[s.at] == '+' || s.b[s.at] == '-') {
			s.at++
		}
		if s.digits() == 0 {
			return false, false
		}
	}
	return whole, true
}

func (s *scanner) digits() int {
	start := s.at
	for s.at < len(s.b) && s.b[s.at] >= '0' && s.b[s.at] <= '9' {
		s.at++
	}
	return s.at - start
}

// quoted passes a string and returns it with its quotes. plain says that it
// has no escapes.
func (s *scanner) quoted() (raw []byte, plain, ok bool) {
	if s.peek() != '"' {
		return nil, false, false
	}
	start := s.at
	s.at++
	plain = true
	for {
		s.at += plainLen(s.b[s.at:])
		if s.at == len(s.b) {
			return nil, false, false
		}
		switch c := s.b[s.at]; {
		case c == '"':
			s.at++
			return s.b[start:s.at:s.at], plain, true
		case c == '\\':
			plain = false
			n := escapeLen(s.b[s.at:])
			if n == 0 {
				return nil, false, false
			}
			s.at += n
		case c < ' ':
			return nil, false, false
		default:
			r, n := utf8.DecodeRune(s.b[s.at:])
			if r == utf8.RuneError && n == 1 {
				return nil, false, false
			}
			s.at += n
		}
	}
}

// plainLen is how many bytes b begins with that stand for themselves in a
// string: ASCII without control characters, quotes and backslashes.
func plainLen(b []byte) int {
	n := 0
	for ; len(b)-n >= 32; n += 32 {
		special := special(binary.LittleEndian.Uint64(b[n:])) | special(binary.LittleEndian.Uint64(b[n+8:])) |
			special(binary.LittleEndian.Uint64(b[n+16:])) | special(binary.LittleEndian.Uint64(b[n+24:]))
		if special != 0 {
			break
		}
	}
	for ; len(b)-n >= 8; n += 8 {
		if special(binary.LittleEndian.Uint64(b[n:])) != 0 {
			break
		}
	}
	for n < len(b) && b[n] >= ' ' && b[n] < utf8.RuneSelf && b[n] != '"' && b[n] != '\\' {
		n++
	}
	return n
}

// special is not zero where one of eight bytes does not stand for itself in a
// string, or is not ASCII.
func special(x uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	// A byte that is too small borrows. The quotes and what is below the space are
	// the bytes that are below 0x21 once the bit is turned by which '"' differs
	// from the space.
	return (x | ((x ^ ones*('"'^' ')) - ones*'!') | ((x ^ ones*'\\') - ones)) & highs
}

// escapeLen is the length of the escape that b begins with; 0 if it is not
// valid, as a half of a surrogate pair alone is not.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	if b[1] != 'u' {
		if bytes.IndexByte([]byte(`"\/bfnrt`), b[1]) < 0 {
			return 0
		}
		return 2
	}
	switch r := unit(b); {
	case r < 0 || r >= 0xdc00 && r < 0xe000:
		return 0
	case r < 0xd800 || r >= 0xe000:
		return 6
	}
	if low := unit(b[6:]); low >= 0xdc00 && low < 0xe000 {
		return 12
	}
	return 0
}

// unit reads a \uXXXX; -1 if there is none.
func unit(b []byte) int {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	r := 0
	for _, c := range b[2:6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | int(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | int(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return r
}
