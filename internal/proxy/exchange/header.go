package exchange

import "iter"

// Field is one header field. Name keeps the case that its sender used;
// comparison is by ASCII case folding.
type Field struct{ Name, Value string }

// Header is an ordered list of header fields (RFC 9110 section 5). The zero
// value is empty and ready; Reset keeps its memory for the next exchange.
type Header struct{ fields []Field }

// Len returns the number of fields.
func (h *Header) Len() int { return len(h.fields) }

// At returns field i, 0 <= i < Len.
func (h *Header) At(i int) Field { return h.fields[i] }

// Reset removes every field.
func (h *Header) Reset() {
	clear(h.fields)
	h.fields = h.fields[:0]
}

// Add appends a field.
func (h *Header) Add(name, value string) { h.fields = append(h.fields, Field{name, value}) }

// Get returns the value of the first field of that name.
func (h *Header) Get(name string) (value string, ok bool) {
	for i := range h.fields {
		if EqualFold(h.fields[i].Name, name) {
			return h.fields[i].Value, true
		}
	}
	return "", false
}

// Has says whether there is a field of that name.
func (h *Header) Has(name string) bool {
	_, ok := h.Get(name)
	return ok
}

// Values yields the values of every field of that name, in order.
func (h *Header) Values(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range h.fields {
			if EqualFold(h.fields[i].Name, name) && !yield(h.fields[i].Value) {
				return
			}
		}
	}
}

// All yields every field in order. The header must not change meanwhile.
func (h *Header) All() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		for i := range h.fields {
			if !yield(h.fields[i]) {
				return
			}
		}
	}
}

// Set replaces the first field of that name in its place, removes the others,
// and appends one where there is none.
func (h *Header) Set(name, value string) {
	for i := range h.fields {
		if EqualFold(h.fields[i].Name, name) {
			h.fields[i].Value = value
			h.removeFrom(i+1, name)
			return
		}
	}
	h.Add(name, value)
}

// Del removes every field of that name.
func (h *Header) Del(name string) { h.removeFrom(0, name) }

// Filter removes the fields for which keep returns false.
func (h *Header) Filter(keep func(Field) bool) {
	kept := h.fields[:0]
	for _, f := range h.fields {
		if keep(f) {
			kept = append(kept, f)
		}
	}
	clear(h.fields[len(kept):])
	h.fields = kept
}

func (h *Header) removeFrom(i int, name string) {
	kept := h.fields[:i]
	for _, f := range h.fields[i:] {
		if !EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	clear(h.fields[len(kept):])
	h.fields = kept
}

// EqualFold compares field names by ASCII case folding, without allocating.
func EqualFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z' {
			return false
		}
	}
	return true
}
