package h1

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

const brief = 50 * time.Millisecond

func nothingAfterAccept(t *testing.T) {
	b := newBed(t, answering(okResponse), func(b *bed, _ *Options) { b.server.Timeouts.Head = brief })
	expectEnd(t, b.dial(t))
}

func slowRequestHead(t *testing.T) {
	b := newBed(t, answering(okResponse), func(b *bed, _ *Options) { b.server.Timeouts.Head = 2 * brief })
	c := b.dial(t)
	stop := make(chan struct{})
	go drip(c, "GET / HTTP/1.1\r\nHost: h\r\nX: "+strings.Repeat("y", 1<<20), stop)
	defer close(stop)
	expect(t, c, refusal(408))
	expectEnd(t, c)
	if got := b.backend.bytes(); got != "" {
		t.Errorf("the backend got %q", got)
	}
}

// drip writes a byte every few milliseconds: a deadline that each byte renews
// would never pass.
func drip(c net.Conn, s string, stop chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range len(s) {
		if _, err := c.Write([]byte(s[i : i+1])); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-stop:
			return
		}
	}
}

func slowRequestBody(t *testing.T) {
	b := newBed(t, answering(okResponse), func(b *bed, _ *Options) { b.server.Timeouts.Body = 2 * brief })
	c := b.dial(t)
	stop := make(chan struct{})
	go drip(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"+strings.Repeat("y", 1<<20), stop)
	defer close(stop)
	expect(t, c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	expectEnd(t, c)
	b.backend.first(t).awaitEnd()
}

func slowReader(t *testing.T) {
	b := newBed(t, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, "HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", 0)
			for piece := strings.Repeat("x", 1<<20); ; {
				if _, err := c.Write([]byte(piece)); err != nil {
					return
				}
			}
		}
	}, func(b *bed, _ *Options) { b.server.Timeouts.Write = 2 * brief })
	c := b.dial(t)
	_ = c.SetReadBuffer(4 << 10)
	send(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0)
	eventually(t, "the client is given up", func() bool { return len(b.forward.ended()) == 1 })
	if end := b.forward.ended()[0]; end.Err == nil {
		t.Error("the exchange ended well")
	}
	b.backend.first(t).awaitEnd()
}

func idleClient(t *testing.T) {
	b := newBed(t, answering(okResponse), func(b *bed, _ *Options) { b.server.Timeouts.Idle = brief })
	c := b.dial(t)
	send(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0)
	expect(t, c, okResponse)
	expectEnd(t, c)
}

func deadlineAfterSniffing(t *testing.T) {
	s := &Server{Timeouts: Timeouts{Head: brief, Linger: brief}}
	client, server := pair(t)
	// As a listener does that has looked for the preface of HTTP/2.
	_ = server.SetReadDeadline(time.Time{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ServeConn(server, ConnInfo{Preface: []byte("GET / HTTP/1.1\r\nHo")})
	}()
	expect(t, client, refusal(408))
	<-done
}

// pair is a connection over loopback.
func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l := listen(t)
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Close()
	})
	if err := client.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// The watch of a slow exchange changes the connection's deadline.
func deadlineAfterWatching(t *testing.T) {
	b := newBed(t, answering(okResponse), func(b *bed, _ *Options) {
		b.server.Timeouts.Idle = 2 * brief
		b.handler = handlerFunc(func(ex *exchange.Exchange) {
			stop := ex.Client.OnCancel(func() {})
			stop()
			ex.Response.Status = 404
		})
	})
	c := b.dial(t)
	send(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0)
	expect(t, c, notFound)
	expectEnd(t, c)
}

func manyIdleConnections(t *testing.T) {
	const many = 300
	b := newBed(t, answering(okResponse), nil)
	conns := make([]net.Conn, many)
	for i := range conns {
		conns[i] = b.dial(t)
	}
	eventually(t, "all are accepted", func() bool { return b.server.Active() == many })
	for _, c := range []net.Conn{conns[0], conns[many-1], b.dial(t)} {
		send(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0)
		expect(t, c, okResponse)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	eventually(t, "they are let go", func() bool { return b.server.Active() == 1 })
}
