package h1

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// patience bounds every wait of the tests; reaching it is a failure.
const patience = 20 * time.Second

// recorder is a raw backend: it keeps every byte that it gets and answers with
// a script, so that what crossed the wire is known exactly.
type recorder struct {
	listener net.Listener
	script   func(c *recorded)
	// piece, where positive, cuts what the script sends.
	piece int
	mu    sync.Mutex
	conns []*recorded
}

// recorded is one connection to a recorder.
type recorded struct {
	net.Conn
	piece  int
	mu     sync.Mutex
	got    bytes.Buffer
	ended  bool
	change *sync.Cond
}

func newRecorder(t *testing.T, script func(c *recorded)) *recorder {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{listener: l, script: script}
	t.Cleanup(r.close)
	go r.accept()
	return r
}

func (r *recorder) close() {
	_ = r.listener.Close()
	for _, c := range r.all() {
		_ = c.Close()
	}
}

// cut has the script write in pieces of n bytes; 0: as it is.
func (r *recorder) cut(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.piece = n
}

func (r *recorder) addr() string { return r.listener.Addr().String() }

func (r *recorder) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		c := &recorded{Conn: conn}
		c.change = sync.NewCond(&c.mu)
		r.mu.Lock()
		c.piece = r.piece
		r.conns = append(r.conns, c)
		r.mu.Unlock()
		go c.record()
		go r.script(c)
	}
}

func (r *recorder) all() []*recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*recorded(nil), r.conns...)
}

// first is the first connection. A client may have its answer before a backend's
// goroutine has taken note of the connection.
func (r *recorder) first(t *testing.T) *recorded {
	t.Helper()
	eventually(t, "the backend is connected to", func() bool { return len(r.all()) > 0 })
	return r.all()[0]
}

// bytes is what all connections got, in the order in which they were made.
func (r *recorder) bytes() string {
	var b strings.Builder
	for _, c := range r.all() {
		b.WriteString(c.bytes())
	}
	return b.String()
}

func (c *recorded) record() {
	buf := make([]byte, 32<<10)
	for {
		n, err := c.Read(buf)
		c.mu.Lock()
		c.got.Write(buf[:n])
		c.ended = c.ended || err != nil
		c.change.Broadcast()
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *recorded) bytes() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.got.String()
}

// await waits until ok holds for what was received; false: the connection
// ended before that.
func (c *recorded) await(ok func(got string) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !ok(c.got.String()) {
		if c.ended {
			return false
		}
		c.change.Wait()
	}
	return true
}

func (c *recorded) awaitEnd() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.ended {
		c.change.Wait()
	}
}

// awaitRequests waits for n complete requests and says whether they came.
func (c *recorded) awaitRequests(n int) bool {
	return c.await(func(got string) bool { return countRequests(got) >= n })
}

// countRequests counts the complete requests in s, as this package writes them.
func countRequests(s string) (n int) {
	for {
		head, rest, ok := strings.Cut(s, "\r\n\r\n")
		if !ok {
			return n
		}
		switch {
		case strings.Contains(head, "Transfer-Encoding: chunked"):
			if !strings.HasPrefix(rest, "0\r\n") {
				if _, rest, ok = strings.Cut(rest, "\r\n0\r\n"); !ok {
					return n
				}
			} else {
				rest = rest[3:]
			}
			if strings.HasPrefix(rest, "\r\n") {
				rest = rest[2:]
			} else if _, rest, ok = strings.Cut(rest, "\r\n\r\n"); !ok {
				return n
			}
		case strings.Contains(head, "Content-Length: "):
			_, v, _ := strings.Cut(head, "Content-Length: ")
			v, _, _ = strings.Cut(v, "\r\n")
			size, ok := parseLength(v)
			if !ok || int(size) > len(rest) {
				return n
			}
			rest = rest[size:]
		}
		n, s = n+1, rest
	}
}

// answering is a script that answers every request with the same bytes.
func answering(response string) func(c *recorded) {
	return func(c *recorded) {
		for n := 1; c.awaitRequests(n); n++ {
			if _, err := io.WriteString(c, response); err != nil {
				return
			}
		}
	}
}

const okResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// forwarder is the least Handler there can be: it sends everything to one
// target and answers failures with their status.
type forwarder struct {
	transport *Transport
	target    exchange.Target
	deadline  time.Duration
	mu        sync.Mutex
	ends      []exchange.End
	failures  []*exchange.Failure
	requests  []exchange.Request // without header and body
}

