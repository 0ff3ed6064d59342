package quickjson

import (
	"encoding/json/jsontext"
	"reflect"
	"strconv"
)

// object reads an object into a struct.
func (s *scanner) object(v reflect.Value, p *plan) bool {
	if p == nil || p.odd {
		return false
	}
	var rest []byte
	ok := s.members(func(name []byte) bool {
		for i := range p.fields {
			if f := &p.fields[i]; f.name == string(name) {
				return s.value(v.Field(f.index), f.shape)
			}
		}
		raw, ok := s.raw()
		if ok && p.rest >= 0 {
			rest = appendMember(rest, name, raw)
		}
		return ok
	})
	if rest != nil {
		v.Field(p.rest).SetBytes(append(rest, '}'))
	}
	return ok
}

// appendMember appends a member to an object that is not closed.
func appendMember(dst, name, value []byte) []byte {
	if dst == nil {
		dst = append(dst, '{')
	} else {
		dst = append(dst, ',')
	}
	dst = append(append(append(dst, '"'), name...), `":`...)
	return append(dst, value...)
}

// value reads a value into v, which is zero. A null leaves it so.
func (s *scanner) value(v reflect.Value, as shape) bool {
	if as.kind == kindRaw {
		raw, ok := s.raw()
		if ok {
			v.SetBytes(raw)
		}
		return ok
	}
	if s.peek() == 'n' {
		return s.word("null")
	}
	switch as.kind {
	case kindString, kindBool, kindInt:
		return s.scalar(v, as.kind)
	case kindStrings:
		return s.strings(v)
	case kindStruct:
		return s.object(v, as.plan)
	case kindStructs:
		return s.list(v, as.plan)
	case kindPointer:
		to := reflect.New(v.Type().Elem())
		v.Set(to)
		if as.elem == kindStruct {
			return s.object(to.Elem(), as.plan)
		}
		return s.scalar(to.Elem(), as.elem)
	default:
		return false
	}
}

func (s *scanner) scalar(v reflect.Value, k kind) bool {
	switch k {
	case kindString:
		text, ok := s.text()
		v.SetString(text)
		return ok
	case kindBool:
		yes := s.peek() == 't'
		v.SetBool(yes)
		return yes && s.word("true") || s.word("false")
	case kindInt:
		s.peek()
		start := s.at
		whole, ok := s.number()
		if !ok || !whole {
			return false
		}
		n, err := strconv.ParseInt(string(s.b[start:s.at]), 10, v.Type().Bits())
		v.SetInt(n)
		return err == nil
	case kindFloat:
		s.peek()
		start := s.at
		if _, ok := s.number(); !ok {
			return false
		}
		n, err := strconv.ParseFloat(string(s.b[start:s.at]), 64)
		v.SetFloat(n)
		return err == nil
	default:
		return false
	}
}

// text reads a string.
func (s *scanner) text() (string, bool) {
	raw, plain, ok := s.quoted()
	switch {
	case !ok:
		return "", false
	case plain:
		return string(raw[1 : len(raw)-1]), true
	}
	out, err := jsontext.AppendUnquote(nil, raw)
	return string(out), err == nil
}

func (s *scanner) strings(v reflect.Value) bool {
	list := []string{}
	ok := s.elements(func() bool {
		text, ok := s.text()
		list = append(list, text)
		return ok
	})
	v.Set(reflect.ValueOf(list))
	return ok
}

// list reads an array of structs.
func (s *scanner) list(v reflect.Value, p *plan) bool {
	ok := s.elements(func() bool {
		n := v.Len()
		v.Grow(1)
		v.SetLen(n + 1)
		element := v.Index(n)
		if s.peek() == 'n' {
			return s.word("null")
		}
		return s.object(element, p)
	})
	if v.IsNil() { // an empty list is not the same as none
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
	}
	return ok
}
