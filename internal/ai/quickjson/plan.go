package quickjson

import (
	"encoding/json/jsontext"
	"reflect"
	"strings"
)

// kind is how a field is read and written.
type kind uint8

const (
	kindString kind = iota + 1
	kindBool
	kindInt
	kindRaw     // jsontext.Value
	kindStrings // []string
	kindStruct
	kindStructs // slice of structs
	kindPointer // to a string, bool, int, float or struct
	kindFloat   // behind a pointer only
	kindMap     // only an empty one is written
	kindOther   // left to encoding/json/v2, unless it is absent
)

// plan is how a struct is read and written.
type plan struct {
	fields []field
	rest   int  // index of the field that keeps unknown members, or -1
	odd    bool // it has fields that are not understood
}

type field struct {
	name      string
	label     string // "name": as it is written
	index     int
	omitEmpty bool
	omitZero  bool
	shape
}

// shape is the form of a value: of a pointer's or list's target in elem.
type shape struct {
	kind kind
	elem kind  // of kindPointer
	plan *plan // of the struct, where there is one
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
	p := &plan{rest: -1}
	c[t] = p
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case options == "embed" && f.Type == reflect.TypeFor[jsontext.Value]():
			p.rest = f.Index[0]
			continue
		case name == "" || name == "-" || options != "" && options != "omitempty" && options != "omitzero":
			p.odd = true
			continue
		}
		p.fields = append(p.fields, field{
			name: name, label: `"` + name + `":`, index: f.Index[0],
			omitEmpty: options == "omitempty", omitZero: options == "omitzero", shape: c.shape(f.Type),
		})
	}
	return p
}

func (c compiler) shape(t reflect.Type) shape {
	if t == reflect.TypeFor[jsontext.Value]() {
		return shape{kind: kindRaw}
	}
	if hasMethods(t) {
		return shape{kind: kindOther}
	}
	switch t.Kind() {
	case reflect.String:
		return shape{kind: kindString}
	case reflect.Bool:
		return shape{kind: kindBool}
	case reflect.Int, reflect.Int64:
		return shape{kind: kindInt}
	case reflect.Struct:
		return shape{kind: kindStruct, plan: c.plan(t)}
	case reflect.Map:
		return shape{kind: kindMap}
	case reflect.Slice:
		if t == reflect.TypeFor[[]string]() {
			return shape{kind: kindStrings}
		}
		if p := c.plan(t.Elem()); p != nil {
			return shape{kind: kindStructs, plan: p}
		}
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.Float64 {
			return shape{kind: kindPointer, elem: kindFloat}
		}
		switch to := c.shape(t.Elem()); to.kind {
		case kindString, kindBool, kindInt, kindStruct:
			return shape{kind: kindPointer, elem: to.kind, plan: to.plan}
		}
	}
	return shape{kind: kindOther}
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
