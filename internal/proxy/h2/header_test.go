package h2

import (
	"fmt"
	"net/http"
	"testing"
	"unsafe"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// The library may still be encoding fields when the memory that they came in
// serves another exchange.
func TestAddTo_SharesNoMemory(t *testing.T) {
	memory := []byte("X-Twice1a onetwo")
	text := func(from, to int) string { return unsafe.String(&memory[from], to-from) }
	var in exchange.Header
	for _, value := range []string{text(10, 13), text(13, 16)} {
		in.Add(text(0, 7), value)
		in.Add(text(7, 9), value)
	}
	out := http.Header{}
	addTo(out, &in)
	for i := range memory {
		memory[i] = 0xDB
	}
	if got, want := fmt.Sprint(out), "map[1a:[one two] X-Twice:[one two]]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
