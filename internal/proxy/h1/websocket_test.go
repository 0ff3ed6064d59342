package h1

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// TestWebSocket has the rows of WebSocket that are about the tunnel; those about
// the handshake are in testdata/rows.
func TestWebSocket(t *testing.T) {
	for name, test := range map[string]func(t *testing.T){
		"WG-003/FramesWithTheHandshake":  framesWithTheHandshake,
		"WG-005/SlowClientHoldsItUp":     slowClientHoldsItUp,
		"WG-005/SlowBackendHoldsItUp":    slowBackendHoldsItUp,
		"WG-005/LengthsAreNotLookedAt":   frameLengthsAreNotLookedAt,
		"WG-005/SilentBothWays":          tunnelIdle,
		"WG-006/DrainKeepsItCloseEndsIt": tunnelOutlivesDrain,
		"WG-007/HalfCloseByClient":       tunnelClientHalfClose,
		"WG-007/HalfCloseByBackend":      tunnelBackendHalfClose,
		"WG-007/ResetByBackend":          tunnelReset,
		"WG-007/ResetByClient":           tunnelResetByClient,
		"WG-007/OutlivesRequestTimeout":  tunnelOutlivesDeadline,
		"WG-007/OneWayTrafficKeepsItUp":  tunnelOneWayTraffic,
	} {
		t.Run(name, test)
	}
}

// frame is a masked text frame of a client.
const frame = "\x81\x85\x01\x02\x03\x04\x49\x67\x6f\x68\x6e"

// framesWithTheHandshake has more frames in the segment of the handshake, and of
// its answer, than any buffer that reads a head takes.
func framesWithTheHandshake(t *testing.T) {
	upload, download := strings.Repeat(frame, 5_000), strings.Repeat("\x81\x05hello", 9_000)
	b := newBed(t, func(c *recorded) {
		if c.await(func(got string) bool { return strings.Contains(got, "\r\n\r\n") }) {
			send(c, upgradeResponse+download, 0)
		}
	}, nil)
	client := b.dial(t)
	go send(client, upgradeRequest+upload, 0)
	got := make([]byte, len(upgradeResponse)+len(download))
	if _, err := io.ReadFull(client, got); err != nil || string(got) != upgradeResponse+download {
		t.Errorf("client got %q (%v)", short(string(got)), err)
	}
	b.backend.awaitBytes(len(upgradeForwarded) + len(upload))
	if got := b.backend.bytes(); got != upgradeForwarded+upload {
		t.Errorf("backend got %q", short(got))
	}
}

// muchToBuffer is more than the systems of both hops hold for a peer that does
// not read, in bytes.
const muchToBuffer = 256 << 20

// flood writes zeros to w until that fails, or muchToBuffer were taken.
func flood(w io.Writer) (taken int64) {
	zeros := make([]byte, 64<<10)
	for taken < muchToBuffer {
		n, err := w.Write(zeros)
		if taken += int64(n); err != nil {
			break
		}
	}
	return taken
}

// A client that does not read holds its backend up, and loses the tunnel when it
// has taken nothing for the write timeout.
func slowClientHoldsItUp(t *testing.T) {
	taken := make(chan int64, 1)
	b := newBed(t, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, upgradeResponse, 0)
			taken <- flood(c)
		}
	}, func(b *bed, _ *Options) { b.server.Timeouts.Write = 100 * time.Millisecond })
	client := b.dial(t)
	send(client, upgradeRequest, 0)
	expect(t, client, upgradeResponse)
	if n := <-taken; n >= muchToBuffer {
		t.Errorf("%d bytes were taken for a client that does not read", n)
	}
	eventually(t, "the tunnel ends", func() bool { return len(b.forward.ended()) == 1 && b.server.Active() == 0 })
}

