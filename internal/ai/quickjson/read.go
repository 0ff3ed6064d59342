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
	if p == nil || p.odd || !s.take('{') || s.depth == maxDepth {
		return false
	}
	if s.take('}') {
		return true
	}
	s.depth++
	o := object{v: v, plan: p, names: len(s.names)}
	for {
		if !s.member(&o) {
			return false
		}
		if s.take(',') {
			continue
		}
		break
	}
	s.depth--
	s.names = s.names[:o.names]
	if o.rest != nil {
		o.rest = append(o.rest, '}')
		*(*jsontext.Value)(at(v, p.rest)) = o.rest
	}
	return s.take('}')
}

// object is one that is being read.
type object struct {
	v     unsafe.Pointer
	plan  *plan
	next  int    // where the search for the next field begins: they mostly come in order
	seen  uint64 // the fields that were there
	names int    // where the names of the other members begin among those of the scanner
	rest  []byte // the other members, where they are kept
}

// member reads a member into its field.
func (s *scanner) member(o *object) bool {
	name, i, ok := s.field(o)
	if !ok {
		return false
	}
	s.peek()
	start := s.at
	if i >= 0 {
		f := &o.plan.fields[i]
		ok = s.value(at(o.v, f.offset), &f.shape)
	} else {
		o.rest, ok = s.unknown(o.rest, name, o.plan.keeps)
	}
	return ok && s.seen(name, start)
}

// field passes a name, which must not have been there before, and returns it with
// the number of its field; -1 for that of no field.
func (s *scanner) field(o *object) (name []byte, i int, ok bool) {
	if s.peek() != '"' {
		return nil, 0, false
	}
	fields, rest := o.plan.fields, s.b[s.at:]
	for i := o.next; i < len(fields); i++ {
		label := fields[i].label
		if len(rest) >= len(label) && rest[1] == label[1] && string(rest[:len(label)]) == label {
			s.at += len(label)
			return rest[1 : len(label)-2], i, o.take(i)
		}
	}
	where, ok := s.plainName()
	if !ok {
		return nil, 0, false
	}
	name = s.b[where.start:where.end]
	for i := range fields {
		if fields[i].name == string(name) {
			return name, i, o.take(i)
		}
	}
	return name, -1, s.note(o.names, where)
}

// take notes that a field is there. It says false where it was there before.
func (o *object) take(i int) bool {
	before := o.seen
	o.seen |= 1 << i
	o.next = i + 1
	return o.seen != before
}

// seen tells the visitor of a member, whose value began at start. It says false
// where the visitor does.
func (s *scanner) seen(name []byte, start int) bool {
	return s.visit == nil || s.depth > 1 || s.visit(name, s.b[start:s.at:s.at], start)
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
		to := s.newOf(as)
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
func (s *scanner) newOf(as *shape) unsafe.Pointer {
	switch as.elem {
	case kindString:
		if text := s.memory.text(); text != nil {
			return unsafe.Pointer(text)
		}
		return unsafe.Pointer(new(string))
	case kindInt, kindFloat, kindBool:
		if word := s.memory.word(); word != nil {
			return word
		}
		return unsafe.Pointer(new(uint64))
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
	if !s.take('[') || s.depth == maxDepth {
		return false
	}
	if s.take(']') {
		return true
	}
	s.depth++
	from := -1
	if s.memory != nil {
		from = s.memory.take(as)
		v.hold(s.memory.lists[from].mem)
	}
	for {
		if v.len == v.cap {
			more := v.grow(as)
			if from >= 0 {
				s.memory.lists[from].mem = more
			}
		}
		v.len++
		if null := s.peek() == 'n'; null && !s.word("null") || !null && !s.object(at(v.first, uintptr(v.len-1)*as.size), as.plan) {
			return false
		}
		if s.take(',') {
			continue
		}
		s.depth--
		return s.take(']')
	}
}

// hold makes a slice what v is in.
func (v *array) hold(mem reflect.Value) {
	if mem.IsValid() {
		v.first, v.cap = mem.UnsafePointer(), mem.Len()
	}
}

// grow makes room for two elements, then for four times as many as there are.
func (v *array) grow(as *shape) reflect.Value {
	n := max(2, 4*v.len)
	more := reflect.MakeSlice(as.typ, n, n)
	if v.len > 0 {
		reflect.Copy(more, reflect.SliceAt(as.to, v.first, v.len))
	}
	v.hold(more)
	return more
}
