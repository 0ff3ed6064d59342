package h2

import (
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

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

// addFields appends src, without what is not for the other side.
func addFields(dst *exchange.Header, src map[string][]string) {
	for name, values := range src {
		if name == "Content-Length" || connectionSpecific(name) {
			continue
		}
		for _, v := range values {
			dst.Add(name, v)
		}
	}
}

// addTrailer appends the fields of src that are allowed in a trailer.
func addTrailer(dst *exchange.Header, src http.Header) {
	for name, values := range src {
		if !trailerAllowed(name) {
			continue
		}
		for _, v := range values {
			dst.Add(name, v)
		}
	}
}

// connectionSpecific says that a field is about one connection, which has no
// place in HTTP/2 (RFC 9113 section 8.2.2). The library refuses it in requests
// only, and closes the client's connection for the sake of one in a response.
func connectionSpecific(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// trailerAllowed says whether a field may come after a body. What routing,
// framing or authentication go by may not (RFC 9110 section 6.5.1), nor what the
// gateway itself says of the client.
func trailerAllowed(name string) bool {
	switch {
	case !httpguts.ValidTrailerHeader(name), connectionSpecific(name), strings.HasPrefix(name, "X-Forwarded-"):
		return false
	}
	return name != "Forwarded" && name != "X-Real-Ip" && name != "Cookie"
}

// validLength says whether Content-Length fields are one number. The library
// takes what is no number for zero, or for no length.
func validLength(values []string) bool {
	for _, v := range values {
		if v != values[0] {
			return false
		}
	}
	_, err := strconv.ParseUint(values[0], 10, 63)
	return err == nil
}
