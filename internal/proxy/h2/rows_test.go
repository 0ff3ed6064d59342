package h2

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	xhttp2 "golang.org/x/net/http2"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/h1"
)

// The subtests named H2-nnn are the requirements for HTTP/2, whatever a
// library does: raw frames in, frames out, and what the backend saw of it.

// recorder is an HTTP/1.1 backend that keeps every byte that it gets.
type recorder struct {
	mu    sync.Mutex
	got   bytes.Buffer
	conns int
	broke chan error // how each connection ended
}

// downgrade is a front whose every request goes to a recorder.
func downgrade(t *testing.T) (addr string, r *recorder) {
	t.Helper()
	ln := listen(t)
	r = &recorder{broke: make(chan error, 100)}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r.mu.Lock()
			r.conns++
			r.mu.Unlock()
			go func() { r.broke <- r.serve(conn) }()
		}
	}()
	tr := h1.NewTransport(h1.Options{})
	t.Cleanup(tr.CloseIdle)
	return forwarding(t, tr, ln.Addr().String()), r
}

// forwarding is a front whose every request goes to a backend over tr.
func forwarding(t *testing.T, tr exchange.Transport, to string) string {
	t.Helper()
	addr, _ := front(t, handler{serve: func(ex *exchange.Exchange) {
		err := tr.RoundTrip(ex, &exchange.Target{Addr: to, ConnectTimeout: timeout, IdleTimeout: timeout})
		if f, ok := errors.AsType[*exchange.Failure](err); ok {
			ex.Response.Status = f.Status()
		}
	}})
	return addr
}

// serve answers every whole request, and returns why there is no other.
func (r *recorder) serve(conn net.Conn) error {
	defer func() { _ = conn.Close() }()
	in := bufio.NewReader(io.TeeReader(conn, r))
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return err
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
			return err
		}
	}
}

// Write implements io.Writer.
func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.Write(p)
}

func (r *recorder) bytes() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

// pseudo are the fields of a request with more after them.
func pseudo(method, authority, path string, more ...string) []string {
	return append([]string{":method", method, ":scheme", "http", ":authority", authority, ":path", path}, more...)
}

// get is a request that nothing is wrong with.
func get(path string, more ...string) []string { return pseudo("GET", "a", path, more...) }

// outcome reads until stream or the connection is refused or answered, and
// says how: a status, "RST code", "GOAWAY code" or "closed".
func outcome(fr *xhttp2.Framer, stream uint32) string {
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			if timedOut(err) {
				return "silence"
			}
			return "closed"
		}
		switch f := f.(type) {
		case *xhttp2.MetaHeadersFrame:
			if f.StreamID == stream {
				return f.PseudoValue("status")
			}
		case *xhttp2.RSTStreamFrame:
			if f.StreamID == stream {
				return "RST " + f.ErrCode.String()
			}
		case *xhttp2.GoAwayFrame:
			return "GOAWAY " + f.ErrCode.String()
		}
	}
}

