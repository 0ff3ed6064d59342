package server

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/room"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// echo is a TCP backend that sends everything back after the client has ended
// its direction.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveEach(t, ln, func(conn net.Conn) {
		b, _ := io.ReadAll(conn)
		_, _ = conn.Write(append([]byte("echo "), b...))
	})
}

func TestStream_TCP(t *testing.T) {
	srv, _ := start(t, Options{})
	l := &ir.Listener{Name: "ns/gw/tcp", Port: 5000, Protocol: ir.ProtocolTCP}
	apply(t, srv, append(forward(l, ir.ProtocolTCP, echo(t)), l)...)
	conn := dial(t, addr(t, srv, 5000))
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseWrite()
	if b, err := io.ReadAll(conn); err != nil || string(b) != "echo hello" {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestStream_TCPWithoutBackendIsClosed(t *testing.T) {
	srv, _ := start(t, Options{})
	l := &ir.Listener{Name: "ns/gw/tcp", Port: 5000, Protocol: ir.ProtocolTCP}
	gone, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	apply(t, srv, append(forward(l, ir.ProtocolTCP, gone.Addr().String()), l)...)
	if b, _ := io.ReadAll(dial(t, addr(t, srv, 5000))); len(b) > 0 {
		t.Errorf("got %q", b)
	}
}

// secureBackend speaks HTTPS with a certificate of its own.
func secureBackend(t *testing.T, ca *authority, name string) string {
	t.Helper()
	s := ca.secret("x", name)
	pair, err := tls.X509KeyPair(s.Certificate, s.Key)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "from behind")
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// TestStream_PassthroughBesideTermination is TL-016.
func TestStream_PassthroughBesideTermination(t *testing.T) {
	proxyCA, backendCA := newAuthority(t), newAuthority(t)
	srv, _ := start(t, Options{})
	through := &ir.Listener{
		Name: "ns/gw/through", Port: 443, Protocol: ir.ProtocolTLS, Hostname: "*.a.test", TLS: &ir.ServerTLS{Passthrough: true},
	}
	ended := httpsListener("ended", "x.a.test", "s")
	apply(t, srv, append(
		forward(through, ir.ProtocolTCP, secureBackend(t, backendCA, "b.a.test")),
		through, ended, answer(ended, 200, "from the proxy"), proxyCA.secret("s", "x.a.test"),
	)...)
	at := addr(t, srv, 443)
	for name, c := range map[string]struct {
		host string
		ca   *authority
		want string
	}{
		"TL-016 Passthrough":  {"b.a.test", backendCA, "from behind"},
		"TL-016 MostSpecific": {"x.a.test", proxyCA, "from the proxy"},
	} {
		t.Run(name, func(t *testing.T) {
			_, body, err := get(t, client(t, clientTLS(c.ca), at, http1), "https://"+c.host+"/")
			if err != nil || body != c.want {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
	t.Run("TL-016 Unknown", func(t *testing.T) {
		_, err := connect(t, srv, clientTLS(proxyCA), "elsewhere.test")
		if err == nil || strings.Contains(err.Error(), "remote error") {
			t.Errorf("a server name of no listener got %v, not a closed connection", err)
		}
	})
}

func TestStream_EndsTLSForTCPBackends(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	l := httpsListener("tls", "a.test", "s")
	l.Protocol = ir.ProtocolTLS
	apply(t, srv, append(forward(l, ir.ProtocolTCP, echo(t)), l, ca.secret("s", "a.test"))...)
	config := clientTLS(ca)
	config.ServerName = "a.test"
	conn := tls.Client(dial(t, addr(t, srv, 443)), config)
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseWrite()
	if b, err := io.ReadAll(conn); err != nil || string(b) != "echo hello" {
		t.Errorf("got %q, %v", b, err)
	}
}

// echoDatagrams is a UDP backend.
func echoDatagrams(t *testing.T) (addr string) {
	t.Helper()
	backend, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = backend.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := backend.ReadFromUDP(b)
			if err != nil {
				return
			}
			_, _ = backend.WriteToUDP(append([]byte("echo "), b[:n]...), from)
		}
	}()
	return backend.LocalAddr().String()
}

// sayHello is a new client that says hello to an echo.
func sayHello(t *testing.T, addr string) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(timeout))
	b := make([]byte, 1500)
	if n, err := conn.Read(b); err != nil || string(b[:n]) != "echo hello" {
		t.Errorf("got %q, %v", b[:n], err)
	}
}

func TestDatagrams_FollowTheConfiguration(t *testing.T) {
	one := room.New(1, nil)
	srv, _ := start(t, Options{DrainTimeout: time.Millisecond, Dial: upstream.Dialer{Room: one}})
	l := &ir.Listener{Name: "ns/gw/dns", Port: 53, Protocol: ir.ProtocolUDP}
	apply(t, srv, append(forward(l, ir.ProtocolUDP, echoDatagrams(t)), l)...)
	sayHello(t, addr(t, srv, 53))
	if one.TryEnter() {
		t.Error("the session has no place")
	}
	apply(t, srv)
	if _, bound := srv.Addr(53); bound {
		t.Error("the port is still bound")
	}
	one.Enter(t.Context().Done()) // hangs where the session did not give it back
}

// TestDatagrams_AListenerTakesThePortOver is a listener that gets another name: a
// socket that waits for its clients to fall silent would keep the port from it.
func TestDatagrams_AListenerTakesThePortOver(t *testing.T) {
	srv, _ := start(t, Options{})
	backend := echoDatagrams(t)
	var before string
	for _, name := range []string{"ns/gw/dns", "ns/gw/names"} {
		l := &ir.Listener{Name: name, Port: 53, Protocol: ir.ProtocolUDP}
		apply(t, srv, append(forward(l, ir.ProtocolUDP, backend), l)...)
		at := addr(t, srv, 53)
		if before != "" && at != before {
			t.Errorf("bound to %s, and before to %s", at, before)
		}
		before = at
		sayHello(t, at)
	}
}
