package h2

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	xhttp2 "golang.org/x/net/http2"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// timeout is how long a test waits for what must happen.
const timeout = 10 * time.Second

// handler is an exchange.Handler made of functions.
type handler struct {
	serve  func(*exchange.Exchange)
	finish func(*exchange.Exchange, exchange.End)
}

func (h handler) Serve(ex *exchange.Exchange) { h.serve(ex) }

func (h handler) Finish(ex *exchange.Exchange, end exchange.End) {
	if h.finish != nil {
		h.finish(ex, end)
	}
}

// front serves h over HTTP/2 with prior knowledge and returns its address and
// the server.
func front(t testing.TB, h exchange.Handler) (string, *Server) {
	t.Helper()
	return frontWith(t, ServerOptions{HeaderTimeout: timeout, IdleTimeout: timeout}, h)
}

func frontWith(t testing.TB, opts ServerOptions, h exchange.Handler) (string, *Server) {
	t.Helper()
	ln := listen(t)
	srv := NewServer(opts)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go srv.Serve(conn, nil, h)
		}
	}()
	return ln.Addr().String(), srv
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// backend serves h over cleartext HTTP/2.
func backend(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	ln := listen(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{Handler: h, Protocols: protocols}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return ln.Addr().String()
}

// client speaks HTTP/2 with prior knowledge.
func client(t testing.TB) *http.Transport {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	c := &http.Transport{Protocols: protocols, DisableCompression: true}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// proxy is a front whose every request goes to a backend.
func proxy(t testing.TB, to string) string {
	t.Helper()
	tr := NewTransport(nil, nil)
	t.Cleanup(tr.Close)
	addr, _ := front(t, handler{serve: func(ex *exchange.Exchange) {
		err := tr.RoundTrip(ex, &exchange.Target{Addr: to, ConnectTimeout: timeout, IdleTimeout: timeout})
		if f := (*exchange.Failure)(nil); errors.As(err, &f) {
			ex.Response.Status = f.Status()
		}
	}})
	return addr
}

// answer is a response that has come whole.
type answer struct {
	status          int
	length          int64
	header, trailer http.Header
	body            string
}

func do(t *testing.T, req *http.Request) answer {
	t.Helper()
	a, err := try(t, req)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func try(t *testing.T, req *http.Request) (answer, error) {
	t.Helper()
	resp, err := client(t).RoundTrip(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.ContentLength, resp.Header, resp.Trailer, string(b)}, err
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestProxy_PassesRequestAndResponse(t *testing.T) {
	var got *http.Request
	var gotBody []byte
	to := backend(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		gotBody, _ = io.ReadAll(r.Body)
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "pong")
	})
	req := request(t, http.MethodPost, "http://"+proxy(t, to)+"/a%2Fb/c?x=1&y=%20", strings.NewReader("ping"))
	req.Host = "example.com"
	req.Header.Set("X-Test", "1")
	out := do(t, req)
	if diff := cmp.Diff("/a%2Fb/c?x=1&y=%20", got.RequestURI); diff != "" {
		t.Errorf("target: -want +got:\n%s", diff)
	}
	if got.Host != "example.com" || got.Header.Get("X-Test") != "1" || string(gotBody) != "ping" || got.ContentLength != 4 {
		t.Errorf("backend got host %q, header %v, body %q, length %d", got.Host, got.Header, gotBody, got.ContentLength)
	}
	if _, ok := got.Header["User-Agent"]; !ok {
		t.Error("the client's User-Agent is gone")
	}
	if out.status != http.StatusTeapot || out.body != "pong" {
		t.Errorf("client got %d %q", out.status, out.body)
	}
	if diff := cmp.Diff([]string{"a=1", "b=2"}, out.header.Values("Set-Cookie")); diff != "" {
		t.Errorf("cookies: -want +got:\n%s", diff)
	}
	if _, ok := out.header["Content-Type"]; !ok {
		t.Error("the backend's Content-Type is gone")
	}
}

func TestProxy_KeepsLeadingSlashes(t *testing.T) {
	to := backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RequestURI) })
	addr := proxy(t, to)
	for name, target := range map[string]string{"One": "/x", "Two": "//x/y", "EmptyQuery": "/x?", "Star": "/*"} {
		t.Run(name, func(t *testing.T) {
			req := request(t, http.MethodGet, "http://"+addr, http.NoBody)
			req.URL.Opaque = "//" + req.URL.Host + target
			if out := do(t, req); out.body != target {
				t.Errorf("backend got %q, want %q", out.body, target)
			}
		})
	}
}