func timedOut(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// after sends a proper request on stream, the last one of conn, and reports
// anything else that the backend saw.
func after(t *testing.T, fr *xhttp2.Framer, stream uint32, r *recorder) {
	t.Helper()
	writeHeaders(t, fr, stream, true, get("/after")...)
	if got := outcome(fr, stream); got != "200" {
		t.Errorf("the next request on the connection: %s, want 200", got)
	}
	if got, want := r.bytes(), "GET /after HTTP/1.1\r\nHost: a\r\n\r\n"; got != want {
		t.Errorf("the backend got %q, want %q", got, want)
	}
}

const (
	malformed  = "RST PROTOCOL_ERROR"
	badRequest = "400"
)

// TestServer_MalformedRequests are rows whose request must not reach the
// backend, while the connection goes on.
func TestServer_MalformedRequests(t *testing.T) {
	type row struct {
		fields []string
		want   string
	}
	rows := map[string]row{
		"H2-008/TooManyFields":      {get("/", many(200)...), "431"},
		"H2-026/SpaceBeforeValue":   {get("/", "x-a", " 1"), badRequest},
		"H2-026/SpaceAfterValue":    {get("/", "x-a", "1 "), badRequest},
		"H2-026/TabBeforeValue":     {get("/", "x-a", "\t1"), badRequest},
		"H2-026/TabAfterValue":      {get("/", "x-a", "1\t"), badRequest},
		"H2-027/UpperCaseName":      {get("/", "X-a", "1"), malformed},
		"H2-027/EmptyName":          {get("/", "", "1"), malformed},
		"H2-027/ColonInName":        {get("/", "x:a", "1"), malformed},
		"H2-027/SpaceInName":        {get("/", "x a", "1"), malformed},
		"H2-027/SpaceAfterName":     {get("/", "x-a ", "1"), malformed},
		"H2-027/NonASCIIName":       {get("/", "x\x80", "1"), malformed},
		"H2-028/LineInMethod":       {pseudo("GET / HTTP/1.1\r\nX: y", "a", "/"), malformed},
		"H2-028/SpaceInMethod":      {pseudo("GET /", "a", "/"), badRequest},
		"H2-028/LineInPath":         {get("/ HTTP/1.1\r\nX: y"), malformed},
		"H2-028/SpaceInPath":        {get("/ HTTP/1.1"), badRequest},
		"H2-028/TabInPath":          {get("/\tx"), malformed},
		"H2-028/NonASCIIPath":       {get("/\x80"), badRequest},
		"H2-028/FragmentInPath":     {get("/a#b"), badRequest},
		"H2-028/BackslashInPath":    {get(`/a\b`), badRequest},
		"H2-028/URLInScheme":        {[]string{":method", "GET", ":scheme", "http://evil/", ":authority", "a", ":path", "/"}, malformed},
		"H2-028/LineInAuthority":    {pseudo("GET", "a\r\nX: y", "/"), malformed},
		"H2-028/SpaceInAuthority":   {pseudo("GET", "a b", "/"), badRequest},
		"H2-028/PathInAuthority":    {pseudo("GET", "a/b", "/"), badRequest},
		"H2-028/PortOutOfRange":     {pseudo("GET", "a:70000", "/"), badRequest},
		"H2-029/MethodTwice":        {get("/", ":method", "GET"), malformed},
		"H2-029/PathTwice":          {get("/", ":path", "/b"), malformed},
		"H2-029/SchemeTwice":        {get("/", ":scheme", "http"), malformed},
		"H2-029/AuthorityTwice":     {get("/", ":authority", "b"), malformed},
		"H2-029/AfterField":         {[]string{":method", "GET", "x-a", "1", ":scheme", "http", ":authority", "a", ":path", "/"}, malformed},
		"H2-029/Unknown":            {get("/", ":foo", "1"), malformed},
		"H2-029/NoMethod":           {[]string{":scheme", "http", ":authority", "a", ":path", "/"}, malformed},
		"H2-029/NoScheme":           {[]string{":method", "GET", ":authority", "a", ":path", "/"}, malformed},
		"H2-029/NoPath":             {[]string{":method", "GET", ":scheme", "http", ":authority", "a"}, malformed},
		"H2-029/Status":             {get("/", ":status", "200"), malformed},
		"H2-030/EmptyPath":          {get(""), malformed},
		"H2-030/StarWithGet":        {get("*"), badRequest},
		"H2-030/NoLeadingSlash":     {get("svc/Method"), malformed},
		"H2-030/URL":                {get("http://b/"), malformed},
		"H2-031/Mismatch":           {get("/", "host", "b"), badRequest},
		"H2-031/HostTwice":          {get("/", "host", "a", "host", "b"), badRequest},
		"H2-031/SameHostTwice":      {get("/", "host", "a", "host", "a"), badRequest},
		"H2-031/UserinfoInHost":     {[]string{":method", "GET", ":scheme", "http", ":path", "/", "host", "u@a"}, malformed},
		"H2-031/Userinfo":           {pseudo("GET", "u@a", "/"), malformed},
		"H2-031/BothEmpty":          {pseudo("GET", "", "/", "host", ""), badRequest},
		"H2-031/Neither":            {[]string{":method", "GET", ":scheme", "http", ":path", "/"}, badRequest},
		"H2-031/EmptyAuthority":     {pseudo("GET", "", "/"), badRequest},
		"H2-032/Connection":         {get("/", "connection", "x-a"), badRequest},
		"H2-032/KeepAlive":          {get("/", "keep-alive", "1"), badRequest},
		"H2-032/ProxyConnection":    {get("/", "proxy-connection", "close"), badRequest},
		"H2-032/TransferEncoding":   {get("/", "transfer-encoding", "chunked"), badRequest},
		"H2-032/Upgrade":            {get("/", "upgrade", "websocket"), badRequest},
		"H2-032/TeGzip":             {get("/", "te", "gzip"), badRequest},
		"H2-032/TeTrailersAndGzip":  {get("/", "te", "trailers, gzip"), badRequest},
		"H2-032/TeTwice":            {get("/", "te", "trailers", "te", "gzip"), badRequest},
		"H2-033/LengthWithoutBody":  {pseudo("POST", "a", "/", "content-length", "5"), malformed},
		"H2-033/TwoLengths":         {pseudo("POST", "a", "/", "content-length", "0", "content-length", "1"), malformed},
		"H2-033/PlusLength":         {pseudo("POST", "a", "/", "content-length", "+5"), badRequest},
		"H2-033/PlusZero":           {pseudo("POST", "a", "/", "content-length", "+0"), badRequest},
		"H2-033/NegativeLength":     {pseudo("POST", "a", "/", "content-length", "-1"), badRequest},
		"H2-033/LengthList":         {pseudo("POST", "a", "/", "content-length", "0, 0"), badRequest},
		"H2-033/EmptyLength":        {pseudo("POST", "a", "/", "content-length", ""), badRequest},
		"H2-033/LengthTooLarge":     {pseudo("POST", "a", "/", "content-length", "9223372036854775808"), badRequest},
		"H2-036/ConnectWithPath":    {[]string{":method", "CONNECT", ":authority", "a:80", ":scheme", "http", ":path", "/"}, malformed},
		"H2-036/ConnectNowhere":     {[]string{":method", "CONNECT"}, malformed},
		"H2-036/Connect":            {[]string{":method", "CONNECT", ":authority", "a:80"}, "501"},
		"H2-036/ExtendedConnect":    {pseudo("CONNECT", "a", "/", ":protocol", "websocket"), malformed},
		"H2-036/ProtocolWithGet":    {get("/", ":protocol", "websocket"), malformed},
		"H2-036/LowerCaseIsAMethod": {pseudo("connect", "a", "/", ":protocol", "websocket"), malformed},
	}
	for _, c := range []string{"\r\n", "\r", "\n", "\x00"} {
		rows[fmt.Sprintf("H2-025/Value%q", c)] = row{get("/", "x-a", "1"+c+"x-b: 2"), malformed}
		rows[fmt.Sprintf("H2-025/Name%q", c)] = row{get("/", "x-a"+c+"x-b", "1"), malformed}
	}
	for name, c := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, r := downgrade(t)
			conn, fr := dialRaw(t, addr)
			defer func() { _ = conn.Close() }()
			writeHeaders(t, fr, 1, true, c.fields...)
			if got := outcome(fr, 1); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			after(t, fr, 3, r)
		})
	}
}

