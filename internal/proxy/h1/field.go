package h1

import (
	"strings"
	"unsafe"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// fieldKind tells the fields that the codec itself acts on from all others.
type fieldKind uint8

const (
	kindOther fieldKind = iota
	kindHost
	kindContentLength
	kindTransferEncoding
	kindConnection
	kindUpgrade
	kindExpect
	kindTE
	kindMaxForwards
	kindDate
	kindHop // other hop-by-hop fields, which are dropped
)

// classify looks at the length first: nearly every field is done with that.
func classify(name string) fieldKind {
	var known string
	var kind fieldKind
	switch len(name) {
	case 2:
		known, kind = "te", kindTE
	case 4:
		known, kind = "host", kindHost
		if name[0]|0x20 == 'd' {
			known, kind = "date", kindDate
		}
	case 6:
		known, kind = "expect", kindExpect
	case 7:
		known, kind = "upgrade", kindUpgrade
		if name[0]|0x20 == 't' {
			known, kind = "trailer", kindHop
		}
	case 10:
		known, kind = "connection", kindConnection
		if name[0]|0x20 == 'k' {
			known, kind = "keep-alive", kindHop
		}
	case 12:
		known, kind = "max-forwards", kindMaxForwards
	case 14:
		known, kind = "content-length", kindContentLength
		if name[0]|0x20 == 'h' {
			known, kind = "http2-settings", kindHop
		}
	case 16:
		known, kind = "proxy-connection", kindHop
	case 17:
		known, kind = "transfer-encoding", kindTransferEncoding
	case 18:
		known, kind = "proxy-authenticate", kindHop
	case 19:
		known, kind = "proxy-authorization", kindHop
	default:
		return kindOther
	}
	if exchange.EqualFold(name, known) {
		return kind
	}
	return kindOther
}

// framing says whether fields of this kind are written by the codec alone: a
// Handler's are not.
func (k fieldKind) framing() bool {
	switch k {
	case kindContentLength, kindTransferEncoding, kindConnection, kindUpgrade, kindTE, kindHop:
		return true
	default:
		return false
	}
}

// verdict is the outcome of looking for a message part in a buffer.
type verdict uint8

const (
	found verdict = iota
	ended         // the empty line
	incomplete
	malformed
)

// fieldScanner reads field lines one by one from the front of a buffer; heads
// and trailers of both directions go through it. A line ends with CRLF and
// nothing else; it has no whitespace before the colon and none at its start
// (RFC 9112 section 5.1 and 5.2).
type fieldScanner struct {
	b   []byte
	pos int
}

func (s *fieldScanner) next() (name, value string, v verdict) {
	b, i := s.b, s.pos
	for i < len(b) && charClass[b[i]]&classToken != 0 {
		i++
	}
	if i == len(b) {
		return "", "", incomplete
	}
	if i == s.pos {
		return "", "", s.emptyLine()
	}
	if b[i] != ':' {
		return "", "", malformed
	}
	name = view(b[s.pos:i])
	i++
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	start := i
	for i < len(b) && charClass[b[i]]&classValue != 0 {
		i++
	}
	if v := lineEnd(b, i); v != found {
		return "", "", v
	}
	s.pos = i + 2
	for i > start && (b[i-1] == ' ' || b[i-1] == '\t') {
		i--
	}
	return name, view(b[start:i]), found
}

func (s *fieldScanner) emptyLine() verdict {
	v := lineEnd(s.b, s.pos)
	if v == found {
		s.pos += 2
		return ended
	}
	return v
}

// lineEnd looks for CRLF at i.
func lineEnd(b []byte, i int) verdict {
	switch {
	case i >= len(b):
		return incomplete
	case b[i] != '\r':
		return malformed
	case i+1 >= len(b):
		return incomplete
	case b[i+1] != '\n':
		return malformed
	}
	return found
}

// view is b as a string, without a copy: it is valid as long as b is not
// written to.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// connectionOptions are the Connection lines of a message.
type connectionOptions struct {
	lines                     []string
	close, keepAlive, upgrade bool
	// names says that there are options which name other fields.
	names bool
}

func (o *connectionOptions) reset() {
	clear(o.lines)
	*o = connectionOptions{lines: o.lines[:0]}
}

func (o *connectionOptions) add(value string) {
	switch value { // the two that nearly every line consists of
	case "keep-alive":
		o.keepAlive = true
		return
	case "close":
		o.close = true
		return
	}
	o.lines = append(o.lines, value)
	for token := range strings.SplitSeq(value, ",") {
		token = trimOWS(token)
		switch {
		case token == "":
		case exchange.EqualFold(token, "close"):
			o.close = true
		case exchange.EqualFold(token, "keep-alive"):
			o.keepAlive = true
		case exchange.EqualFold(token, "upgrade"):
			o.upgrade = true
		case !isToken(token): // who can not be understood is not kept
			o.close = true
		default:
			o.names = true
		}
	}
}

func (o *connectionOptions) listed(name string) bool {
	for _, line := range o.lines {
		for token := range strings.SplitSeq(line, ",") {
			if exchange.EqualFold(trimOWS(token), name) {
				return true
			}
		}
	}
	return false
}

// strip removes the fields that the sender meant for this connection only.
func (o *connectionOptions) strip(h *exchange.Header) {
	if o.names {
		h.Filter(func(f exchange.Field) bool { return !o.listed(f.Name) })
	}
}

// trailerAllowed is the allow-list for trailer fields (RFC 9110 section 6.5.1):
// those that mean nothing to routing, authentication, framing or caching. All
// others are dropped.
func trailerAllowed(name string) bool {
	for _, allowed := range [...]string{
		"content-digest", "repr-digest", "digest", "server-timing", "server-signature",
		"grpc-status", "grpc-message", "grpc-status-details-bin",
	} {
		if exchange.EqualFold(name, allowed) {
			return true
		}
	}
	return false
}
