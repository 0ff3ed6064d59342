package h1

import (
	"net"
	"strings"
	"testing"
	"time"
)

const (
	upgradeRequest = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	upgradeForwarded = "GET /ws HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	upgradeResponse = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" +
		"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
)

// tunnelled is a client behind an upgraded connection, and the backend's side.
func tunnelled(t *testing.T, idle time.Duration, early string) (b *bed, client *net.TCPConn, backend *recorded) {
	t.Helper()
	b = newBed(t, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, upgradeResponse+early, 0)
		}
	}, func(b *bed, _ *Options) { b.server.Timeouts.Tunnel = idle })
	client = b.dial(t)
	send(client, upgradeRequest+"early", 0)
	expect(t, client, upgradeResponse+early)
	return b, client, b.backend.first(t)
}

// Bytes in the segment of the request and of the 101 belong to the tunnel.
func tunnelBothWays(t *testing.T) {
	b, client, backend := tunnelled(t, patience, "first")
	eventually(t, "early bytes arrive", func() bool { return backend.bytes() == upgradeForwarded+"early" })
	send(client, strings.Repeat("a", 100_000), 0)
	eventually(t, "bytes arrive at the backend", func() bool { return len(backend.bytes()) == len(upgradeForwarded)+100_005 })
	go send(backend, strings.Repeat("b", 100_000), 0)
	expect(t, client, strings.Repeat("b", 100_000))
	_ = client.Close()
	backend.awaitEnd()
	_ = backend.Close()
	eventually(t, "the exchange ends", func() bool { return len(b.forward.ended()) == 1 })
	if n := len(b.backend.all()); n != 1 {
		t.Errorf("%d connections", n)
	}
	b.forward.transport.pool.mu.Lock()
	defer b.forward.transport.pool.mu.Unlock()
	for _, target := range b.forward.transport.pool.targets {
		if len(target.idle) > 0 {
			t.Error("a tunnel was kept as an idle connection")
		}
	}
}

func tunnelClientHalfClose(t *testing.T) {
	b, client, backend := tunnelled(t, patience, "")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	backend.awaitEnd()
	send(backend, "still", 0)
	expect(t, client, "still")
	_ = backend.CloseWrite()
	expectEnd(t, client)
	eventually(t, "the tunnel ends", func() bool { return len(b.forward.ended()) == 1 })
	if end := b.forward.ended()[0]; end.Err != nil || end.Sent != 5 || end.Received != 5 {
		t.Errorf("the tunnel ended with %+v", end)
	}
}

func tunnelBackendHalfClose(t *testing.T) {
	_, client, backend := tunnelled(t, patience, "")
	_ = backend.CloseWrite()
	expectEnd(t, client)
	send(client, "still", 0)
	eventually(t, "bytes arrive after the half-close", func() bool { return strings.HasSuffix(backend.bytes(), "still") })
	_ = client.Close()
	backend.awaitEnd()
}

func tunnelIdle(t *testing.T) {
	b, client, backend := tunnelled(t, 50*time.Millisecond, "")
	expectEnd(t, client)
	backend.awaitEnd()
	eventually(t, "the tunnel ends", func() bool { return len(b.forward.ended()) == 1 })
}

func tunnelReset(t *testing.T) {
	b, client, backend := tunnelled(t, patience, "")
	eventually(t, "early bytes arrive", func() bool { return backend.bytes() == upgradeForwarded+"early" })
	reset(backend)
	expectEnd(t, client)
	eventually(t, "the tunnel ends", func() bool { return len(b.forward.ended()) == 1 })
}