// TestServer_SentOverHTTP1 are rows whose request is in order: what the
// backend gets is given to the byte.
func TestServer_SentOverHTTP1(t *testing.T) {
	const chunked = " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct {
		fields []string
		data   []string // DATA frames, the last with END_STREAM
		want   string
	}{
		"H2-009/CookieCrumbs":       {get("/", "cookie", "a=1", "cookie", "b=2"), nil, "GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; b=2\r\n\r\n"},
		"H2-030/StarWithOptions":    {pseudo("OPTIONS", "a", "*"), nil, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"},
		"H2-031/OnlyHost":           {[]string{":method", "GET", ":scheme", "http", ":path", "/", "host", "b"}, nil, "GET / HTTP/1.1\r\nHost: b\r\n\r\n"},
		"H2-031/Equal":              {get("/", "host", "A"), nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		"H2-032/TeTrailers":         {get("/", "te", "trailers"), nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		"H2-032/TeEmpty":            {get("/", "te", ""), nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		"H2-033/SameLengthTwice":    {pseudo("POST", "a", "/", "content-length", "2", "content-length", "2"), []string{"hi"}, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"},
		"H2-033/Length":             {pseudo("POST", "a", "/", "content-length", "2"), []string{"h", "i"}, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"},
		"H2-034/UnknownLength":      {pseudo("POST", "a", "/"), []string{"hi"}, "POST /" + chunked + "2\r\nhi\r\n0\r\n\r\n"},
		"H2-034/EmptyDataLater":     {pseudo("POST", "a", "/"), []string{""}, "POST /" + chunked + "0\r\n\r\n"},
		"H2-034/PostKnownEmpty":     {pseudo("POST", "a", "/"), nil, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
		"H2-034/GetKnownEmpty":      {get("/"), nil, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		"H2-034/ZeroLength":         {pseudo("POST", "a", "/", "content-length", "0"), nil, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
		"H2-034/ZeroLengthAndEmpty": {pseudo("POST", "a", "/", "content-length", "0"), []string{""}, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, r := downgrade(t)
			conn, fr := dialRaw(t, addr)
			defer func() { _ = conn.Close() }()
			writeHeaders(t, fr, 1, len(c.data) == 0, c.fields...)
			for i, data := range c.data {
				if err := fr.WriteData(1, i == len(c.data)-1, []byte(data)); err != nil {
					t.Fatal(err)
				}
			}
			if got := outcome(fr, 1); got != "200" {
				t.Errorf("got %s, want 200", got)
			}
			if got := r.bytes(); got != c.want {
				t.Errorf("the backend got %q, want %q", got, c.want)
			}
		})
	}
}

// waitFor returns what comes from c.
func waitFor[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	select {
	case v := <-c:
		return v
	case <-ctx.Done():
		t.Fatalf("%s: nothing came", what)
		panic("unreachable")
	}
}
