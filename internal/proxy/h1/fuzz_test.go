package h1

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// message is a request as one of the two servers understood it.
type message struct {
	Method, Target, Host string
	Body                 string
	Whole                bool // the body had its proper end
}

// serveOurs lets our server half read what a client sent.
func serveOurs(in []byte, piece int) (got []message, out string) {
	conn := newMemConn(in, piece)
	s := &Server{}
	s.ServeConn(conn, ConnInfo{Handler: handlerFunc(func(ex *exchange.Exchange) {
		r := &ex.Request
		m := message{Method: strings.Clone(r.Method), Target: strings.Clone(r.Path), Host: strings.Clone(r.Authority), Whole: true}
		if r.HasQuery {
			m.Target += "?" + r.Query
		}
		if r.Body != nil {
			body, err := io.ReadAll(r.Body)
			m.Body, m.Whole = string(body), err == nil
		}
		got = append(got, m)
		ex.Response.Status = 200
	})})
	return got, undated(conn.out.String())
}

// twin is net/http's server, which serves as the oracle.
type twin struct{ conns memListener }

// twinConn is one connection to it, with what it made of that.
type twinConn struct {
	*memConn
	mu   sync.Mutex
	got  []message
	more chan struct{}
}

type twinKey struct{}

func newTwin(f *testing.F) *twin {
	f.Helper()
	t := &twin{conns: make(memListener)}
	server := &http.Server{
		Handler: t, ErrorLog: log.New(io.Discard, "", 0), ReadHeaderTimeout: patience,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, twinKey{}, c) },
	}
	go func() { _ = server.Serve(t.conns) }()
	f.Cleanup(func() { close(t.conns) })
	return t
}

func (t *twin) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	m := message{Method: r.Method, Target: r.RequestURI, Host: r.Host, Body: string(body), Whole: err == nil}
	if m.Method == "OPTIONS" && (r.URL.Host != "" && r.URL.Path == "" && r.URL.RawQuery == "" && !r.URL.ForceQuery || answersItself(r)) {
		return // our codec answers these, and no Handler sees them
	}
	if r.URL.Host != "" { // absolute-form: the Handler sees the path
		_, rest, _ := strings.Cut(m.Target, "://")
		m.Target = rest[min(strings.IndexAny(rest+"/", "/?"), len(rest)):]
		if !strings.HasPrefix(m.Target, "/") {
			m.Target = "/" + m.Target
		}
	}
	c := r.Context().Value(twinKey{}).(*twinConn)
	c.mu.Lock()
	c.got = append(c.got, m)
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
}

// serve lets net/http read the same bytes until it has seen n requests or is
// done.
func (t *twin) serve(in []byte, n int) []message {
	c := &twinConn{memConn: newMemConn(in, 0), more: make(chan struct{}, 1)}
	t.conns <- c
	for done := false; ; {
		c.mu.Lock()
		got := append([]message(nil), c.got...)
		c.mu.Unlock()
		if len(got) >= n || done {
			return got
		}
		select {
		case <-c.more:
		case <-c.closed:
			done = true
		}
	}
}

func answersItself(r *http.Request) bool {
	values := r.Header.Values("Max-Forwards")
	if len(values) == 0 {
		return false
	}
	n, ok := parseLength(values[len(values)-1])
	return ok && n == 0
}

// FuzzTwin: what we accept, net/http accepts, and takes the same bytes for its
// head and body. The other way round we are free to be stricter.
func FuzzTwin(f *testing.F) {
	for _, r := range seedRequests(f) {
		f.Add([]byte(r))
	}
	oracle := newTwin(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		switch {
		// net/http takes a trailer or a chunk line for hostile when it is
		// longer than its 4 KiB buffer.
		case len(in) > 4<<10:
			t.Skip("longer than net/http's buffers")
		// RFC 9112 section 2.2 has a server skip an empty line before a
		// request; net/http refuses it.
		case bytes.HasPrefix(in, []byte("\r\n")) || bytes.Contains(in, []byte("\r\n\r\n\r\n")) || bytes.Contains(in, []byte("\r\n\r\n")) && skipsEmptyLine(in):
			t.Skip("empty line before a request")
		}
		ours, _ := serveOurs(in, 0)
		if len(ours) == 0 {
			return
		}
		theirs := oracle.serve(in, len(ours))
		for i, m := range ours {
			if !m.Whole {
				return // both end the connection; how much was read first differs
			}
			if i >= len(theirs) {
				t.Fatalf("request %d is refused by net/http: %+v", i, m)
			}
			// "a:" is "a": an empty port is the default one.
			theirs[i].Host = strings.TrimSuffix(theirs[i].Host, ":")
			if diff := cmp.Diff(theirs[i], m); diff != "" {
				t.Fatalf("request %d (-net/http +ours):\n%s", i, diff)
			}
		}
	})
}