func (f *forwarder) Serve(ex *exchange.Exchange) {
	to := f.target
	if f.deadline > 0 {
		to.Deadline = time.Now().Add(f.deadline)
	}
	r := &ex.Request
	f.mu.Lock()
	f.requests = append(f.requests, exchange.Request{
		Method: strings.Clone(r.Method), Authority: strings.Clone(r.Authority), Path: strings.Clone(r.Path),
		Query: strings.Clone(r.Query), HasQuery: r.HasQuery, ContentLength: r.ContentLength, Scheme: r.Scheme,
	})
	f.mu.Unlock()
	err := f.transport.RoundTrip(ex, &to)
	if err == nil {
		return
	}
	failure := err.(*exchange.Failure)
	f.mu.Lock()
	f.failures = append(f.failures, failure)
	f.mu.Unlock()
	ex.Response.Status = failure.Status()
}

func (f *forwarder) Finish(_ *exchange.Exchange, end exchange.End) {
	f.mu.Lock()
	f.ends = append(f.ends, end)
	f.mu.Unlock()
}

func (f *forwarder) failed() []*exchange.Failure {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]*exchange.Failure(nil), f.failures...)
}

func (f *forwarder) ended() []exchange.End {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]exchange.End(nil), f.ends...)
}

func (f *forwarder) seen() []exchange.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]exchange.Request(nil), f.requests...)
}

// bench is a gateway between a raw client and a raw backend.
type bed struct {
	server   *Server
	handler  exchange.Handler
	forward  *forwarder
	backend  *recorder
	listener net.Listener
}

// newBed starts a gateway; change, where not nil, alters it before it serves.
func newBed(t *testing.T, script func(c *recorded), change func(b *bed, o *Options)) *bed {
	t.Helper()
	b := &bed{backend: newRecorder(t, script)}
	b.server = &Server{Timeouts: Timeouts{
		Head: patience, Idle: patience, Body: patience, Write: patience, Tunnel: patience, Linger: 300 * time.Millisecond,
	}}
	b.forward = &forwarder{target: exchange.Target{Addr: b.backend.addr(), ConnectTimeout: patience}}
	b.handler = b.forward
	opt := Options{SlowAfter: patience}
	if change != nil {
		change(b, &opt)
	}
	b.forward.transport = NewTransport(opt)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.listener = l
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { b.server.ServeConn(conn, ConnInfo{Handler: b.handler}) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		b.server.Close()
		b.backend.close()
		b.forward.transport.CloseIdle()
		wg.Wait()
	})
	return b
}

// dial connects as a client.
func (b *bed) dial(t *testing.T) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", b.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// send writes s in pieces of that many bytes; 0 means whole. That the other
// side closes early is no failure: what it answered counts.
func send(c io.Writer, s string, piece int) {
	if piece <= 0 {
		piece = len(s)
	}
	for s != "" {
		n := min(piece, len(s))
		if _, err := io.WriteString(c, s[:n]); err != nil {
			return
		}
		s = s[n:]
	}
}

// roundTrip sends s and returns everything the client got until the connection
// ended. With half set the client ends its sending direction; else the gateway
// must end the connection by itself.
func (b *bed) roundTrip(t *testing.T, s string, piece int, half bool) string {
	t.Helper()
	c := b.dial(t)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		send(c, s, piece)
		if half {
			_ = c.CloseWrite()
		}
	}()
	got, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the gateway did not end the connection")
	}
	_ = c.Close()
	<-sent
	return undated(string(got))
}

// undated removes Date lines.
func undated(s string) string {
	for {
		i := strings.Index(s, "Date: ")
		if i < 0 {
			return s
		}
		end := strings.Index(s[i:], "\r\n")
		if end < 0 {
			return s
		}
		s = s[:i] + s[i+end+2:]
	}
}

// expect reads from c until it has got want, Date lines apart.
func expect(t *testing.T, c io.Reader, want string) {
	t.Helper()
	var got strings.Builder
	b := make([]byte, 1)
	for undated(got.String()) != want {
		if _, err := c.Read(b); err != nil {
			t.Fatalf("got %q (%v), want %q", short(undated(got.String())), err, short(want))
		}
		got.Write(b)
		if b[0] == '\n' && !strings.HasPrefix(want, undated(got.String())) {
			t.Fatalf("got %q, want %q", short(undated(got.String())), short(want))
		}
	}
}

// expectEnd wants nothing more, and the connection's end, orderly or not.
func expectEnd(t *testing.T, c io.Reader) {
	t.Helper()
	rest, err := io.ReadAll(c)
	if len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q (%v), want the end of the connection", short(string(rest)), err)
	}
}

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !ok(); {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain: %s", what)
		}
		runtime.Gosched()
	}
}

// handlerFunc answers without a backend.
type handlerFunc func(ex *exchange.Exchange)

func (f handlerFunc) Serve(ex *exchange.Exchange) { f(ex) }

func (handlerFunc) Finish(*exchange.Exchange, exchange.End) {}
