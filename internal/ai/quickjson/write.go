package quickjson

import (
	"encoding/json/jsontext"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"
)

// appendStruct appends the struct at v. It says false for what it does not know.
func appendStruct(dst []byte, v unsafe.Pointer, p *plan) ([]byte, bool) {
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
		if dst, ok = appendValue(dst, value, &f.shape); !ok {
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

func appendValue(dst []byte, v unsafe.Pointer, as *shape) ([]byte, bool) {
	switch as.kind {
	case kindString, kindBool, kindInt:
		return appendScalar(dst, v, as.kind)
	case kindRaw:
		return appendRaw(dst, *(*jsontext.Value)(v))
	case kindStruct:
		return appendStruct(dst, v, as.plan)
	case kindPointer:
		to := *(*unsafe.Pointer)(v)
		if to == nil {
			return append(dst, "null"...), true
		}
		if as.elem == kindStruct {
			return appendStruct(dst, to, as.plan)
		}
		return appendScalar(dst, to, as.elem)
	case kindStrings, kindStructs:
		return appendList(dst, v, as)
	default:
		return dst, false
	}
}

func appendList(dst []byte, v unsafe.Pointer, as *shape) ([]byte, bool) {
	list := (*array)(v)
	dst = append(dst, '[')
	for i := range uintptr(list.len) {
		if i > 0 {
			dst = append(dst, ',')
		}
		var ok bool
		if element := at(list.first, i*as.size); as.kind == kindStrings {
			dst, ok = appendString(dst, *(*string)(element))
		} else {
			dst, ok = appendStruct(dst, element, as.plan)
		}
		if !ok {
			return dst, false
		}
	}
	return append(dst, ']'), true
}

func appendScalar(dst []byte, v unsafe.Pointer, k kind) ([]byte, bool) {
	switch k {
	case kindString:
		return appendString(dst, *(*string)(v))
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

func appendString(dst []byte, s string) ([]byte, bool) {
	dst = append(dst, '"')
	start := len(dst)
	dst = append(dst, s...)
	if isVerbatim(dst[start:]) {
		return append(dst, '"'), true
	}
	dst, err := jsontext.AppendQuote(dst[:start-1], s)
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

func appendRaw(dst, raw []byte) ([]byte, bool) {
	if raw == nil {
		return append(dst, "null"...), true
	}
	dst, err := jsontext.AppendFormat(dst, raw, jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true))
	return dst, err == nil
}
