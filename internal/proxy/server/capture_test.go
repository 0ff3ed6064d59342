package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
)

// sidecar starts a Server whose connections were all going to an address.
func sidecar(t *testing.T, to string) (srv *Server, stop func()) {
	t.Helper()
	destination := netip.MustParseAddrPort(to)
	srv, stop = start(t, Options{Capture: &Capture{
		Port: 15001, Destination: func(*net.TCPConn) (netip.AddrPort, error) { return destination, nil },
	}})
	wait(t, func() bool { _, ok := srv.Addr(15001); return ok })
	return srv, stop
}

// wait waits until ok.
func wait(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !ok(); <-tick.C {
		if time.Since(began) > timeout {
			t.Fatal("it does not come")
		}
	}
}

// captures is the listener of a mesh for an address.
func captures(to string) *ir.Listener {
	at := netip.MustParseAddrPort(to)
	return &ir.Listener{
		Name: "mesh/ns/svc/80", Port: at.Port(), Addresses: []netip.Addr{at.Addr()}, Protocol: ir.ProtocolHTTP, Sniff: true,
	}
}

// versions are the ways in which clients speak HTTP without TLS.
func versions() map[string]func(*http.Protocols) {
	return map[string]func(*http.Protocols){"HTTP1": http1, "HTTP2": h2c}
}

func TestCapture_RoutesOfTheDestination(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "origin") })
	srv, _ := sidecar(t, origin)
	at := addr(t, srv, 15001)
	for name, version := range versions() {
		t.Run(name, func(t *testing.T) {
			declared, sniffed := captures(origin), captures(origin)
			declared.Sniff = false
			for body, resources := range map[string][]ir.Resource{
				"routed":   {sniffed, answer(sniffed, 200, "routed")},
				"declared": {declared, answer(declared, 200, "declared")},
				"origin":   nil,
			} {
				apply(t, srv, resources...)
				c := client(t, nil, at, version)
				for _, path := range []string{"/", "/" + strings.Repeat("a", 3*sniffSize)} {
					if _, got, err := get(t, c, "http://what.ever"+path); got != body {
						t.Errorf("got %q, %v; want %q", got, err, body)
					}
				}
			}
		})
	}
}

func TestCapture_WhatIsNoHTTPPassesThrough(t *testing.T) {
	to := echo(t)
	srv, _ := sidecar(t, to)
	l := captures(to)
	apply(t, srv, l, answer(l, 200, "routed"))
	for name, text := range map[string]string{
		"Redis": "*1\r\n$4\r\nPING\r\n", "HalfAMethod": "GE", "Nothing": "", "Long": strings.Repeat("\x00", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, addr(t, srv, 15001))
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			_ = conn.CloseWrite()
			if b, err := io.ReadAll(conn); err != nil || string(b) != "echo "+text {
				t.Errorf("got %d bytes, %v", len(b), err)
			}
		})
	}
}

func TestCapture_TLSPassesThrough(t *testing.T) {
	ca := newAuthority(t)
	to := secureBackend(t, ca, "svc.test")
	srv, _ := sidecar(t, to)
	l := captures(to)
	apply(t, srv, l, answer(l, 200, "routed"))
	c := client(t, &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}, addr(t, srv, 15001), http1)
	if _, body, err := get(t, c, "https://svc.test/"); body != "from behind" {
		t.Errorf("got %q, %v", body, err)
	}
}

func TestCapture_AServerMaySpeakFirst(t *testing.T) {
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "220 hello\r\n")
		_, _ = io.Copy(conn, conn)
	}()
	srv, _ := sidecar(t, ln.Addr().String())
	l := captures(ln.Addr().String())
	apply(t, srv, l, answer(l, 200, "routed"))
	conn := dial(t, addr(t, srv, 15001))
	b := make([]byte, len("220 hello\r\n"))
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != "220 hello\r\n" {
		t.Fatalf("got %q, %v", b, err)
	}
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n") // is not looked at any more
	_ = conn.CloseWrite()
	if b, err := io.ReadAll(conn); err != nil || string(b) != "GET / HTTP/1.1\r\n\r\n" {
		t.Errorf("got %q, %v", b, err)
	}
}

// TestCapture_AClientMayBeSilentForLong is of clients that connect before they
// have something to ask.
func TestCapture_AClientMayBeSilentForLong(t *testing.T) {
	at := make(chan net.Conn, 1) // connections to the origin
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			at <- conn
		}
	}()
	srv, _ := sidecar(t, ln.Addr().String())
	l := captures(ln.Addr().String())
	apply(t, srv, l, answer(l, 200, "routed"))
	for name, c := range map[string]struct{ client, origin, want string }{
		"HTTP":            {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "", "routed"},
		"Other":           {"*1\r\n", "+OK\r\n", "+OK\r\n"},
		"ServerSpeaks":    {"", "220 hello\r\n", "220 hello\r\n"},
		"ServerHasEnough": {"", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, addr(t, srv, 15001))
			origin := <-at // which says that patience is at its end
			defer func() { _ = origin.Close() }()
			_, _ = io.WriteString(conn, c.client)
			if c.client != "" && c.origin != "" {
				b := make([]byte, len(c.client))
				if _, err := io.ReadFull(origin, b); err != nil || string(b) != c.client {
					t.Fatalf("the origin got %q, %v", b, err)
				}
			}
			if c.want != "routed" {
				_, _ = io.WriteString(origin, c.origin)
				_ = origin.Close()
			}
			if b, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(b), c.want) || c.want == "" && len(b) > 0 {
				t.Errorf("got %q, %v; want %q", b, err, c.want)
			}
		})
	}
}

