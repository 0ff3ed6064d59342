package h2

import (
	"net/http"
	"strings"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// addTo appends src to an http.Header, without Content-Length. The strings are
// copied, into one piece of memory: the library may still be encoding them
// when a broken exchange has ended and its memory serves another.
func addTo(dst http.Header, src *exchange.Header) {
	size := 0
	for f := range src.All() {
		size += len(f.Name) + len(f.Value)
	}
	var memory strings.Builder
	memory.Grow(size)
	keep := func(s string) string {
		start := memory.Len()
		memory.WriteString(s)
		return memory.String()[start:]
	}
	for f := range src.All() {
		name := http.CanonicalHeaderKey(f.Name)
		if name == "Content-Length" {
			continue
		}
		name = keep(name) // also where an equal one is there: the map takes this in its place
		dst[name] = append(dst[name], keep(f.Value))
	}
}
