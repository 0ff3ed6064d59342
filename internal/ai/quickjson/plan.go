package quickjson

import (
	"encoding/json/jsontext"
	"reflect"
	"strings"
	"unsafe"
)

// kind is how a field is read and written.
type kind uint8

const (
	kindString kind = iota + 1
	kindBool
	kindInt     // int or int64, which the compiler makes sure are the same
	kindRaw     // jsontext.Value
	kindStrings // []string
	kindStruct
	kindStructs // slice of structs
	kindPointer // to a string, bool, int, float or struct
	kindFloat   // behind a pointer only
	kindMap     // only an empty one is written
	kindOther   // left to encoding/json/v2, unless it is absent
)

// plan is how a struct is read and written: its fields by where they are, so
// that nothing has to be looked up while that is done.
type plan struct {
	fields []field
	rest   uintptr // where the field is that keeps unknown members
	keeps  bool    // there is such a field
	odd    bool    // it has fields that are not understood
}

type field struct {
	name      string
	label     string // "name": as it is written
	offset    uintptr
	omitEmpty bool
	omitZero  bool
	absent    absence
	word      uintptr // where the word of absentWord is
	shape
}

// absence is how it can be seen, without a look at its JSON form, that a field is
// left out.
type absence uint8

const (
	absentWord absence = iota + 1 // a pointer or length of zero
	absentByte
	absentInt
	absentMap
)

// findAbsence finds how the absence of f can be seen.
func (f *field) findAbsence() {
	switch f.kind {
	case kindString:
		f.absent, f.word = absentWord, unsafe.Sizeof(uintptr(0))
	case kindPointer:
		f.absent = absentWord
	case kindStrings, kindStructs, kindRaw:
		f.absent = absentWord
		if f.omitEmpty {
			f.word = unsafe.Sizeof(uintptr(0))
		}
	case kindBool:
		if f.omitZero {
			f.absent = absentByte
		}
	case kindInt:
		if f.omitZero {
			f.absent = absentInt
		}
	case kindMap:
		f.absent = absentMap
	}
}

// shape is the form of a value: of a pointer's or list's target in elem.
type shape struct {
	kind kind
	elem kind         // of kindPointer
	typ  reflect.Type // of the value itself
	to   reflect.Type // of a pointer's target and a list's elements
	size uintptr      // of a list's elements
	plan *plan        // of the struct, where there is one
}

// compiler makes plans; those of recursive types refer to themselves.
type compiler map[reflect.Type]*plan

// plan returns nil for what is no plain struct.
func (c compiler) plan(t reflect.Type) *plan {
	if t.Kind() != reflect.Struct || hasMethods(t) {
		return nil
	}
	if p, ok := c[t]; ok {
		return p
	}
	p := &plan{}
	c[t] = p
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case options == "embed" && f.Type == reflect.TypeFor[jsontext.Value]():
			p.rest, p.keeps = f.Offset, true
			continue
		case name == "" || name == "-" || options != "" && options != "omitempty" && options != "omitzero":
			p.odd = true
			continue
		}
		p.add(field{
			name: name, label: `"` + name + `":`, offset: f.Offset,
			omitEmpty: options == "omitempty", omitZero: options == "omitzero", shape: c.shape(f.Type),
		})
	}
	return p
}

// maxFields is how many fields a struct may have.
const maxFields = 64

// add adds a field. Of some it takes more than a look whether they are left out.
func (p *plan) add(f field) {
	other := f.kind == kindOther
	p.odd = p.odd || len(p.fields) == maxFields || f.omitEmpty && other || f.omitZero && (other || f.kind == kindStruct || f.kind == kindMap)
	if f.omitEmpty || f.omitZero {
		f.findAbsence()
	}
	p.fields = append(p.fields, f)
}

func (c compiler) shape(t reflect.Type) shape {
	s := shape{kind: kindOther, typ: t}
	if t == reflect.TypeFor[jsontext.Value]() {
		s.kind = kindRaw
		return s
	}
	if hasMethods(t) {
		return s
	}
	switch t.Kind() {
	case reflect.String:
		s.kind = kindString
	case reflect.Bool:
		s.kind = kindBool
	case reflect.Int, reflect.Int64:
		if t.Size() == 8 {
			s.kind = kindInt
		}
	case reflect.Struct:
		if s.plan = c.plan(t); s.plan != nil {
			s.kind = kindStruct
		}
	case reflect.Map:
		s.kind = kindMap
	case reflect.Slice:
		c.list(&s)
	case reflect.Pointer:
		c.pointer(&s)
	}
	return s
}

func (c compiler) list(s *shape) {
	s.to = s.typ.Elem()
	s.size = s.to.Size()
	if s.typ == reflect.TypeFor[[]string]() {
		s.kind = kindStrings
	} else if s.plan = c.plan(s.to); s.plan != nil {
		s.kind = kindStructs
	}
}

func (c compiler) pointer(s *shape) {
	s.to = s.typ.Elem()
	if s.to.Kind() == reflect.Float64 {
		s.kind, s.elem = kindPointer, kindFloat
		return
	}
	switch to := c.shape(s.to); to.kind {
	case kindString, kindBool, kindInt, kindStruct:
		s.kind, s.elem, s.plan = kindPointer, to.kind, to.plan
	}
}

// hasMethods says that a type has its own way into JSON.
func hasMethods(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	for _, name := range []string{
		"MarshalJSON", "UnmarshalJSON", "MarshalJSONTo", "UnmarshalJSONFrom", "MarshalText", "UnmarshalText", "AppendText", "IsZero",
	} {
		if _, ok := p.MethodByName(name); ok {
			return true
		}
	}
	return false
}