func TestCapture_RefusesAsTheDestinationWould(t *testing.T) {
	for name, destination := range map[string]func(*net.TCPConn) (netip.AddrPort, error){
		"NotRedirected": func(*net.TCPConn) (netip.AddrPort, error) { return netip.AddrPort{}, errors.ErrUnsupported },
		"Unreachable":   func(*net.TCPConn) (netip.AddrPort, error) { return netip.MustParseAddrPort(closed(t)), nil },
	} {
		t.Run(name, func(t *testing.T) {
			srv, _ := start(t, Options{Capture: &Capture{Port: 15001, Destination: destination}})
			apply(t, srv)
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr(t, srv, 15001))
			if err == nil { // else it was told at once
				_, err = io.ReadAll(conn)
				_ = conn.Close()
			}
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, want a reset", err)
			}
		})
	}
}

// closed is an address where nobody listens.
func closed(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	return ln.Addr().String()
}

func TestCapture_ReadyWithAnEmptyConfiguration(t *testing.T) {
	to := echo(t)
	srv, _ := sidecar(t, to)
	conn := dial(t, addr(t, srv, 15001)) // waits for the configuration
	if srv.Ready() {
		t.Error("ready without a configuration")
	}
	apply(t, srv)
	if !srv.Ready() {
		t.Error("not ready with an empty configuration")
	}
	_ = conn.CloseWrite()
	if b, err := io.ReadAll(conn); string(b) != "echo " {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestCapture_NoControllerKeepsAPodOffTheNetwork(t *testing.T) {
	to := echo(t)
	srv, _ := sidecar(t, to)
	conn := dial(t, addr(t, srv, 15001))
	srv.configure() // the wait is over
	_ = conn.CloseWrite()
	if b, err := io.ReadAll(conn); string(b) != "echo " {
		t.Errorf("got %q, %v", b, err)
	}
	if srv.Ready() {
		t.Error("ready without a configuration")
	}
}

func TestCapture_IPv6(t *testing.T) {
	to := echo(t)
	srv, _ := sidecar(t, to)
	apply(t, srv)
	srv.mu.Lock()
	sock := srv.sockets[binding{ipv6Loopback, 15001}]
	srv.mu.Unlock()
	if sock == nil {
		t.Skip("there is no IPv6 on this machine")
	}
	if !sock.addr().Addr().IsLoopback() {
		t.Errorf("bound to %s", sock.addr())
	}
	conn := dial(t, sock.addr().String())
	_ = conn.CloseWrite()
	if b, err := io.ReadAll(conn); string(b) != "echo " {
		t.Errorf("got %q, %v", b, err)
	}
}

// TestCapture_NoRequestIsLost has a listener come and go, and its route alone,
// under requests over connections that are kept, and new ones.
func TestCapture_NoRequestIsLost(t *testing.T) {
	origin := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "origin") })
	other := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "other") })
	srv, _ := sidecar(t, origin)
	at := addr(t, srv, 15001)
	l := captures(origin)
	on := append(forward(l, ir.ProtocolHTTP, other), l)
	apply(t, srv, on...)
	var clients sync.WaitGroup
	var stop atomic.Bool
	var fromOrigin, fromOther, flips atomic.Int64
	for name, version := range versions() {
		for range 2 {
			clients.Go(func() {
				c := client(t, nil, at, version)
				for i := 0; !stop.Load(); i++ {
					if i%50 == 49 {
						c.CloseIdleConnections()
					}
					switch status, body, err := getOrPost(t, c, i); {
					case status == 200 && body == "origin":
						fromOrigin.Add(1)
					case status == 200 && body == "other":
						fromOther.Add(1)
					default:
						t.Errorf("%s: after %d changes: %d %q, %v", name, flips.Load(), status, body, err)
						return
					}
				}
			})
		}
	}
	wait(t, func() bool {
		states := [][]ir.Resource{nil, on, {l}, on} // nothing, all, no route, all
		apply(t, srv, states[flips.Add(1)%4]...)
		return flips.Load() > 200 && fromOrigin.Load() > 200 && fromOther.Load() > 200
	})
	stop.Store(true)
	clients.Wait()
}

// getOrPost sends a request, every other one with a body.
func getOrPost(t *testing.T, c *http.Transport, i int) (status int, body string, err error) {
	t.Helper()
	if i%2 == 0 {
		return get(t, c, "http://svc/")
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://svc/", strings.NewReader("some text"))
	if err != nil {
		return 0, "", err
	}
	req.GetBody = nil // so that the client sends it once
	resp, err := c.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestCapture_DrainsLikeAGateway(t *testing.T) {
	release := make(chan struct{})
	began := make(chan struct{})
	origin := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-release
		_, _ = io.WriteString(w, "late")
	})
	srv, stop := sidecar(t, origin)
	l := captures(origin)
	apply(t, srv, append(forward(l, ir.ProtocolHTTP, origin), l)...)
	c := client(t, nil, addr(t, srv, 15001), http1)
	answered := make(chan string, 1)
	go func() {
		_, body, err := get(t, c, "http://svc/")
		if err != nil {
			body = err.Error()
		}
		answered <- body
	}()
	<-began
	go stop()
	wait(t, func() bool { return !srv.Ready() })
	close(release)
	if got := <-answered; got != "late" {
		t.Errorf("got %q", got)
	}
}
