package h1

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Outcomes of parsing a request head, beside the status to refuse it with.
const (
	headOK         = 0
	headIncomplete = -1
)

// maxMethod is the longest method, in bytes.
const maxMethod = 64

// requestHead is what the codec itself needs to know of a request.
type requestHead struct {
	options  connectionOptions
	http10   bool
	length   int64 // Content-Length, or -1
	encoded  bool  // Transfer-Encoding: chunked
	host     string
	hosts    int
	upgrade  string
	upgrades int
	expects  int
	forwards string // Max-Forwards
	forward  [20]byte
	// local says that the codec answers by itself, with 200.
	local bool
	// star and authority are the forms of the target that are not its path.
	star      bool
	authority string
}

// parse reads a request head from the front of b into r, whose Header it only
// adds to. It returns the length of the head and headOK, headIncomplete, or the
// status to refuse the request with.
func (h *requestHead) parse(b []byte, r *exchange.Request) (n, status int) {
	h.options.reset()
	*h = requestHead{options: h.options, length: -1}
	skip := 0
	if len(b) > 0 && b[0] == '\r' { // one empty line: RFC 9112 section 2.2
		if v := lineEnd(b, 0); v != found {
			return 0, vetted(v)
		}
		skip = 2
	}
	end := bytes.IndexByte(b[skip:], '\n')
	if end < 0 {
		return 0, unfinishedLine(b[skip:])
	}
	line := b[skip : skip+end]
	if end == 0 || line[end-1] != '\r' {
		return 0, 400
	}
	if status := h.parseLine(view(line[:end-1]), r); status != headOK {
		return 0, status
	}
	s := fieldScanner{b: b, pos: skip + end + 1}
	for fields := 0; ; fields++ {
		name, value, v := s.next()
		switch v {
		case incomplete:
			if len(b) >= maxHead {
				return 0, 431
			}
			return 0, headIncomplete
		case malformed:
			return 0, 400
		case ended:
			if s.pos > maxHead {
				return 0, 431
			}
			return s.pos, h.finish(r)
		default:
			if fields == maxFields {
				return 0, 431
			}
			if !h.field(r, name, value) {
				return 0, 400
			}
		}
	}
}

func vetted(v verdict) int {
	if v == incomplete {
		return headIncomplete
	}
	return 400
}

// unfinishedLine refuses a request line as soon as it is too long, or cannot be
// one.
func unfinishedLine(b []byte) int {
	i := 0
	for i < len(b) && i <= maxMethod && charClass[b[i]]&classToken != 0 {
		i++
	}
	switch {
	case i <= maxMethod && i < len(b) && (i == 0 || b[i] != ' '):
		return 400
	case len(b) > maxMethod && bytes.IndexByte(b[:maxMethod+1], ' ') < 0:
		return 501
	case len(b) > maxMethod+maxTarget+len(" HTTP/1.1\r\n "):
		return 414
	}
	return headIncomplete
}

func (h *requestHead) parseLine(line string, r *exchange.Request) int {
	method, rest, ok := strings.Cut(line, " ")
	if len(method) > maxMethod {
		return 501
	}
	target, version, ok2 := strings.Cut(rest, " ")
	if len(target) > maxTarget {
		return 414
	}
	if !ok || !ok2 || !isToken(method) || target == "" {
		return 400
	}
	for i := range len(target) {
		if charClass[target[i]]&classTarget == 0 {
			return 400
		}
	}
	if status := h.parseVersion(version, r); status != headOK {
		return status
	}
	r.Method = method
	return h.parseTarget(target, r)
}

// parseVersion takes 1.2 to 1.9 for 1.1, of which they are supersets (RFC 9110
// section 2.5).
func (h *requestHead) parseVersion(version string, r *exchange.Request) int {
	if len(version) != len("HTTP/1.1") || version[:5] != "HTTP/" || version[6] != '.' ||
		version[5] < '0' || version[5] > '9' || version[7] < '0' || version[7] > '9' {
		return 400
	}
	if version[5] != '1' {
		return 505
	}
	r.Proto = exchange.HTTP11
	if version[7] == '0' {
		r.Proto, h.http10 = exchange.HTTP10, true
	}
	return headOK
}

func (h *requestHead) parseTarget(target string, r *exchange.Request) int {
	switch {
	case target[0] == '/':
		if r.Method == "CONNECT" || !splitTarget(r, target) {
			return 400
		}
	case r.Method == "CONNECT":
		if !validConnectTarget(target) {
			return 400
		}
	case target == "*":
		if r.Method != "OPTIONS" {
			return 400
		}
		h.star, r.Path = true, target
	default:
		return h.parseAbsolute(target, r)
	}
	return headOK
}

// parseAbsolute takes the scheme of the connection for the only right one:
// another would have been sent to another place.
func (h *requestHead) parseAbsolute(target string, r *exchange.Request) int {
	authority, rest, ok := splitAbsolute(target, r.Scheme)
	if !ok {
		return 400
	}
	if h.authority, ok = exchange.ParseAuthority(authority); !ok {
		return 400
	}
	switch {
	case rest == "" && r.Method == "OPTIONS": // RFC 9112 section 3.2.4
		h.star, r.Path = true, "*"
		return headOK
	case rest == "":
		r.Path = "/"
		return headOK
	case rest[0] == '?':
		r.Path, r.Query, r.HasQuery = "/", rest[1:], true
		return headOK
	}
	if !splitTarget(r, rest) {
		return 400
	}
	return headOK
}

