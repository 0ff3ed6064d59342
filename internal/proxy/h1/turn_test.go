package h1

import (
	"io"
	"net"
	"strings"
	"testing"
)

// quick makes requests on a new connection until the gateway waits for the next
// one without a look.
func quick(t *testing.T, b *bed) *net.TCPConn {
	t.Helper()
	c := b.dial(t)
	for range 20 {
		eventually(t, "the gateway waits", b.idle)
		send(c, simpleGet, 0)
		expect(t, c, okResponse)
	}
	return c
}

// idle says whether every connection waits for a request.
func (b *bed) idle() bool {
	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	for c := range b.server.conns {
		if !c.idle.Load() {
			return false
		}
	}
	return len(b.server.conns) > 0
}

// holding answers at once, but requests for /hold only when told so.
func holding(release <-chan struct{}) func(c *recorded) {
	return func(c *recorded) {
		for n := 1; c.awaitRequests(n); n++ {
			if strings.Contains(c.bytes(), "/hold") {
				<-release
			}
			send(c, okResponse, 0)
		}
	}
}

const heldGet = "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n"

// What a quick client does while its request is served is not noticed by the
// wait for the next request, but soon after.
func TestTurn_ClientDoesNotWait(t *testing.T) {
	for name, do := range map[string]func(t *testing.T, c *net.TCPConn, answer func()){
		"SendsOn": func(t *testing.T, c *net.TCPConn, answer func()) {
			send(c, simpleGet+simpleGet[:10], 0)
			answer()
			expect(t, c, okResponse+okResponse)
			send(c, simpleGet[10:], 0)
			expect(t, c, okResponse)
		},
		"EndsItsSide": func(t *testing.T, c *net.TCPConn, answer func()) {
			_ = c.CloseWrite()
			answer()
			expect(t, c, okResponse)
			expectEnd(t, c)
		},
		"Leaves": func(_ *testing.T, c *net.TCPConn, answer func()) {
			_ = c.Close()
			answer()
		},
	} {
		t.Run(name, func(t *testing.T) {
			release := make(chan struct{})
			b := newBed(t, holding(release), nil)
			c := quick(t, b)
			send(c, heldGet, 0)
			eventually(t, "the request arrives", func() bool { return strings.Contains(b.backend.bytes(), "/hold") })
			do(t, c, func() { close(release) })
			_ = c.Close()
			eventually(t, "the connection ends", func() bool { return b.server.Active() == 0 })
		})
	}
}

func TestTurn_Drain(t *testing.T) {
	b := newBed(t, answering(okResponse), nil)
	waiting, sending := quick(t, b), quick(t, b)
	send(sending, simpleGet, 0)
	b.server.Drain()
	expectEnd(t, waiting)
	got := make([]byte, len("HTTP/1.1 200 OK"))
	if _, err := sending.Read(got); err != nil || string(got) != "HTTP/1.1 200 OK" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTurn_IdleClient(t *testing.T) {
	b := newBed(t, answering(okResponse), func(b *bed, _ *Options) { b.server.Timeouts.Idle = 2 * quickWait })
	expectEnd(t, quick(t, b))
}

// A response that does not fit the socket is written as the client takes it.
func TestTurn_SlowReader(t *testing.T) {
	const size = 8 << 20
	large := "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n" + strings.Repeat("x", size)
	b := newBed(t, func(c *recorded) {
		for n := 1; c.awaitRequests(n); n++ {
			if strings.HasSuffix(c.bytes(), heldGet) {
				send(c, large, 0)
			} else {
				send(c, okResponse, 0)
			}
		}
	}, nil)
	c := quick(t, b)
	send(c, heldGet, 0)
	eventually(t, "the request arrives", func() bool { return strings.Contains(b.backend.bytes(), "/hold") })
	expectBytes(t, c, len(large))
	send(c, simpleGet, 0)
	expect(t, c, okResponse)
	eventually(t, "every exchange ends", func() bool { return len(b.forward.ended()) == 22 })
	for _, end := range b.forward.ended() {
		if end.Err != nil {
			t.Errorf("an exchange ended with %v", end.Err)
		}
	}
	if got := b.forward.ended()[20].Sent; got != size {
		t.Errorf("%d bytes sent, want %d", got, size)
	}
}

// expectBytes reads a response of n bytes, and its Date.
func expectBytes(t *testing.T, c *net.TCPConn, n int) {
	t.Helper()
	n += len("Date: Mon, 23 Nov 2026 10:00:00 GMT\r\n")
	buf := make([]byte, 64<<10)
	for n > 0 {
		m, err := c.Read(buf[:min(n, len(buf))])
		if err != nil {
			t.Fatalf("%d bytes missing: %v", n, err)
		}
		n -= m
	}
}

// What cannot be written at once is given back, and nothing is waited for.
func TestLink_TurnGivesBackTheRest(t *testing.T) {
	far, near := pair(t)
	var l link
	l.init(near)
	sent := 0
	answer := make([]byte, 8)
	l.sent = func() []byte {
		sent++
		return answer
	}
	out := make([]byte, 64<<20)
	_, rest, err := l.turn(out)
	if err != nil || sent != 0 || len(rest) == 0 || len(rest) == len(out) {
		t.Fatalf("%d of %d bytes left, sent called %d times, %v", len(rest), len(out), sent, err)
	}
	go func() {
		_, _ = io.CopyN(io.Discard, far, int64(len(out)-len(rest)+len("bye")))
		send(far, "hello", 0)
	}()
	if err := l.write([]byte("bye"), patience); err != nil {
		t.Fatal(err)
	}
	if n, err := l.read(answer); err != nil || string(answer[:n]) != "hello" {
		t.Errorf("read %q, %v", answer[:n], err)
	}
}

func TestLink_TurnWaitsForTheAnswer(t *testing.T) {
	far, near := pair(t)
	var l link
	l.init(near)
	answer := make([]byte, 8)
	l.sent = func() []byte {
		go func() {
			_, _ = io.CopyN(io.Discard, far, 1)
			send(far, "hello", 0)
		}()
		return answer
	}
	n, rest, err := l.turn([]byte("x"))
	if err != nil || len(rest) > 0 || string(answer[:n]) != "hello" {
		t.Errorf("read %q, %v, with %q left", answer[:n], err, rest)
	}
	_ = far.Close()
	if _, _, err := l.turn([]byte("x")); err == nil {
		t.Error("the end of the connection was not seen")
	}
}
