package h1

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/certtest"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

const simpleGet = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

func TestDrain(t *testing.T) {
	release := make(chan struct{})
	b := newBed(t, func(c *recorded) {
		for n := 1; c.awaitRequests(n); n++ {
			if strings.Contains(c.bytes(), "/slow") {
				<-release
			}
			send(c, okResponse, 0)
		}
	}, nil)
	idle, busy := b.dial(t), b.dial(t)
	send(idle, simpleGet, 0)
	expect(t, idle, okResponse)
	send(busy, "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n", 0)
	eventually(t, "the slow request arrives", func() bool { return strings.Contains(b.backend.bytes(), "/slow") })
	b.server.Drain()
	expectEnd(t, idle)
	close(release)
	expect(t, busy, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	expectEnd(t, busy)
	late := b.dial(t)
	send(late, simpleGet, 0)
	expect(t, late, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	expectEnd(t, late)
	eventually(t, "nothing is left", func() bool { return b.server.Active() == 0 })
}

// A request that was on its way when the drain began is answered.
func TestDrainLosesNothing(t *testing.T) {
	b := newBed(t, answering(okResponse), nil)
	conns := make([]*net.TCPConn, 50)
	for i := range conns {
		conns[i] = b.dial(t)
		send(conns[i], simpleGet, 0)
		expect(t, conns[i], okResponse)
	}
	for _, c := range conns {
		send(c, simpleGet, 0)
	}
	b.server.Drain()
	for _, c := range conns {
		got := make([]byte, len("HTTP/1.1 200 OK"))
		if _, err := c.Read(got); err != nil || string(got) != "HTTP/1.1 200 OK" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func TestClientLeaves(t *testing.T) {
	b := newBed(t, func(*recorded) {}, func(_ *bed, o *Options) { o.SlowAfter = time.Millisecond })
	c := b.dial(t)
	send(c, simpleGet, 0)
	eventually(t, "the request arrives", func() bool { return countRequests(b.backend.bytes()) == 1 })
	_ = c.Close()
	b.backend.first(t).awaitEnd()
	eventually(t, "the exchange ends", func() bool { return len(b.forward.failed()) == 1 })
	if f := b.forward.failed()[0]; f.Stage != exchange.StageClient {
		t.Errorf("failure %v, want one of the client", f)
	}
}

func TestClientLeavesDuringStream(t *testing.T) {
	b := newBed(t, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", 0)
		}
	}, func(_ *bed, o *Options) { o.SlowAfter = time.Millisecond })
	c := b.dial(t)
	send(c, simpleGet, 0)
	expect(t, c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n")
	_ = c.Close()
	b.backend.first(t).awaitEnd()
}

// What the watch reads while a request is slow is the next request.
func TestWatchKeepsWhatItReads(t *testing.T) {
	release := make(chan struct{})
	b := newBed(t, func(c *recorded) {
		if c.awaitRequests(1) {
			<-release
			send(c, okResponse, 0)
		}
		if c.awaitRequests(2) {
			send(c, okResponse, 0)
		}
	}, func(_ *bed, o *Options) { o.SlowAfter = time.Millisecond })
	c := b.dial(t)
	send(c, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n", 0)
	eventually(t, "the request arrives", func() bool { return countRequests(b.backend.bytes()) == 1 })
	time.AfterFunc(10*time.Millisecond, func() { close(release) })
	send(c, "GET /2 HTTP/1.1\r\nHost: h\r\nX: "+strings.Repeat("y", 5000)+"\r\n\r\n", 1000)
	expect(t, c, okResponse+okResponse)
	if got := b.backend.bytes(); !strings.HasSuffix(got, "/2 HTTP/1.1\r\nHost: h\r\nX: "+strings.Repeat("y", 5000)+"\r\n\r\n") {
		t.Errorf("the backend got %q", short(got))
	}
}

func TestIdleConnectionsExpire(t *testing.T) {
	b := newBed(t, answering(okResponse), func(_ *bed, o *Options) { o.IdleTimeout = 30 * time.Millisecond })
	c := b.dial(t)
	send(c, simpleGet, 0)
	expect(t, c, okResponse)
	b.backend.first(t).awaitEnd()
}

// Both halves over TLS: what differs is that reads cannot be looked at before.
func TestTLS(t *testing.T) {
	cert := certtest.Server(t, "localhost")
	roots, serverConfig := cert.Pool(), &tls.Config{Certificates: []tls.Certificate{cert.TLS()}}
	backend := newRecorder(t, answering(okResponse))
	// A second hop through our own server half is the TLS backend.
	inner := &forwarder{transport: NewTransport(Options{}), target: exchange.Target{Addr: backend.addr(), ConnectTimeout: patience}}
	hop := serveTLS(t, serverConfig, inner)
	outer := &forwarder{transport: NewTransport(Options{}), target: exchange.Target{
		Addr: hop, ConnectTimeout: patience, TLS: &tls.Config{RootCAs: roots, ServerName: "localhost"},
	}}
	front := serveTLS(t, serverConfig, outer)
	c, err := tls.Dial("tcp", front, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Close()
		outer.transport.CloseIdle()
		inner.transport.CloseIdle()
	})
	_ = c.SetDeadline(time.Now().Add(patience))
	for range 3 {
		send(c, simpleGet, 0)
		expect(t, c, okResponse)
	}
	if got := outer.seen()[0].Scheme; got != "https" {
		t.Errorf("scheme %q, want https", got)
	}
	if got, want := backend.bytes(), strings.Repeat(simpleGet, 3); got != want {
		t.Errorf("the backend got %q, want %q", got, want)
	}
	if n := len(backend.all()); n != 1 {
		t.Errorf("%d connections to the backend, want 1", n)
	}
}

func serveTLS(t *testing.T, cfg *tls.Config, h exchange.Handler) (addr string) {
	t.Helper()
	l := listen(t)
	s := &Server{}
	t.Cleanup(s.Close)
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				conn := tls.Server(raw, cfg)
				if conn.HandshakeContext(t.Context()) != nil {
					_ = raw.Close()
					return
				}
				state := conn.ConnectionState()
				s.ServeConn(conn, ConnInfo{Handler: h, TLS: &state})
			}()
		}
	}()
	return l.Addr().String()
}