// skipsEmptyLine says whether our server skips an empty line before some
// request of in: then that request begins with CRLF.
func skipsEmptyLine(in []byte) bool {
	skips := false
	s := &Server{}
	conn := newMemConn(in, 0)
	s.ServeConn(conn, ConnInfo{Handler: handlerFunc(func(ex *exchange.Exchange) {
		if ex.Request.Body != nil {
			_, _ = io.Copy(io.Discard, ex.Request.Body)
		}
		c := ex.Client.(*serverConn)
		skips = skips || bytes.HasPrefix(c.in.buf[c.in.r:c.in.w], []byte("\r\n"))
	})})
	return skips
}

// FuzzParseRequest: nothing panics, and how the bytes are cut does not matter.
func FuzzParseRequest(f *testing.F) {
	for _, r := range seedRequests(f) {
		f.Add([]byte(r), uint8(1))
	}
	f.Fuzz(func(t *testing.T, in []byte, piece uint8) {
		whole, out := serveOurs(in, 0)
		cut, outCut := serveOurs(in, int(piece))
		if diff := cmp.Diff(whole, cut); diff != "" {
			t.Fatalf("cut into %d bytes (-whole +cut):\n%s", piece, diff)
		}
		// Which rule a hopeless head breaks first may depend on the cut.
		if n, m := strings.Count(out, "HTTP/1.1 2"), strings.Count(outCut, "HTTP/1.1 2"); n != m {
			t.Fatalf("%d requests are accepted whole, %d cut", n, m)
		}
	})
}

// received is a response as our client half understood it.
type received struct {
	Status        int
	Fields        []exchange.Field
	Body          string
	Trailer       []exchange.Field
	Broken, Whole bool
}

func receiveOurs(in []byte, piece int, method string) (r received) {
	transport := NewTransport(Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		return newMemConn(in, piece), nil
	}})
	ex := &exchange.Exchange{Request: exchange.Request{Method: method, Path: "/", Authority: "h"}}
	if err := transport.RoundTrip(ex, &exchange.Target{Addr: "a", ConnectTimeout: time.Second}); err != nil {
		return received{Broken: true}
	}
	r.Status = ex.Response.Status
	for field := range ex.Response.Header.All() {
		r.Fields = append(r.Fields, exchange.Field{Name: strings.Clone(field.Name), Value: strings.Clone(field.Value)})
	}
	r.Whole = true
	if b := ex.Response.Body; b != nil {
		body, err := io.ReadAll(b)
		r.Body, r.Whole = string(body), err == nil
		_ = b.Close()
	}
	for field := range ex.Response.Trailer.All() {
		r.Trailer = append(r.Trailer, field)
	}
	transport.CloseIdle()
	return r
}

// FuzzParseResponse: nothing panics, how the bytes are cut does not matter, and
// net/http finds the same body.
func FuzzParseResponse(f *testing.F) {
	for _, r := range readRows(f) {
		if r.response && len(r.respond) < 2<<10 {
			f.Add([]byte(r.respond), uint8(1), false)
		}
	}
	f.Fuzz(func(t *testing.T, in []byte, piece uint8, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		whole := receiveOurs(in, 0, method)
		if diff := cmp.Diff(whole, receiveOurs(in, int(piece), method)); diff != "" {
			t.Fatalf("cut into %d bytes (-whole +cut):\n%s", piece, diff)
		}
	})
}

// FuzzChunked: a body that we take for complete has the same data for net/http,
// and how it is cut does not matter.
func FuzzChunked(f *testing.F) {
	for _, s := range []string{"5\r\nhello\r\n0\r\n\r\n", "1;a=\"b\\\"\"\r\nx\r\n000\r\nDigest: y\r\n\r\n", "0\r\n\r\n", "5\nhello"} {
		f.Add([]byte(s), uint8(1), uint8(3))
	}
	f.Fuzz(func(t *testing.T, in []byte, piece, space uint8) {
		whole, err := decode(in, 0, 4096)
		cut, errCut := decode(in, int(piece), int(space)+1)
		if !bytes.Equal(whole, cut) || (err == nil) != (errCut == nil) {
			t.Fatalf("whole %q (%v), cut %q (%v)", whole, err, cut, errCut)
		}
		if err != nil {
			return
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
		if err != nil || !bytes.Equal(want, whole) {
			t.Fatalf("got %q, net/http %q (%v)", whole, want, err)
		}
	})
}

// decode reads a chunked body that arrives in pieces into a buffer of that
// space.
func decode(in []byte, piece, space int) (data []byte, err error) {
	conn := newMemConn(in, piece)
	var trailer exchange.Header
	window := window{buf: make([]byte, 4096)}
	b := bodyReader{in: &window, wait: conn.Read, room: window.rewind}
	b.reset(framedChunked, exchange.Unknown, &trailer)
	p := make([]byte, space)
	for {
		buffered := b.Buffered()
		n, err := b.Read(p)
		if buffered > 0 && n == 0 && err == nil {
			return nil, errors.New("nothing of what was buffered was read")
		}
		data = append(data, p[:n]...)
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return data, err
		}
	}
}

func seedRequests(f *testing.F) (seeds []string) {
	f.Helper()
	for _, r := range readRows(f) {
		if len(r.send) < 2<<10 {
			seeds = append(seeds, r.send)
		}
	}
	return seeds
}