func TestProxy_PassesResponseTrailers(t *testing.T) {
	to := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "body")
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "7")
	})
	out := do(t, request(t, http.MethodGet, "http://"+proxy(t, to)+"/", http.NoBody))
	if out.trailer.Get("Grpc-Status") != "7" {
		t.Errorf("response trailer %v, want Grpc-Status: 7", out.trailer)
	}
}

func TestServer_ReadsRequestTrailers(t *testing.T) {
	var seen string
	addr, _ := front(t, handler{serve: func(ex *exchange.Exchange) {
		_, _ = io.Copy(io.Discard, ex.Request.Body)
		seen, _ = ex.Request.Trailer.Get("x-sum")
		ex.Response.Status = 200
	}})
	req := request(t, http.MethodPost, "http://"+addr+"/", io.MultiReader(strings.NewReader("ping")))
	req.Trailer = http.Header{"X-Sum": {"42"}}
	do(t, req)
	if seen != "42" {
		t.Errorf("request trailer %q, want 42", seen)
	}
}

func TestTransport_SendsRequestTrailers(t *testing.T) {
	got := make(chan string, 1)
	to := rawBackend(t, func(fr *xhttp2.Framer, f xhttp2.Frame) {
		if h, ok := f.(*xhttp2.MetaHeadersFrame); ok && h.StreamEnded() {
			got <- h.RegularFields()[0].Name + "=" + h.RegularFields()[0].Value
		}
	})
	req := request(t, http.MethodPost, "http://"+proxy(t, to)+"/", io.MultiReader(strings.NewReader("ping")))
	req.Trailer = http.Header{"X-Sum": {"42"}}
	go func() { _, _ = try(t, req) }()
	select {
	case v := <-got:
		if v != "x-sum=42" {
			t.Errorf("got trailer %s", v)
		}
	case <-time.After(timeout):
		t.Error("no trailer came")
	}
}

func TestProxy_StreamsBothWays(t *testing.T) {
	to := backend(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			_, _ = io.WriteString(w, "echo "+lines.Text()+"\n")
			_ = http.NewResponseController(w).Flush()
		}
	})
	pr, pw := io.Pipe()
	req := request(t, http.MethodPost, "http://"+proxy(t, to)+"/", pr)
	resp, err := client(t).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	answers := bufio.NewReader(resp.Body)
	for _, line := range []string{"one", "two", "three"} {
		if _, err := io.WriteString(pw, line+"\n"); err != nil {
			t.Fatal(err)
		}
		got, err := answers.ReadString('\n')
		if err != nil || got != "echo "+line+"\n" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	_ = pw.Close()
	if _, err := answers.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}

