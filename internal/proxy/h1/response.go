package h1

import (
	"bytes"
	"errors"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

var (
	errIncomplete = errors.New("incomplete head")
	errResponse   = errors.New("malformed response")
	errHeadSize   = errors.New("response head too large")
)

// responseHead is what the codec itself needs to know of a response.
type responseHead struct {
	options connectionOptions
	status  int
	http10  bool
	length  int64 // Content-Length, or -1
	encoded bool  // Transfer-Encoding: chunked
	upgrade string
	fields  exchange.Header
}

// parse reads a response head from the front of b. What it is not sure of it
// refuses: errIncomplete asks for more bytes.
func (h *responseHead) parse(b []byte, opt *Options) (n int, err error) {
	h.options.reset()
	h.fields.Reset()
	*h = responseHead{options: h.options, fields: h.fields, length: -1}
	end := bytes.IndexByte(b, '\n')
	if end < 0 {
		if len(b) >= opt.HeadBytes {
			return 0, errHeadSize
		}
		return 0, errIncomplete
	}
	if end == 0 || b[end-1] != '\r' || !h.parseLine(b[:end-1]) {
		return 0, errResponse
	}
	s := fieldScanner{b: b, pos: end + 1}
	for fields := 0; ; fields++ {
		name, value, v := s.next()
		switch {
		case v == malformed:
			return 0, errResponse
		case v == incomplete && len(b) < opt.HeadBytes:
			return 0, errIncomplete
		case v == incomplete || fields > opt.Fields || s.pos > opt.HeadBytes:
			return 0, errHeadSize
		case v == ended:
			return s.pos, h.finish()
		}
		if !h.field(name, value) {
			return 0, errResponse
		}
	}
}

// parseLine reads a status line; the reason is checked and dropped (RFC 9112
// section 4).
func (h *responseHead) parseLine(line []byte) bool {
	if len(line) < len("HTTP/1.1 200") || string(line[:7]) != "HTTP/1." || line[8] != ' ' {
		return false
	}
	if line[7] < '0' || line[7] > '9' {
		return false
	}
	h.http10 = line[7] == '0'
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return false
		}
		h.status = h.status*10 + int(c-'0')
	}
	if h.status < 100 || h.status > 599 {
		return false
	}
	reason := line[12:]
	if len(reason) > 0 && reason[0] != ' ' {
		return false
	}
	for _, c := range reason {
		if charClass[c]&classValue == 0 {
			return false
		}
	}
	return true
}

func (h *responseHead) field(name, value string) bool {
	switch classify(name) {
	case kindContentLength:
		n, ok := parseLength(value)
		if !ok || h.length >= 0 && h.length != n {
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
	case kindTE, kindHop:
	default:
		h.fields.Add(name, value)
	}
	return true
}

func (h *responseHead) finish() error {
	if h.encoded && (h.length >= 0 || h.http10) {
		return errResponse
	}
	h.options.strip(&h.fields)
	return nil
}

// keepAlive says whether the connection may be used again.
func (h *responseHead) keepAlive() bool {
	return !h.options.close && (!h.http10 || h.options.keepAlive)
}
