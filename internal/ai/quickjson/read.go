package quickjson

import (
	"encoding/json/jsontext"
	"reflect"
	"strconv"
	"unsafe"
)

// at is where a struct's field is. What a plan says of a type makes it safe:
// the pointer never leaves the struct.
func at(p unsafe.Pointer, offset uintptr) unsafe.Pointer { return unsafe.Add(p, offset) }

// object reads an object into the struct at v, which is zero.
func (s *scanner) object(v unsafe.Pointer, p *plan) bool {
	if p == nil || p.odd {
		return false
	}
	next, rest := 0, []byte(nil)
	ok := s.members(func(name []byte) (ok bool) {
		s.peek()
		start := s.at
		next, rest, ok = s.member(v, p, name, next, rest)
		return ok && s.seen(name, start)
	})
	if rest != nil {
		rest = append(rest, '}')
		*(*jsontext.Value)(at(v, p.rest)) = rest
	}
	return ok
}

// member reads the value of a member into its field; members mostly come in the
// order of the fields, so that the search for the one after it begins at next.
func (s *scanner) member(v unsafe.Pointer, p *plan, name []byte, from int, rest []byte) (next int, _ []byte, ok bool) {
	if i := p.find(name, from); i >= 0 {
		f := &p.fields[i]
		return i + 1, rest, s.value(at(v, f.offset), &f.shape)
	}
	rest, ok = s.unknown(rest, name, p.keeps)
	return from, rest, ok
}

// seen tells the visitor of a member, whose value began at start. It says false
// where the visitor does.
func (s *scanner) seen(name []byte, start int) bool {
	return s.visit == nil || s.depth > 1 || s.visit(name, s.b[start:s.at:s.at], start)
}

// find returns the field of a name, or -1. The search begins with next.
func (p *plan) find(name []byte, next int) int {
	for i := next; i < len(p.fields); i++ {
		if p.fields[i].name == string(name) {
			return i
		}
	}
	for i := range p.fields[:next] {
		if p.fields[i].name == string(name) {
			return i
		}
	}
	return -1
}

// unknown passes a member that the struct has no field for.
func (s *scanner) unknown(rest, name []byte, keeps bool) ([]byte, bool) {
	raw, ok := s.raw()
	if !ok || !keeps {
		return rest, ok
	}
	if rest == nil {
		rest = append(rest, '{')
	} else {
		rest = append(rest, ',')
	}
	rest = append(append(append(rest, '"'), name...), `":`...)
	return append(rest, raw...), true
}

// value reads a value into what is at v, which is zero. A null leaves it so.
func (s *scanner) value(v unsafe.Pointer, as *shape) bool {
	if as.kind == kindRaw {
		raw, ok := s.raw()
		*(*jsontext.Value)(v) = raw
		return ok
	}
	if s.peek() == 'n' {
		return s.word("null")
	}
	switch as.kind {
	case kindString, kindBool, kindInt:
		return s.scalar(v, as.kind)
	case kindStrings:
		return s.strings((*[]string)(v))
	case kindStruct:
		return s.object(v, as.plan)
	case kindStructs:
		return s.list((*array)(v), as)
	case kindPointer:
		to := newOf(as)
		*(*unsafe.Pointer)(v) = to
		if as.elem == kindStruct {
			return s.object(to, as.plan)
		}
		return s.scalar(to, as.elem)
	default:
		return false
	}
}

// newOf makes what a pointer points to.
func newOf(as *shape) unsafe.Pointer {
	switch as.elem {
	case kindString:
		return unsafe.Pointer(new(string))
	case kindInt:
		return unsafe.Pointer(new(int64))
	case kindFloat:
		return unsafe.Pointer(new(float64))
	default:
		return reflect.New(as.to).UnsafePointer()
	}
}

func (s *scanner) scalar(v unsafe.Pointer, k kind) bool {
	switch k {
	case kindString:
		text, ok := s.text()
		*(*string)(v) = text
		return ok
	case kindBool:
		yes := s.peek() == 't'
		*(*bool)(v) = yes
		return yes && s.word("true") || s.word("false")
	case kindInt:
		return s.int((*int64)(v))
	case kindFloat:
		s.peek()
		start := s.at
		if _, ok := s.number(); !ok {
			return false
		}
		n, err := strconv.ParseFloat(string(s.b[start:s.at]), 64)
		*(*float64)(v) = n
		return err == nil
	default:
		return false
	}
}

func (s *scanner) int(v *int64) bool {
	s.peek()
	start := s.at
	whole, ok := s.number()
	if !ok || !whole {
		return false
	}
	n, err := strconv.ParseInt(string(s.b[start:s.at]), 10, 64)
	*v = n
	return err == nil
}

// text reads a string.
func (s *scanner) text() (string, bool) {
	raw, plain, ok := s.quoted()
	switch {
	case !ok:
		return "", false
	case plain && s.share && len(raw) > 2:
		return unsafe.String(&raw[1], len(raw)-2), true
	case plain:
		return string(raw[1 : len(raw)-1]), true
	}
	// What is not escaped is as long as what is, or shorter.
	out, err := jsontext.AppendUnquote(make([]byte, 0, len(raw)), raw)
	return unsafe.String(unsafe.SliceData(out), len(out)), err == nil
}

func (s *scanner) strings(v *[]string) bool {
	*v = []string{}
	return s.elements(func() bool {
		text, ok := s.text()
		*v = append(*v, text)
		return ok
	})
}

// array is a slice of any type.
type array struct {
	first    unsafe.Pointer
	len, cap int
}

// list reads an array of structs.
func (s *scanner) list(v *array, as *shape) bool {
	v.first = unsafe.Pointer(new(struct{})) // an empty list is not the same as none
	return s.elements(func() bool {
		if v.len == v.cap {
			v.grow(as)
		}
		v.len++
		if s.peek() == 'n' {
			return s.word("null")
		}
		return s.object(at(v.first, uintptr(v.len-1)*as.to.Size()), as.plan)
	})
}

// grow makes room for two elements, then for four times as many as there are.
func (v *array) grow(as *shape) {
	more := reflect.MakeSlice(as.typ, v.len, max(2, 4*v.len))
	if v.len > 0 {
		reflect.Copy(more, reflect.SliceAt(as.to, v.first, v.len))
	}
	v.first, v.cap = more.UnsafePointer(), more.Cap()
}
