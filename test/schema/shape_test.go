package schema

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// shapes checks JSON values against the Go types of an SDK that Stainless
// generated, strictly: no unknown member, none missing that is required, no
// other kind of value.
type shapes struct {
	// extensions are members that are not the protocol's and that we document.
	extensions []string
	// optional are required members that the provider itself leaves out.
	optional []string
	// nullable are required members whose null the generated types do not show.
	nullable []string
}

// check returns what is wrong with v, which is decoded JSON, as a t.
func (s shapes) check(t reflect.Type, v any, at string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Interface || t == reflect.TypeFor[json.RawMessage]() {
		return nil
	}
	switch t.Kind() {
	case reflect.Struct:
		return s.structure(t, v, at)
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			return wrong(t, v, at)
		}
		var bad []string
		for i, e := range list {
			bad = append(bad, s.check(t.Elem(), e, fmt.Sprintf("%s[%d]", at, i))...)
		}
		return bad
	case reflect.Map:
		members, ok := v.(map[string]any)
		if !ok {
			return wrong(t, v, at)
		}
		var bad []string
		for name, e := range members {
			bad = append(bad, s.check(t.Elem(), e, at+"."+name)...)
		}
		return bad
	}
	return plain(t, v, at)
}

func plain(t reflect.Type, v any, at string) []string {
	ok := false
	switch x := v.(type) {
	case string:
		ok = t.Kind() == reflect.String
	case bool:
		ok = t.Kind() == reflect.Bool
	case json.Number:
		_, notInteger := x.Int64()
		ok = t.Kind() == reflect.Float64 || t.Kind() == reflect.Int64 && notInteger == nil
	}
	if !ok {
		return wrong(t, v, at)
	}
	return nil
}

func wrong(t reflect.Type, v any, at string) []string {
	b, _ := json.Marshal(v) // it was JSON
	return []string{fmt.Sprintf("%s: %.80s is no %s", at, b, t)}
}

func (s shapes) structure(t reflect.Type, v any, at string) []string {
	if value, ok := t.FieldByName("Value"); ok && strings.HasPrefix(t.Name(), "Opt[") {
		if v == nil {
			return nil
		}
		return s.check(value.Type, v, at)
	}
	if variants := variantsOf(t); len(variants) > 0 {
		return s.union(variants, v, at)
	}
	members, ok := v.(map[string]any)
	if !ok {
		return wrong(t, v, at)
	}
	var bad []string
	known := map[string]bool{}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		known[name] = true
		bad = append(bad, s.member(f, members, name, at+"."+name)...)
	}
	if extra, ok := t.FieldByName("ExtraFields"); ok && extra.Type.Kind() == reflect.Map {
		return bad // a type that is open by itself, like a JSON schema
	}
	for name := range members {
		if !known[name] && !slices.Contains(s.extensions, name) {
			bad = append(bad, at+"."+name+": unknown to "+t.Name())
		}
	}
	return bad
}

func (s shapes) member(f reflect.StructField, members map[string]any, name, at string) []string {
	v, present := members[name]
	constant, isConstant := f.Tag.Lookup("default")
	rule := f.Tag.Get("api")
	switch {
	case !present && (rule == "required" || isConstant) && !slices.Contains(s.optional, name):
		return []string{at + ": missing"}
	case !present:
		return nil
	case v == nil && (rule == "nullable" || slices.Contains(s.nullable, name)):
		return nil
	case isConstant && v != constant:
		return []string{fmt.Sprintf("%s: %v is not %q", at, v, constant)}
	case isConstant:
		return nil
	}
	return s.check(f.Type, v, at)
}

// variantsOf returns the types that a union may be, or none for a type that is
// no union. Parameters have a field for each of them, answers a method.
func variantsOf(t reflect.Type) []reflect.Type {
	var variants []reflect.Type
	for f := range t.Fields() {
		if strings.HasPrefix(f.Name, "Of") && strings.Contains(f.Tag.Get("json"), "inline") {
			variants = append(variants, f.Type)
		}
	}
	if !strings.HasSuffix(t.Name(), "Union") || len(variants) > 0 {
		return variants
	}
	for m := range t.Methods() {
		if strings.HasPrefix(m.Name, "As") && m.Name != "AsAny" && m.Type.NumIn() == 1 && m.Type.NumOut() == 1 {
			variants = append(variants, m.Type.Out(0))
		}
	}
	return variants
}

// union accepts what any of the variants accepts; else it tells what the
// nearest of them misses.
func (s shapes) union(variants []reflect.Type, v any, at string) []string {
	var nearest []string
	for _, t := range variants {
		bad := s.check(t, v, at)
		if len(bad) == 0 {
			return nil
		}
		if nearest == nil || rank(bad, at) < rank(nearest, at) {
			nearest = bad
		}
	}
	return nearest
}

// rank puts a variant of another type or role behind all others.
func rank(bad []string, at string) int {
	for _, b := range bad {
		if strings.HasPrefix(b, at+".type: ") || strings.HasPrefix(b, at+".role: ") || strings.HasPrefix(b, at+": ") {
			return len(bad) + 1000
		}
	}
	return len(bad)
}
