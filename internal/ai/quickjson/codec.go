package quickjson

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"reflect"
	"sync"
)

// Codec reads and writes one type of struct. Make one for each type with
// [For], when the program starts: it is safe for concurrent use.
type Codec[T any] struct{ plan *plan }

// For returns the Codec of T.
func For[T any]() Codec[T] {
	c := compiler{}
	return Codec[T]{c.plan(reflect.TypeFor[T]())}
}

// Unmarshal reads b, one JSON value with nothing behind it, into v, which must
// hold its zero value. Raw members of v share memory with b. The error is that
// of encoding/json/v2.
func (c Codec[T]) Unmarshal(b []byte, v *T) error {
	s := scan(b)
	defer s.free()
	if s.object(reflect.ValueOf(v).Elem(), c.plan) && s.end() {
		return nil
	}
	*v = *new(T)
	return json.Unmarshal(b, v)
}

// UnmarshalList is Unmarshal for an array of T.
func (c Codec[T]) UnmarshalList(b []byte, v *[]T) error {
	s := scan(b)
	defer s.free()
	if s.list(reflect.ValueOf(v).Elem(), c.plan) && s.end() {
		return nil
	}
	*v = nil
	return json.Unmarshal(b, v)
}

// Marshal returns the JSON form of v. Raw members keep the order of their
// keys, their numbers and their strings' escapes, and lose white space between.
// The error is that of encoding/json/v2.
func (c Codec[T]) Marshal(v *T) ([]byte, error) {
	mem := drafts.Get().(*[]byte) //nolint:forcetypeassert // the pool holds nothing else.
	defer drafts.Put(mem)
	b, err := c.Append((*mem)[:0], v)
	if cap(b) <= maxDraft {
		*mem = b
	}
	return append([]byte(nil), b...), err
}

// drafts hold what is being written, until its length is known. Longer ones
// than maxDraft are not kept.
var drafts = sync.Pool{New: func() any { return new([]byte) }}

const maxDraft = 64 << 10

// Append appends what Marshal returns to dst.
func (c Codec[T]) Append(dst []byte, v *T) ([]byte, error) {
	if out, ok := appendStruct(dst, reflect.ValueOf(v).Elem(), c.plan); ok {
		return out, nil
	}
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true))
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
