package capture

import (
	"net"
	"testing"
)

// accepted returns both ends of a connection over loopback.
func accepted(t *testing.T, host string) (client, server *net.TCPConn) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("there is no %s on this machine: %v", host, err)
	}
	defer func() { _ = ln.Close() }()
	dialed, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = dialed.Close(), conn.Close() })
	return dialed.(*net.TCPConn), conn.(*net.TCPConn)
}

// TestDestination_OfAConnectionToTheProxyItself is an error, or the proxy would
// connect to itself without end. Redirected ones are in cmd/proxy's test of a
// network namespace.
func TestDestination_OfAConnectionToTheProxyItself(t *testing.T) {
	for name, host := range map[string]string{"IPv4": "127.0.0.1", "IPv6": "::1"} {
		t.Run(name, func(t *testing.T) {
			_, conn := accepted(t, host)
			if to, err := Destination(conn); err == nil {
				t.Errorf("it was going to %s", to)
			}
		})
	}
}

func TestClientBegins(t *testing.T) {
	for name, c := range map[string]struct {
		by   func(client, server *net.TCPConn)
		want bool
	}{
		"Client":       {func(client, _ *net.TCPConn) { _, _ = client.Write([]byte("a")) }, true},
		"ClientLeaves": {func(client, _ *net.TCPConn) { _ = client.Close() }, true},
		"Server":       {func(_, server *net.TCPConn) { _, _ = server.Write([]byte("b")) }, false},
		"ServerLeaves": {func(_, server *net.TCPConn) { _ = server.Close() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			client, fromClient := accepted(t, "127.0.0.1")
			toServer, server := accepted(t, "127.0.0.1")
			began := make(chan bool, 1)
			go func() { began <- ClientBegins(fromClient, toServer) }()
			c.by(client, server)
			if got := <-began; got != c.want {
				t.Errorf("got %t", got)
			}
			// Neither has lost a byte, nor is a deadline left.
			if name == "Client" {
				b := make([]byte, 1)
				if _, err := fromClient.Read(b); err != nil || b[0] != 'a' {
					t.Errorf("read %q, %v", b, err)
				}
			}
		})
	}
}
