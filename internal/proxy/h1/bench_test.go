package h1

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

const benchRequest = "GET /api/x?a=b HTTP/1.1\r\nHost: bench.example.com\r\nUser-Agent: bench/1.0\r\n" +
	"Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nX-Request-Id: 0123456789abcdef\r\n\r\n"

var benchResponse = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\n" +
	"Server: bench\r\nContent-Length: 600\r\n\r\n" + strings.Repeat("x", 600)

func BenchmarkParseRequest(b *testing.B) {
	var h requestHead
	r := exchange.Request{Scheme: "http"}
	in := []byte(benchRequest)
	b.ReportAllocs()
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		r.Header.Reset()
		if _, status := h.parse(in, &r); status != headOK {
			b.Fatal(status)
		}
	}
}

func BenchmarkParseResponse(b *testing.B) {
	t := NewTransport(Options{})
	var h responseHead
	in := []byte(benchResponse)
	b.ReportAllocs()
	b.SetBytes(int64(len(in) - 600))
	for b.Loop() {
		if _, err := h.parse(in, &t.opt); err != nil {
			b.Fatal(err)
		}
	}
}

// plain is a Handler that forwards and does nothing else.
type plain struct {
	transport *Transport
	target    exchange.Target
}

func (p *plain) Serve(ex *exchange.Exchange) {
	if err := p.transport.RoundTrip(ex, &p.target); err != nil {
		ex.Response.Status = 502
	}
}

func (p *plain) Finish(*exchange.Exchange, exchange.End) {}

// loop is a client, a gateway and a backend in this process, over loopback.
type loop struct {
	client net.Conn
	buf    []byte
	want   int
}

func newLoop(tb testing.TB) *loop {
	tb.Helper()
	backend, front := listen(tb), listen(tb)
	go serveCanned(backend)
	s := &Server{}
	h := &plain{transport: NewTransport(Options{}), target: exchange.Target{Addr: backend.Addr().String(), ConnectTimeout: patience}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := front.Accept(); err == nil {
			s.ServeConn(conn, ConnInfo{Handler: h})
		}
	}()
	client, err := net.Dial("tcp", front.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = client.Close()
		<-done
		h.transport.CloseIdle()
	})
	return &loop{client: client, buf: make([]byte, 4<<10), want: len(benchResponse)}
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = l.Close() })
	return l
}

// serveCanned answers each read, which is one request, with the same bytes.
func serveCanned(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			buf, response := make([]byte, 4<<10), []byte(benchResponse)
			for {
				if _, err := conn.Read(buf); err != nil {
					return
				}
				if _, err := conn.Write(response); err != nil {
					return
				}
			}
		}()
	}
}

var benchRequestBytes = []byte(benchRequest)

func (l *loop) exchange() error {
	if _, err := l.client.Write(benchRequestBytes); err != nil {
		return err
	}
	_, err := io.ReadFull(l.client, l.buf[:l.want])
	return err
}

func BenchmarkExchange(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	for b.Loop() {
		if err := l.exchange(); err != nil {
			b.Fatal(err)
		}
	}
}

// A proxied request without a body allocates nothing, in the gateway or in the
// client and backend of this test.
func TestExchangeDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector a sync.Pool forgets on purpose")
	}
	l := newLoop(t)
	allocs := testing.AllocsPerRun(2000, func() {
		if err := l.exchange(); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations per exchange, want 0", allocs)
	}
}