func TestProxy_LargeBodiesComeWhole(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB, beyond every window
	to := backend(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	out := do(t, request(t, http.MethodPost, "http://"+proxy(t, to)+"/", bytes.NewReader(big)))
	if out.body != string(big) {
		t.Errorf("got %d bytes back, want %d unchanged", len(out.body), len(big))
	}
}

func TestProxy_ClientThatLeavesCancelsBackend(t *testing.T) {
	gone := make(chan struct{})
	began := make(chan struct{})
	to := backend(t, func(_ http.ResponseWriter, r *http.Request) {
		close(began)
		<-r.Context().Done()
		close(gone)
	})
	ctx, cancel := context.WithCancel(t.Context())
	req := request(t, http.MethodGet, "http://"+proxy(t, to)+"/", http.NoBody).WithContext(ctx)
	go func() { _, _ = try(t, req) }()
	<-began
	cancel()
	select {
	case <-gone:
	case <-time.After(timeout):
		t.Error("the backend still works for a client that left")
	}
}

func TestProxy_BrokenResponseIsReset(t *testing.T) {
	to := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	out, err := try(t, request(t, http.MethodGet, "http://"+proxy(t, to)+"/", http.NoBody))
	if out.status != http.StatusOK || err == nil {
		t.Errorf("got %d %q, %v; want a response that breaks off", out.status, out.body, err)
	}
}

func TestProxy_PassesInterimResponses(t *testing.T) {
	to := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.WriteHeader(http.StatusOK)
	})
	conn, fr := dialRaw(t, proxy(t, to))
	defer func() { _ = conn.Close() }()
	writeHeaders(t, fr, 1, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/")
	first := readHeaders(t, fr)
	if first[":status"] != "103" || first["link"] == "" {
		t.Errorf("first head %v, want 103 with a link", first)
	}
	if second := readHeaders(t, fr); second[":status"] != "200" || second["link"] != "" {
		t.Errorf("second head %v, want 200 without link", second)
	}
}

func TestProxy_HeadKeepsContentLength(t *testing.T) {
	to := backend(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1234") })
	if out := do(t, request(t, http.MethodHead, "http://"+proxy(t, to)+"/", http.NoBody)); out.length != 1234 {
		t.Errorf("Content-Length %d, want 1234", out.length)
	}
}

// TestServer_DrainMeetsNewConnection drains while a connection is being handed
// to the library, which then tells of that and not of the connection.
func TestServer_DrainMeetsNewConnection(t *testing.T) {
	srv := NewServer(ServerOptions{HeaderTimeout: timeout, IdleTimeout: timeout})
	draining := make(chan struct{})
	srv.http.RegisterOnShutdown(func() { close(draining) })
	srv.http.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			go srv.Drain()
			<-draining
		}
	}
	ln := listen(t)
	go func() {
		if conn, err := ln.Accept(); err == nil {
			srv.Serve(conn, nil, handler{serve: func(ex *exchange.Exchange) { ex.Response.Status = 204 }})
		}
	}()
	conn, fr := dialRaw(t, ln.Addr().String())
	defer func() { _ = conn.Close() }()
	writeHeaders(t, fr, 1, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/")
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatalf("neither an answer nor word that there will be none, but %v", err)
		}
		switch f := f.(type) {
		case *xhttp2.GoAwayFrame:
			if f.LastStreamID == 0 {
				return // the request is to be sent elsewhere
			}
		case *xhttp2.MetaHeadersFrame:
			if got := f.PseudoValue("status"); got != "204" {
				t.Errorf("status %s, want 204", got)
			}
			return
		}
	}
}

func TestServer_DrainLosesNoRequest(t *testing.T) {
	release := make(chan struct{})
	began := make(chan struct{})
	addr, srv := front(t, handler{serve: func(ex *exchange.Exchange) {
		close(began)
		<-release
		ex.Response.Status = 204
	}})
	conn, fr := dialRaw(t, addr)
	defer func() { _ = conn.Close() }()
	writeHeaders(t, fr, 1, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/")
	<-began
	srv.Drain()
	close(release)
	var goAway, status bool
	for !goAway || !status {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatalf("GOAWAY %t, response %t, then %v", goAway, status, err)
		}
		switch f := f.(type) {
		case *xhttp2.GoAwayFrame:
			goAway = f.ErrCode == xhttp2.ErrCodeNo
		case *xhttp2.MetaHeadersFrame:
			status = f.PseudoValue("status") == "204"
		}
	}
}

func TestServer_DrainTellsIdleConnectionsFirst(t *testing.T) {
	addr, srv := front(t, handler{serve: func(ex *exchange.Exchange) { ex.Response.Status = 204 }})
	conn, fr := dialRaw(t, addr)
	defer func() { _ = conn.Close() }()
	writeHeaders(t, fr, 1, true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/")
	readHeaders(t, fr)
	srv.Drain()
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatalf("closed without GOAWAY: %v", err)
		}
		if _, ok := f.(*xhttp2.GoAwayFrame); ok {
			return
		}
	}
}
