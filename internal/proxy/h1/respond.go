package h1

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

var (
	errShortBody = errors.New("the response body ended early")
	errInjection = errors.New("line break or NUL in a field")
)

// respond writes the response and reads its body to the end.
func (c *serverConn) respond() error {
	r := &c.ex.Response
	if r.Status == 101 && r.Tunnel != nil {
		return c.tunnel()
	}
	c.begin()
	if r.Status < 200 || r.Status > 999 {
		c.closeBody()
		r.Header.Reset()
		r.Status, r.ContentLength = 500, 0
	}
	if r.Close || c.server.draining.Load() || !c.body.ended() && !c.body.drainable() {
		c.closing = true
	}
	f := c.responseFraming()
	w := &c.writer
	w.left = r.ContentLength
	w.size(f == framedLength && r.ContentLength > smallBuffer/2)
	head, ok := c.appendHead(w.buf[:0], f)
	if !ok {
		c.closing = true
		w.out = c.appendRefusal(w.buf[:0], 500)
		return errors.Join(errInjection, w.flush())
	}
	if w.out = head; len(head) > len(w.buf) {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if f == framedNone {
		c.closeBody()
		return w.last()
	}
	err := w.copy(r, f)
	if err != nil && f == framedClose {
		c.link.reset() // an orderly end would make the body look complete
	}
	return err
}

// begin ends the time of informational responses.
func (c *serverConn) begin() {
	c.writing.Lock()
	c.answered = true
	c.writing.Unlock()
}

// responseFraming decides how the client learns where the body ends.
func (c *serverConn) responseFraming() framing {
	r := &c.ex.Response
	switch {
	case c.ex.Request.Method == "HEAD" || r.Status == 204 || r.Status == 304 || r.Body == nil:
		return framedNone
	case r.ContentLength > 0:
		return framedLength
	case r.ContentLength == 0:
		return framedNone
	case c.head.http10:
		c.closing = true
		return framedClose
	}
	return framedChunked
}

// appendHead writes the response head. It says whether that is sound: a field
// value that holds a line break would be the start of something else.
func (c *serverConn) appendHead(b []byte, f framing) ([]byte, bool) {
	r := &c.ex.Response
	b = appendStatusLine(b, r.Status)
	b, lines, dated := appendFields(b, &r.Header)
	lines += 2 // status line and empty line
	if !dated {
		b = append(append(append(b, "Date: "...), c.server.date.get(now())...), "\r\n"...)
		lines++
	}
	switch {
	case f == framedChunked:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		lines++
	case f == framedClose, r.Status == 204, r.ContentLength < 0, r.Status == 304 && r.ContentLength == 0:
	default:
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, r.ContentLength, 10), "\r\n"...)
		lines++
	}
	if c.closing {
		b = append(b, "Connection: close\r\n"...)
		lines++
	} else if c.head.http10 {
		b = append(b, "Connection: keep-alive\r\n"...)
		lines++
	}
	b = append(b, "\r\n"...)
	return b, sound(b, lines)
}

// appendFields writes the fields that are not the codec's own.
func appendFields(b []byte, h *exchange.Header) (out []byte, lines int, dated bool) {
	for i := range h.Len() {
		f := h.At(i)
		kind := classify(f.Name)
		if kind.framing() || kind == kindHost || kind == kindExpect {
			continue
		}
		dated = dated || kind == kindDate
		b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
		lines++
	}
	return b, lines, dated
}

// sound says whether a head has as many line ends as it has lines, and no NUL.
func sound(head []byte, lines int) bool {
	return bytes.Count(head, crBytes) == lines && bytes.Count(head, lfBytes) == lines && bytes.IndexByte(head, 0) < 0
}

// Constants of sound.
var crBytes, lfBytes = []byte("\r"), []byte("\n")

// bodyWriter gathers the head and as much of the body as there is without
// waiting, and writes both at once.
type bodyWriter struct {
	conn  *serverConn
	buf   []byte
	small *[smallBuffer]byte
	large *[largeBuffer]byte
	out   []byte // what is to be written: a prefix of buf
	left  int64  // with framedLength
	// deferred says that out is the end of the response, yet to be written.
	deferred bool
}

