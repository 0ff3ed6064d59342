//go:build !poison

package poison

import "reflect"

// On says that memory is overwritten.
const On = false

// Bytes overwrites b up to its capacity.
func Bytes([]byte) {}

// Value overwrites what v points to: texts, numbers and truth values become
// garbage, and whatever refers to other memory refers to nothing.
func Value[T any](*T) {}

// Values is Value for the elements of a list, up to its capacity.
func Values[T any]([]T) {}

// List is Values for a slice of any type.
func List(reflect.Value) {}