// The same the other way round.
func slowBackendHoldsItUp(t *testing.T) {
	backend, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = backend.Close() }()
	go func() {
		conn, err := backend.Accept()
		if err != nil {
			return
		}
		_, _ = io.ReadFull(conn, make([]byte, len(upgradeForwarded)))
		send(conn, upgradeResponse, 0) // and no more is read, nor is the connection closed
		<-t.Context().Done()
		_ = conn.Close()
	}()
	b := newBed(t, func(*recorded) {}, func(b *bed, o *Options) {
		b.forward.target.Addr, o.WriteTimeout = backend.Addr().String(), 100*time.Millisecond
	})
	client := b.dial(t)
	send(client, upgradeRequest, 0)
	expect(t, client, upgradeResponse)
	if n := flood(client); n >= muchToBuffer {
		t.Errorf("%d bytes were taken for a backend that does not read", n)
	}
	eventually(t, "the tunnel ends", func() bool { return len(b.forward.ended()) == 1 && b.server.Active() == 0 })
}

// Frames of 1 GiB, 2^63 bytes and without end are bytes like any other: they are
// passed on as they come, none is waited for.
func frameLengthsAreNotLookedAt(t *testing.T) {
	_, client, backend := tunnelled(t, patience, "")
	want := upgradeForwarded + "early"
	for _, part := range []string{
		"\x82\xff\x00\x00\x00\x00\x40\x00\x00\x00mask", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00mask", strings.Repeat("\x00\x81maskx", 10_000),
	} {
		send(client, part, 0)
		want += part
		eventually(t, "the part arrives", func() bool { return backend.bytes() == want })
	}
	part := "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"
	send(backend, part, 0)
	expect(t, client, part)
}

func tunnelOutlivesDrain(t *testing.T) {
	b, client, backend := tunnelled(t, patience, "")
	b.server.Drain()
	send(client, "after", 0)
	eventually(t, "bytes arrive after the drain began", func() bool { return strings.HasSuffix(backend.bytes(), "earlyafter") })
	send(backend, "after", 0)
	expect(t, client, "after")
	if n := b.server.Active(); n != 1 {
		t.Errorf("%d connections are waited for, want the tunnel", n)
	}
	b.server.Close()
	expectEnd(t, client)
	backend.awaitEnd()
	eventually(t, "nothing is left", func() bool { return b.server.Active() == 0 })
}

func tunnelResetByClient(t *testing.T) {
	b, client, backend := tunnelled(t, patience, "")
	eventually(t, "early bytes arrive", func() bool { return backend.bytes() == upgradeForwarded+"early" })
	reset(client)
	backend.awaitEnd()
	eventually(t, "the tunnel ends", func() bool { return len(b.forward.ended()) == 1 })
	if end := b.forward.ended()[0]; end.Err == nil {
		t.Error("a reset counts as a proper end")
	}
}

// The time for a request ends with its 101.
func tunnelOutlivesDeadline(t *testing.T) {
	const limit = 500 * time.Millisecond // to be upgraded in
	b := newBed(t, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, upgradeResponse, 0)
		}
	}, func(b *bed, o *Options) {
		b.forward.deadline, b.forward.target.IdleTimeout, o.SlowAfter = limit, limit, time.Millisecond
	})
	client := b.dial(t)
	send(client, upgradeRequest, 0)
	expect(t, client, upgradeResponse)
	passed := time.Now().Add(limit)
	eventually(t, "the deadline passes", func() bool { return time.Now().After(passed) })
	send(client, "ping", 0)
	backend := b.backend.first(t)
	eventually(t, "bytes arrive after the deadline", func() bool { return strings.HasSuffix(backend.bytes(), "ping") })
	send(backend, "pong", 0)
	expect(t, client, "pong")
}

// What goes one way keeps both ways: a client may only listen.
func tunnelOneWayTraffic(t *testing.T) {
	const idle = 500 * time.Millisecond
	_, client, backend := tunnelled(t, idle, "")
	tick := time.NewTicker(idle / 20)
	defer tick.Stop()
	for began := time.Now(); time.Since(began) < 2*idle; <-tick.C {
		send(backend, "x", 0)
		expect(t, client, "x")
	}
	_ = backend.CloseWrite()
	expectEnd(t, client)
}
