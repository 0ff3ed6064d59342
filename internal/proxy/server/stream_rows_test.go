package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
)

// tcpServer has one TCP listener, on port 5000, that goes to addresses.
func tcpServer(t *testing.T, opts Options, addresses ...ir.Endpoint) (srv *Server, configure func(...ir.Endpoint)) {
	t.Helper()
	srv, _ = start(t, opts)
	l := &ir.Listener{Name: "ns/gw/tcp", Port: 5000, Protocol: ir.ProtocolTCP}
	configure = func(addresses ...ir.Endpoint) {
		apply(t, srv, l,
			&ir.Endpoints{Name: "e", Addresses: addresses},
			&ir.Backend{Name: "b", Protocol: ir.ProtocolTCP, Endpoints: "e", ConnectTimeout: 500 * time.Millisecond},
			&ir.Route{Name: "TCPRoute/ns/r@" + l.Name, Listener: l.Name, Rules: []ir.Rule{{Backends: to("b")}}},
		)
	}
	configure(addresses...)
	return srv, configure
}

func to(backend string) []ir.WeightedBackend {
	return []ir.WeightedBackend{{Backend: backend, Weight: 1}}
}

func endpoint(t *testing.T, address string) ir.Endpoint {
	t.Helper()
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return ir.Endpoint{Host: at.IP.String(), Port: uint16(at.Port)}
}

// lines is a TCP backend that sends each byte back at once.
func lines(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveEach(t, ln, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
}

// exchanges sends a byte and wants it back.
func exchanges(t *testing.T, conn net.Conn) {
	t.Helper()
	b := []byte{0}
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, b); err != nil || b[0] != 'x' {
		t.Fatalf("got %q, %v", b, err)
	}
}

// isClosed wants the end of a connection, orderly or not, before any byte.
func isClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	n, err := conn.Read(make([]byte, 1))
	var late net.Error
	if n > 0 || err == nil || errors.As(err, &late) && late.Timeout() {
		t.Errorf("got %d bytes, %v, want the end", n, err)
	}
}

// unanswered is an address whose queue of connections is full: the system drops
// what else would connect.
func unanswered(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*syscall.SockaddrInet4).Port)).String()
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		cancel()
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Skip("this system has no limit for connections that nobody accepts")
	return ""
}

func TestStream_TCPRows(t *testing.T) {
	t.Run("WG-019/Refused", func(t *testing.T) {
		srv, _ := tcpServer(t, Options{}, endpoint(t, closed(t)))
		isClosed(t, dial(t, addr(t, srv, 5000)))
	})
	t.Run("WG-019/RefusedByOneOfTwo", func(t *testing.T) {
		srv, _ := tcpServer(t, Options{}, endpoint(t, closed(t)), endpoint(t, lines(t)))
		for range 10 {
			exchanges(t, dial(t, addr(t, srv, 5000)))
		}
	})
	t.Run("WG-019/Unanswered", func(t *testing.T) {
		srv, _ := tcpServer(t, Options{}, endpoint(t, unanswered(t)), endpoint(t, lines(t)))
		for range 4 { // some of which are offered to the silent one first
			exchanges(t, dial(t, addr(t, srv, 5000)))
		}
	})
	t.Run("WG-020/NoEndpoint", func(t *testing.T) {
		srv, _ := tcpServer(t, Options{})
		isClosed(t, dial(t, addr(t, srv, 5000)))
	})
	t.Run("WG-021/EndpointRemoved", func(t *testing.T) {
		first, second := endpoint(t, lines(t)), endpoint(t, lines(t))
		srv, configure := tcpServer(t, Options{}, first)
		conn := dial(t, addr(t, srv, 5000))
		exchanges(t, conn)
		configure(second)
		exchanges(t, conn)
		configure()
		exchanges(t, conn)
		isClosed(t, dial(t, addr(t, srv, 5000)))
	})
	t.Run("WG-021/ListenerRemoved", func(t *testing.T) {
		srv, _ := tcpServer(t, Options{DrainTimeout: time.Second}, endpoint(t, lines(t)))
		conn := dial(t, addr(t, srv, 5000))
		exchanges(t, conn)
		apply(t, srv)
		exchanges(t, conn) // as long as the drain lasts
		isClosed(t, conn)
	})
}
