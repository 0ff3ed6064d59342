package l4

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/citoroute/citoroute/internal/certtest"
)

// bothEnds is a client and a backend whose connections are joined; done is closed
// when Join has returned.
func bothEnds(t *testing.T) (client, backend *net.TCPConn, done chan struct{}) {
	t.Helper()
	client, a := pair(t)
	b, backend := pair(t)
	done = make(chan struct{})
	go func() {
		defer close(done)
		Join(a, b)
	}()
	return client, backend, done
}

// reset closes a connection so that its peer sees an error.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// TestTCP is WG-019.
func TestTCP(t *testing.T) {
	t.Run("WG-019/HalfCloseByClient", func(t *testing.T) {
		client, backend, done := bothEnds(t)
		halfClose(t, client, backend, done)
	})
	t.Run("WG-019/HalfCloseByBackend", func(t *testing.T) {
		client, backend, done := bothEnds(t)
		halfClose(t, backend, client, done)
	})
	// An orderly end would make what has come look complete.
	t.Run("WG-019/ResetByBackend", func(t *testing.T) {
		client, backend, done := bothEnds(t)
		resetIsHandedOn(t, backend, client, done)
	})
	t.Run("WG-019/ResetByClient", func(t *testing.T) {
		client, backend, done := bothEnds(t)
		resetIsHandedOn(t, client, backend, done)
	})
	t.Run("WG-019/ResetBehindTLS", func(t *testing.T) {
		client, a := pair(t)
		b, backend := pair(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			Join(tls.Server(a, serverConfig(t)), b)
		}()
		session := tls.Client(client, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
		if err := session.Handshake(); err != nil {
			t.Fatal(err)
		}
		_, _ = session.Write([]byte("q"))
		if _, err := io.ReadFull(backend, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		reset(backend)
		if _, err := session.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the client got %v, want a reset", err)
		}
		<-done
	})
	t.Run("WG-019/OneByteAtATime", func(t *testing.T) {
		client, backend, _ := bothEnds(t)
		b := make([]byte, 1)
		for i := range 500 {
			if _, err := client.Write([]byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(backend, b); err != nil || b[0] != byte(i) {
				t.Fatalf("byte %d: got %d, %v", i, b[0], err)
			}
		}
	})
}

// halfClose ends the direction from a peer, and sends on the other way.
func halfClose(t *testing.T, from, to *net.TCPConn, done chan struct{}) {
	t.Helper()
	_, _ = io.WriteString(from, "last")
	_ = from.CloseWrite()
	if got, err := io.ReadAll(to); err != nil || string(got) != "last" {
		t.Fatalf("got %q, %v", got, err)
	}
	_, _ = io.WriteString(to, "answer")
	_ = to.CloseWrite()
	if got, err := io.ReadAll(from); err != nil || string(got) != "answer" {
		t.Fatalf("got %q, %v", got, err)
	}
	<-done
}

func resetIsHandedOn(t *testing.T, from, to *net.TCPConn, done chan struct{}) {
	t.Helper()
	_, _ = io.WriteString(from, "half")
	if _, err := io.ReadFull(to, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	reset(from)
	if _, err := to.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
	<-done
}

// serverConfig has a certificate that nobody vouches for.
func serverConfig(t *testing.T) *tls.Config {
	t.Helper()
	return &tls.Config{Certificates: []tls.Certificate{certtest.Server(t).TLS()}, MinVersion: tls.VersionTLS13}
}
