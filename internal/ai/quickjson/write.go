package quickjson

import (
	"bytes"
	"encoding/json/jsontext"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// source is where JSON is that was read here. What shares memory with it, a string
// without escapes or a part of it, a raw member, is right as it stands there.
type source struct{ first, size uintptr }

func sourceOf(b []byte) source {
	return source{uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b))}
}

func (s source) has(p *byte) bool { return uintptr(unsafe.Pointer(p))-s.first < s.size }

// appendStruct appends the struct at v. It says false for what it does not know.
func (s source) appendStruct(dst []byte, v unsafe.Pointer, p *plan) ([]byte, bool) {
	if p == nil || p.odd || p.keeps && len(*(*jsontext.Value)(at(v, p.rest))) > 0 {
		return dst, false
	}
	dst = append(dst, '{')
	first := true
	for i := range p.fields {
		f := &p.fields[i]
		value := at(v, f.offset)
		if f.omitted(value) {
			continue
		}
		before := len(dst)
		if !first {
			dst = append(dst, ',')
		}
		dst = append(dst, f.label...)
		start := len(dst)
		var ok bool
		if dst, ok = s.appendValue(dst, value, &f.shape); !ok {
			return dst, false
		}
		if f.omitEmpty && isEmpty(dst[start:]) {
			dst = dst[:before]
			continue
		}
		first = false
	}
	return append(dst, '}'), true
}

// omitted says that the field is left out whatever its JSON form would be.
func (f *field) omitted(v unsafe.Pointer) bool {
	switch f.absent {
	case absentWord:
		return *(*uintptr)(at(v, f.word)) == 0
	case absentByte:
		return *(*byte)(v) == 0
	case absentInt:
		return *(*int64)(v) == 0
	case absentMap:
		return len(*(*map[string]struct{})(v)) == 0 // of any type
	default:
		return false
	}
}

// isEmpty says that a value is one that omitempty leaves out.
func isEmpty(b []byte) bool {
	switch string(b) {
	case `""`, `{}`, `[]`, `null`:
		return true
	}
	return false
}

func (s source) appendValue(dst []byte, v unsafe.Pointer, as *shape) ([]byte, bool) {
	switch as.kind {
	case kindString, kindBool, kindInt:
		return s.appendScalar(dst, v, as.kind)
	case kindRaw:
		return s.appendRaw(dst, *(*jsontext.Value)(v))
	case kindStruct:
		return s.appendStruct(dst, v, as.plan)
	case kindPointer:
		to := *(*unsafe.Pointer)(v)
		if to == nil {
			return append(dst, "null"...), true
		}
		if as.elem == kindStruct {
			return s.appendStruct(dst, to, as.plan)
		}
		return s.appendScalar(dst, to, as.elem)
	case kindStrings, kindStructs:
		return s.appendList(dst, v, as)
	default:
		return dst, false
	}
}

func (s source) appendList(dst []byte, v unsafe.Pointer, as *shape) ([]byte, bool) {
	list := (*array)(v)
	dst = append(dst, '[')
	for i := range uintptr(list.len) {
		if i > 0 {
			dst = append(dst, ',')
		}
		var ok bool
		if element := at(list.first, i*as.size); as.kind == kindStrings {
			dst, ok = s.appendString(dst, *(*string)(element))
		} else {
			dst, ok = s.appendStruct(dst, element, as.plan)
		}
		if !ok {
			return dst, false
		}
	}
	return append(dst, ']'), true
}

func (s source) appendScalar(dst []byte, v unsafe.Pointer, k kind) ([]byte, bool) {
	switch k {
	case kindString:
		return s.appendString(dst, *(*string)(v))
	case kindBool:
		return strconv.AppendBool(dst, *(*bool)(v)), true
	case kindInt:
		return strconv.AppendInt(dst, *(*int64)(v), 10), true
	case kindFloat:
		n := *(*float64)(v)
		// Others are written with an exponent.
		if abs := math.Abs(n); n != 0 && !(abs >= 1e-6 && abs < 1e21) {
			return dst, false
		}
		return strconv.AppendFloat(dst, n, 'f', -1, 64), true
	default:
		return dst, false
	}
}

func (s source) appendString(dst []byte, text string) ([]byte, bool) {
	dst = append(dst, '"')
	start := len(dst)
	dst = append(dst, text...)
	if s.has(unsafe.StringData(text)) || isVerbatim(dst[start:]) {
		return append(dst, '"'), true
	}
	dst, err := jsontext.AppendQuote(dst[:start-1], text)
	return dst, err == nil
}

// isVerbatim says that a text stands for itself in a string.
func isVerbatim(b []byte) bool {
	for {
		if b = b[plainLen(b):]; len(b) == 0 {
			return true
		}
		if b[0] < utf8.RuneSelf {
			return false
		}
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return false
		}
		b = b[n:]
	}
}

func (s source) appendRaw(dst, raw []byte) ([]byte, bool) {
	if raw == nil {
		return append(dst, "null"...), true
	}
	if s.has(unsafe.SliceData(raw)) {
		return appendCompact(dst, raw), true
	}
	dst, err := jsontext.AppendFormat(dst, raw, jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true))
	return dst, err == nil
}

// appendCompact appends a valid value without the white space in it.
func appendCompact(dst, raw []byte) []byte {
	from := 0
	for i := 0; i < len(raw); {
		switch raw[i] {
		case ' ', '\t', '\r', '\n':
			dst = append(dst, raw[from:i]...)
			i++
			from = i
		case '"':
			i += stringLen(raw[i:])
		default:
			i++
		}
	}
	return append(dst, raw[from:]...)
}

// stringLen is the length of the string that a valid value begins with.
func stringLen(b []byte) int {
	for end := 1; ; end++ {
		end += bytes.IndexByte(b[end:], '"')
		escapes := 0
		for b[end-1-escapes] == '\\' {
			escapes++
		}
		if escapes%2 == 0 {
			return end + 1
		}
	}
}