// field takes note of one field line and says whether it is acceptable.
func (h *requestHead) field(r *exchange.Request, name, value string) bool {
	switch kind := classify(name); kind {
	case kindOther:
		if aliasesFraming(name) {
			return true
		}
		r.Header.Add(name, value)
	case kindHost:
		h.host = value
		h.hosts++
	case kindContentLength:
		n, ok := parseLength(value)
		if !ok || h.length >= 0 {
			return false
		}
		h.length = n
	case kindTransferEncoding:
		if h.encoded || !exchange.EqualFold(value, "chunked") {
			return false
		}
		h.encoded = true
	case kindConnection:
		h.options.add(value)
	case kindUpgrade:
		h.upgrade = value
		h.upgrades++
	case kindExpect:
		h.expects++
		if !exchange.EqualFold(value, "100-continue") {
			h.expects = 2
		}
	case kindTE:
		r.AcceptsTrailers = r.AcceptsTrailers || listHas(value, "trailers")
	case kindMaxForwards:
		h.forwards = value
		r.Header.Add(name, value)
	case kindDate:
		r.Header.Add(name, value)
	}
	return true
}

// aliasesFraming finds names that a backend which folds "_" into "-" would take
// for framing or for the host. They are dropped.
func aliasesFraming(name string) bool {
	if strings.IndexByte(name, '_') < 0 {
		return false
	}
	kind := classify(strings.ReplaceAll(name, "_", "-"))
	return kind == kindHost || kind == kindExpect || kind.framing()
}

func listHas(list, token string) bool {
	for item := range strings.SplitSeq(list, ",") {
		if exchange.EqualFold(trimOWS(item), token) {
			return true
		}
	}
	return false
}

// finish judges the head as a whole.
func (h *requestHead) finish(r *exchange.Request) int {
	if h.encoded && (h.length >= 0 || h.http10) {
		return 400
	}
	if status := h.finishAuthority(r); status != headOK {
		return status
	}
	switch r.Method {
	case "CONNECT":
		if h.length >= 0 || h.encoded {
			return 400
		}
		return 405
	case "TRACE":
		return 405
	case "OPTIONS":
		h.finishOptions(r)
	}
	if h.expects > 1 {
		return 417
	}
	h.options.strip(&r.Header)
	r.ContentLength = max(h.length, 0)
	if h.encoded {
		r.ContentLength = exchange.Unknown
	}
	r.ExpectContinue = h.expects == 1 && r.ContentLength != 0 && !h.http10
	return h.finishUpgrade(r)
}

// finishAuthority refuses a Host that differs from the authority of the
// target: one of the two would be routed on and the other seen by the backend.
func (h *requestHead) finishAuthority(r *exchange.Request) int {
	if h.hosts > 1 || h.hosts == 0 && !h.http10 {
		return 400
	}
	r.Authority = ""
	if h.hosts == 1 {
		authority, ok := exchange.ParseAuthority(h.host)
		if !ok {
			return 400
		}
		r.Authority = authority
	}
	if h.authority != "" {
		if h.hosts == 1 && !exchange.EqualFold(h.authority, r.Authority) {
			return 400
		}
		r.Authority = h.authority
	}
	return headOK
}

// finishOptions applies Max-Forwards (RFC 9110 section 7.6.2) and keeps
// "OPTIONS *" from the backends: it is about the gateway, which is the server
// that the client sees. A malformed value is passed on.
func (h *requestHead) finishOptions(r *exchange.Request) {
	n, ok := parseLength(h.forwards)
	if h.star || ok && n == 0 {
		h.local = true
		return
	}
	if ok {
		r.Header.Set("Max-Forwards", view(strconv.AppendInt(h.forward[:0], n-1, 10)))
	}
}

// finishUpgrade recognises the one upgrade there is, to WebSocket (RFC 6455
// section 4.2.1). Any other, "h2c" above all, is not seen: the request is an
// ordinary one.
func (h *requestHead) finishUpgrade(r *exchange.Request) int {
	if h.upgrades != 1 || !h.options.upgrade || h.http10 || !exchange.EqualFold(h.upgrade, "websocket") {
		return headOK
	}
	if r.ContentLength != 0 || h.length >= 0 {
		return 400
	}
	if r.Method != "GET" {
		return headOK
	}
	if only(&r.Header, "Sec-WebSocket-Version") != "13" || !validWebSocketKey(only(&r.Header, "Sec-WebSocket-Key")) {
		return 400
	}
	r.Upgrade = "websocket"
	return headOK
}

// only is the value of a field that may be there once; "" where it is there
// more often: a backend might look at another line than this codec.
func only(h *exchange.Header, name string) (value string) {
	seen := 0
	for v := range h.Values(name) {
		value = v
		seen++
	}
	if seen != 1 {
		return ""
	}
	return value
}

// validWebSocketKey says whether key is 16 bytes in base64.
func validWebSocketKey(key string) bool {
	var decoded [18]byte
	if len(key) != base64.StdEncoding.EncodedLen(16) {
		return false
	}
	n, err := base64.StdEncoding.Decode(decoded[:], []byte(key))
	return err == nil && n == 16
}
