//go:build poison

package poison

import (
	"reflect"
	"strings"
)

// On says that memory is overwritten.
const On = true

// garbage is no UTF-8, no JSON, no part of a field and no plausible number.
const garbage = 0xDB

// Bytes overwrites b up to its capacity.
func Bytes(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = garbage
	}
}

// Value overwrites what v points to: texts, numbers and truth values become
// garbage, and whatever refers to other memory refers to nothing.
func Value[T any](v *T) { spoil(reflect.ValueOf(v).Elem()) }

// Values is Value for the elements of a list, up to its capacity.
func Values[T any](list []T) {
	List(reflect.ValueOf(list))
}

// List is Values for a slice of any type.
func List(list reflect.Value) {
	list = list.Slice(0, list.Cap())
	for i := range list.Len() {
		spoil(list.Index(i))
	}
}

func spoil(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.Repeat(string([]byte{garbage}), 16))
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(garbage &^ 0x80)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(garbage)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(-garbage)
	case reflect.Struct:
		for _, field := range v.Fields() {
			// So that it can be set although another package does not export it.
			spoil(reflect.NewAt(field.Type(), field.Addr().UnsafePointer()).Elem())
		}
	case reflect.Array:
		for i := range v.Len() {
			spoil(v.Index(i))
		}
	default:
		v.SetZero()
	}
}
