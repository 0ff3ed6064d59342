package capture

import (
	"bytes"
	"strings"
	"time"
)

// Preface is what an HTTP/2 client with prior knowledge begins with (RFC 9113
// section 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Patience is how long a client may be silent until what it has said must do.
// One that has said nothing may wait for its server to begin: see ClientBegins.
const Patience = 100 * time.Millisecond

// maxMethod is the length of the longest method that is taken for one.
const maxMethod = 24

// Kind is what a client speaks.
type Kind uint8

// Kinds of clients.
const (
	Opaque Kind = iota // neither version of HTTP, or no telling
	HTTP1
	HTTP2
)

// Look says what a client speaks that begins with head. sure says that no
// further bytes can change that; without, kind is what it looks like so far.
//
// For HTTP/1 its whole request line decides (RFC 9112 section 3), since others
// begin much alike: RTSP, SIP, the commands of Redis. A request for a forward
// proxy, with CONNECT or an absolute URL, is opaque: it is for that proxy.
func Look(head []byte) (kind Kind, sure bool) {
	switch {
	case strings.HasPrefix(string(head), Preface):
		return HTTP2, true
	case strings.HasPrefix(Preface, string(head)):
		return Opaque, false
	}
	method, rest, found := bytes.Cut(head, []byte(" "))
	switch {
	case !isMethod(method):
		return Opaque, true
	case !found || len(rest) == 0:
		return Opaque, false
	case rest[0] != '/' && rest[0] != '*':
		return Opaque, true
	}
	line, _, ended := bytes.Cut(rest, []byte("\n"))
	switch {
	case !ended:
		return HTTP1, false
	case isRequestLine(bytes.TrimSuffix(line, []byte("\r"))):
		return HTTP1, true
	}
	return Opaque, true
}

// isMethod says whether b is a method, or may become one. All that are
// registered are of capital letters and "-".
func isMethod(b []byte) bool {
	for _, c := range b {
		if (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= maxMethod
}

// isRequestLine says whether what follows the method ends in a version of
// HTTP/1.
func isRequestLine(b []byte) bool {
	const version = " HTTP/1."
	i := len(b) - len(version) - 1
	return i > 0 && string(b[i:len(b)-1]) == version && b[len(b)-1] >= '0' && b[len(b)-1] <= '9'
}
