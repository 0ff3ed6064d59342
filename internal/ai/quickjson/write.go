package quickjson

import (
	"encoding/json/jsontext"
	"math"
	"reflect"
	"strconv"
)

// appendStruct appends v. It says false for what it does not know.
func appendStruct(dst []byte, v reflect.Value, p *plan) ([]byte, bool) {
	if p == nil || p.odd || p.rest >= 0 && v.Field(p.rest).Len() > 0 {
		return dst, false
	}
	dst = append(dst, '{')
	first := true
	for i := range p.fields {
		f := &p.fields[i]
		value := v.Field(f.index)
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
		if dst, ok = appendValue(dst, value, f.shape); !ok {
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
func (f *field) omitted(v reflect.Value) bool {
	switch {
	case f.omitZero:
		return v.IsZero()
	case !f.omitEmpty:
		return false
	}
	switch f.kind {
	case kindString, kindStrings, kindStructs, kindRaw, kindMap:
		return v.Len() == 0
	case kindPointer:
		return v.IsNil()
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

func appendValue(dst []byte, v reflect.Value, as shape) ([]byte, bool) {
	switch as.kind {
	case kindString, kindBool, kindInt:
		return appendScalar(dst, v, as.kind)
	case kindRaw:
		return appendRaw(dst, v.Bytes())
	case kindStruct:
		return appendStruct(dst, v, as.plan)
	case kindPointer:
		if v.IsNil() {
			return append(dst, "null"...), true
		}
		if as.elem == kindStruct {
			return appendStruct(dst, v.Elem(), as.plan)
		}
		return appendScalar(dst, v.Elem(), as.elem)
	case kindStrings, kindStructs:
		return appendList(dst, v, as)
	default:
		return dst, false
	}
}

func appendList(dst []byte, v reflect.Value, as shape) ([]byte, bool) {
	dst = append(dst, '[')
	for i := range v.Len() {
		if i > 0 {
			dst = append(dst, ',')
		}
		var ok bool
		if as.kind == kindStrings {
			dst, ok = appendString(dst, v.Index(i).String())
		} else {
			dst, ok = appendStruct(dst, v.Index(i), as.plan)
		}
		if !ok {
			return dst, false
		}
	}
	return append(dst, ']'), true
}

func appendScalar(dst []byte, v reflect.Value, k kind) ([]byte, bool) {
	switch k {
	case kindString:
		return appendString(dst, v.String())
	case kindBool:
		return strconv.AppendBool(dst, v.Bool()), true
	case kindInt:
		return strconv.AppendInt(dst, v.Int(), 10), true
	case kindFloat:
		n := v.Float()
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
	if plainLen(dst[start:]) == len(s) {
		return append(dst, '"'), true
	}
	dst, err := jsontext.AppendQuote(dst[:start-1], s)
	return dst, err == nil
}

func appendRaw(dst, raw []byte) ([]byte, bool) {
	if raw == nil {
		return append(dst, "null"...), true
	}
	dst, err := jsontext.AppendFormat(dst, raw, jsontext.PreserveRawStrings(true), jsontext.AllowDuplicateNames(true))
	return dst, err == nil
}