// size takes a large or a small buffer. What was gathered must be written.
func (w *bodyWriter) size(large bool) {
	if large == (w.large != nil) && w.buf != nil {
		return
	}
	w.free()
	if large {
		w.large = largeBuffers.Get().(*[largeBuffer]byte)
		w.buf = w.large[:]
	} else {
		w.small = smallBuffers.Get().(*[smallBuffer]byte)
		w.buf = w.small[:]
	}
	w.out = w.buf[:0]
}

func (w *bodyWriter) free() {
	if w.large != nil {
		largeBuffers.Put(w.large)
	}
	if w.small != nil {
		smallBuffers.Put(w.small)
	}
	w.large, w.small, w.buf, w.out, w.deferred = nil, nil, nil, nil, false
}

func (w *bodyWriter) flush() error {
	out := w.out
	w.out = w.buf[:0]
	return w.conn.link.write(out, w.conn.server.timeouts.Write)
}

// last writes the end of a response, or leaves that to turn.
func (w *bodyWriter) last() error {
	if w.deferred = w.conn.mayTurn() && len(w.out) > 0; w.deferred {
		return nil
	}
	return w.flush()
}

const (
	// chunkHead is room for the size of a chunk that fits a large buffer,
	// chunkTail for its end and the last chunk.
	chunkHead = len("ffff\r\n")
	chunkTail = len("\r\n0\r\n\r\n")
	// minRead is the least space to read into.
	minRead = 512
)

// copy sends the body, and closes it as soon as its end is known, so that the
// backend's connection is free again before the client has got everything.
func (w *bodyWriter) copy(r *exchange.Response, f framing) error {
	for {
		before := 0
		if f == framedChunked {
			before = chunkHead
		}
		start := len(w.out) + before
		end := len(w.buf) - chunkTail
		if r.Body.Buffered() == 0 && len(w.out) > 0 || end-start < minRead {
			if err := w.flush(); err != nil {
				return err
			}
			continue
		}
		if f == framedLength {
			end = int(min(int64(end), int64(start)+w.left))
		}
		n, err := r.Body.Read(w.buf[start:end])
		w.conn.sent += int64(n)
		w.left -= int64(n)
		w.add(n, f)
		if err != nil || f == framedLength && w.left == 0 {
			return w.finish(r, f, err)
		}
		if len(w.out) == 0 || n < end-start {
			continue
		}
		if err := w.flush(); err != nil {
			return err
		}
		w.size(true)
	}
}

// add takes over n bytes that were read behind out.
func (w *bodyWriter) add(n int, f framing) {
	if f == framedChunked {
		w.out = appendChunk(w.out, n)
	} else {
		w.out = w.out[:len(w.out)+n]
	}
}

// appendChunk makes a chunk of the n bytes that stand chunkHead behind the end
// of b.
func appendChunk(b []byte, n int) []byte {
	if n == 0 {
		return b
	}
	data := b[:cap(b)][len(b)+chunkHead:][:n]
	b = append(strconv.AppendInt(b, int64(n), 16), "\r\n"...)
	at := len(b)
	b = b[:at+n]
	copy(b[at:], data) // moves nothing where the size has four digits
	return append(b, "\r\n"...)
}

// finish is called with the last bytes of the body, or when it broke off: then
// the client must not take it for complete.
func (w *bodyWriter) finish(r *exchange.Response, f framing, err error) error {
	w.conn.closeBody()
	if err == io.EOF {
		err = nil
		if f == framedLength && w.left > 0 {
			err = errShortBody
		}
	}
	if err == nil && f == framedChunked {
		w.appendLastChunk(&r.Trailer)
	}
	if err != nil {
		return errors.Join(err, w.flush())
	}
	return w.last()
}

// appendLastChunk ends a chunked body, with a trailer for a client that wants
// one.
func (w *bodyWriter) appendLastChunk(trailer *exchange.Header) {
	w.out = append(w.out, "0\r\n"...)
	if w.conn.ex.Request.AcceptsTrailers {
		w.out = appendTrailer(w.out, trailer)
	}
	w.out = append(w.out, "\r\n"...)
}

func appendTrailer(b []byte, trailer *exchange.Header) []byte {
	for f := range trailer.All() {
		line := len(b)
		if trailerAllowed(f.Name) {
			b = append(append(append(append(b, f.Name...), ": "...), f.Value...), "\r\n"...)
		}
		if len(b) > line && !sound(b[line:], 1) {
			b = b[:line]
		}
	}
	return b
}
