package quickjson

import (
	"bytes"
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"reflect"
	"sync"
	"unsafe"
)

// Codec reads and writes one type of struct. Make one for each type with
// [For], when the program starts: it is safe for concurrent use.
type Codec[T any] struct {
	plan  *plan
	list  shape      // of []T
	loans *sync.Pool // of *Loan[T]
}

// For returns the Codec of T.
func For[T any]() Codec[T] {
	c := compiler{}
	return Codec[T]{
		plan: c.plan(reflect.TypeFor[T]()), list: c.shape(reflect.TypeFor[[]T]()),
		loans: &sync.Pool{New: func() any { return new(Loan[T]) }},
	}
}

// Unmarshal reads b, one JSON value with nothing behind it, into v, which must
// hold its zero value. Raw members of v share memory with b. The error is that
// of encoding/json/v2.
func (c Codec[T]) Unmarshal(b []byte, v *T) error {
	s := scan(b)
	defer s.free()
	if s.object(unsafe.Pointer(v), c.plan) && s.end() {
		return nil
	}
	other := new(T) // so that v itself can stay where it is
	err := json.Unmarshal(b, other)
	*v = *other
	return err
}

// UnmarshalList is Unmarshal for an array of T.
func (c Codec[T]) UnmarshalList(b []byte, v *[]T) error {
	s := scan(b)
	defer s.free()
	if s.list((*array)(unsafe.Pointer(v)), &c.list) && s.end() {
		return nil
	}
	*v = nil
	return json.Unmarshal(b, v)
}

// Marshal returns the JSON form of v. Raw members keep the order of their
// keys, their numbers and their strings' escapes, and lose white space between.
// The error is that of encoding/json/v2.
func (c Codec[T]) Marshal(v *T) ([]byte, error) { return c.marshal(v, source{}) }

func (c Codec[T]) marshal(v *T, s source) ([]byte, error) {
	mem := drafts.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else.
	defer drafts.Put(mem)
	b, err := c.append((*mem)[:0], v, s)
	if cap(b) <= maxDraft {
		*mem = b
	}
	return append([]byte(nil), b...), err
}

// MarshalInto is Marshal into mem, as far as it has room, unless that is nil. read
// is JSON that this package has read and that has not changed since, or nil: what
// shares memory with it, raw members and strings, is written without being looked
// at again. Such a string must not have been cut within a character.
func (c Codec[T]) MarshalInto(mem []byte, v *T, read []byte) ([]byte, error) {
	if mem == nil {
		return c.marshal(v, sourceOf(read))
	}
	return c.append(mem[:0], v, sourceOf(read))
}

// drafts hold what is being written, until its length is known. Longer ones
// than maxDraft are not kept.
var drafts = sync.Pool{New: func() any { return new([]byte) }}

const maxDraft = 64 << 10

// Append appends what Marshal returns to dst.
func (c Codec[T]) Append(dst []byte, v *T) ([]byte, error) { return c.append(dst, v, source{}) }

func (c Codec[T]) append(dst []byte, v *T, s source) ([]byte, error) {
	if out, ok := s.appendStruct(dst, unsafe.Pointer(v), c.plan); ok {
		return out, nil
	}
	other := new(T) // so that v itself can stay where it is
	*other = *v
	b, err := json.Marshal(other, json.Deterministic(true), jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true))
	return append(dst, b...), err
}

// Members calls member for each member of the object b, with its value and
// where that begins, until it says false. ok is false for what is no valid
// object, and for one that only encoding/json/v2 can judge.
func Members(b []byte, member func(name []byte, value jsontext.Value, at int) bool) (ok bool) {
	s := scan(b)
	defer s.free()
	return s.members(func(name []byte) bool {
		value, ok := s.raw()
		return ok && member(name, value, s.at-len(value))
	}) && s.end()
}

// Text returns the text of a JSON string that was read already, as a raw member
// is. It shares memory with it, which must not change.
func Text(raw jsontext.Value) string {
	if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return unsafe.String(unsafe.SliceData(inner), len(inner))
	}
	text, err := jsontext.AppendUnquote(make([]byte, 0, len(raw)), raw)
	if err != nil {
		return "" // it was not read
	}
	return unsafe.String(unsafe.SliceData(text), len(text))
}

// String reads a JSON string. The error is that of encoding/json/v2.
func String(b []byte) (string, error) {
	s := scan(b)
	defer s.free()
	if text, ok := s.text(); ok && s.end() {
		return text, nil
	}
	var text string
	err := json.Unmarshal(b, &text)
	return text, err
}
