package h2

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// copySize is how much of a body is moved at once: some frames' worth.
const copySize = 32 << 10

// stream is one request of a client and what it takes to answer it.
type stream struct {
	ex      exchange.Exchange
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	idle    time.Duration
	buffers *sync.Pool
	body    requestBody
	sent    int64

	long *time.Timer // fires when the exchange outlives the library's write deadline

	mu   sync.Mutex
	done bool // w must not be used any more
}

// serveStream answers one request. The library calls it on a goroutine of its
// own for every stream.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	if !s.answer(w, r) {
		// The library's only way to reset a stream.
		panic(http.ErrAbortHandler)
	}
}

// answer says whether the client has the whole answer.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) (whole bool) {
	defer func() {
		if v := recover(); v != nil {
			s.panicked(v)
		}
	}()
	conn, ok := r.Context().Value(connKey{}).(*serverConn)
	if !ok { // BaseContext puts it there
		return false
	}
	st := &stream{w: w, r: r, idle: s.idle, buffers: &s.buffers, control: http.NewResponseController(w)}
	st.ex.Client = (*streamClient)(st)
	st.long = time.AfterFunc(st.idle, st.outlive)
	defer st.end()
	if status := st.readRequest(conn); status != 0 {
		s.rejected(status)
		w.WriteHeader(status)
		return true
	}
	conn.handler.Serve(&st.ex)
	err := st.writeResponse()
	if b := st.ex.Response.Body; b != nil {
		_ = b.Close() // nothing is left to do with its error
	}
	received := st.body.finish()
	conn.handler.Finish(&st.ex, exchange.End{Err: err, Sent: st.sent, Received: received})
	return err == nil
}

// readRequest fills st.ex.Request. A status other than 0 refuses the request.
func (st *stream) readRequest(conn *serverConn) int {
	r, req := st.r, &st.ex.Request
	if r.Method == http.MethodConnect {
		return http.StatusNotImplemented
	}
	if !httpguts.ValidHeaderFieldName(r.Method) { // a token, both of them
		return http.StatusBadRequest
	}
	path, query, hasQuery := strings.Cut(r.RequestURI, "?")
	if !validTarget(r.RequestURI) || path == "*" && r.Method != http.MethodOptions {
		return http.StatusBadRequest
	}
	authority, ok := exchange.ParseAuthority(r.Host)
	if !ok {
		return http.StatusBadRequest
	}
	*req = exchange.Request{
		Proto: exchange.HTTP2, Method: r.Method, Scheme: conn.scheme, Authority: authority,
		Path: path, Query: query, HasQuery: hasQuery,
		Remote: conn.remote, Local: conn.local, TLS: conn.tls,
	}
	if !st.readFields() {
		return http.StatusBadRequest
	}
	if r.ContentLength != 0 {
		st.body.stream = st
		req.Body, req.ContentLength = &st.body, r.ContentLength
	}
	return 0
}

// readFields fills the request's header and says whether it may be handed on.
func (st *stream) readFields() bool {
	req := &st.ex.Request
	for name, values := range st.r.Header {
		switch name {
		case "Host":
			// :authority and Host must not disagree: one would be routed, the
			// other might be believed.
			if len(values) != 1 || !strings.EqualFold(values[0], st.r.Host) {
				return false
			}
		case "Te":
			req.AcceptsTrailers = values[0] == "trailers" // the library refuses any other value but none
		case "Content-Length":
			if !validLength(values) {
				return false
			}
		default:
			for _, v := range values {
				if v != strings.Trim(v, " \t") { // RFC 9113 section 8.2.1
					return false
				}
				req.Header.Add(name, v)
			}
		}
	}
	return true
}

// writeResponse sends st.ex.Response. An error means that the client did not
// get all of it.
func (st *stream) writeResponse() error {
	resp := &st.ex.Response
	h := st.w.Header()
	addTo(h, &resp.Header)
	if resp.ContentLength >= 0 && (resp.Body != nil || resp.ContentLength > 0 || st.r.Method != http.MethodHead) &&
		resp.Status >= 200 && resp.Status != http.StatusNoContent && resp.Status != http.StatusNotModified {
		h["Content-Length"] = []string{strconv.FormatInt(resp.ContentLength, 10)}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // so that the library does not guess one
	}
	if resp.Close {
		h["Connection"] = []string{"close"}
	}
	if resp.Status < 200 || resp.Status > 999 {
		return fmt.Errorf("status %d cannot be sent", resp.Status)
	}
	st.w.WriteHeader(resp.Status)
	if resp.Body == nil {
		return st.r.Context().Err()
	}
	if err := st.copyBody(resp.Body); err != nil {
		return err
	}
	for f := range resp.Trailer.All() {
		name := http.TrailerPrefix + http.CanonicalHeaderKey(f.Name)
		h[name] = append(h[name], strings.Clone(f.Value))
	}
	return nil
}

// copyBody sends a body, each part as soon as it has come. A client that does
// not take bytes for the idle timeout loses the stream.
func (st *stream) copyBody(body exchange.Body) error {
	buf, ok := st.buffers.Get().(*[]byte)
	if !ok {
		b := make([]byte, copySize)
		buf = &b
	}
	defer st.buffers.Put(buf)
	stalled := time.AfterFunc(st.idle, func() { st.expire(st.control.SetWriteDeadline) })
	stalled.Stop()
	defer stalled.Stop()
	flush := func() error {
		stalled.Reset(st.idle)
		defer stalled.Stop()
		return st.control.Flush()
	}
	for {
		// The last bytes of a known length go out with the end of the stream.
		if body.Buffered() == 0 && st.sent != st.ex.Response.ContentLength {
			if err := flush(); err != nil {
				return fmt.Errorf("write to client: %w", err)
			}
		}
		n, err := body.Read(*buf)
		if n > 0 {
			stalled.Reset(st.idle)
			m, werr := st.w.Write((*buf)[:n])
			stalled.Stop()
			st.sent += int64(m)
			if werr != nil {
				return fmt.Errorf("write to client: %w", werr)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read from backend: %w", err)
		}
	}
}

// expire calls set, a method of st.control, with a time in the past, which ends
// what waits on that side of the stream.
func (st *stream) expire(set func(time.Time) error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.done {
		_ = set(time.Unix(1, 0))
	}
}

// outlive takes the library's write deadline away.
func (st *stream) outlive() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.done {
		_ = st.control.SetWriteDeadline(time.Time{})
	}
}

// end keeps a late timer from touching a ResponseWriter that the library has
// taken back. What the library holds of the response it sends afterwards, for
// which there is a deadline: the one that it began with, or another.
func (st *stream) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.done = true
	if !st.long.Stop() {
		_ = st.control.SetWriteDeadline(time.Now().Add(st.idle))
	}
}
