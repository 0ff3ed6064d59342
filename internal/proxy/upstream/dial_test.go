package upstream

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/names"
	"github.com/citoroute/citoroute/internal/proxy/room"
)

// TestDialer_WhatIsDialledCounts asks for a server on this machine by its name and
// by its address.
func TestDialer_WhatIsDialledCounts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]struct{ cluster, local bool }{
		"localhost": {false, true},
		"127.0.0.1": {true, true}, // the configuration says so
	} {
		for _, dial := range []Dialer{{}, {Local: true}} {
			conn, err := dial.DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
			if err == nil {
				_ = conn.Close()
			}
			wanted := want.cluster
			if dial.Local {
				wanted = want.local
			}
			if (err == nil) != wanted {
				t.Errorf("%s, %+v: %v", host, dial, err)
			}
			if host == "localhost" && !dial.Local && !strings.Contains(err.Error(), "where no backend is") {
				t.Errorf("%s: %v does not say why", host, err)
			}
		}
	}
}

// knowing returns names that lead everywhere to addresses, and how often they
// were asked for.
func knowing(addresses ...string) (found *names.Cache, asked *atomic.Int64) {
	asked = new(atomic.Int64)
	return names.New(names.Options{Lookup: func(context.Context, string) (out []netip.Addr, err error) {
		asked.Add(1)
		for _, a := range addresses {
			out = append(out, netip.MustParseAddr(a))
		}
		return out, nil
	}}), asked
}

// TestDialer_Checks what names may lead to, without asking for it.
func TestDialer_Checks(t *testing.T) {
	for _, address := range []string{"169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "fe80::1%eth0", "0.0.0.0"} {
		for _, local := range []bool{false, true} {
			found, _ := knowing(address)
			conn, err := Dialer{Local: local, Names: found}.DialContext(t.Context(), "tcp", "b.example.com:80")
			if err == nil || !strings.Contains(err.Error(), "where no backend is") {
				t.Errorf("%s, local %v: got %v, %v", address, local, conn, err)
			}
		}
	}
}

// TestDialer_TriesOtherAddresses of a name where one takes no connections, and
// does not ask for them each time.
func TestDialer_TriesOtherAddresses(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	found, asked := knowing("127.0.0.2", "127.0.0.3", "169.254.169.254", "::1", "127.0.0.1", "127.0.0.4")
	dial := Dialer{Local: true, Names: found}
	for range 10 {
		conn, err := dial.DialContext(t.Context(), "tcp", "b.example.com:"+port)
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.RemoteAddr().String(); got != l.Addr().String() {
			t.Errorf("connected to %s", got)
		}
		_ = conn.Close()
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	_ = l.Close()
	if _, err := dial.DialContext(t.Context(), "tcp", "b.example.com:"+port); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
}

// TestDialer_DoesNotWaitForTheFirst address of a name when it is silent.
func TestDialer_DoesNotWaitForTheFirst(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	silent := full(t, "127.0.0.2:"+port)
	found, _ := knowing("127.0.0.1", "127.0.0.2") // the second is the first one's turn
	began := time.Now()
	conn, err := Dialer{Local: true, Names: found}.DialContext(t.Context(), "tcp", "b.example.com:"+port)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if took := time.Since(began); took < stagger || took > 40*stagger {
		t.Errorf("it took %s: %s was first and answers nothing", took, silent)
	}
}

// full listens at an address and takes nothing from its queue, which is full.
func full(t *testing.T, address string) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { err = syscall.Listen(int(fd), 0) }); err != nil {
		t.Fatal(err)
	}
	for {
		conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
}

// TestDialer_WaitsForAPlace: a connection has its place until it is closed.
func TestDialer_WaitsForAPlace(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial := Dialer{Room: room.New(1, nil)}
	for range 3 {
		conn, err := dial.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := dial.DialContext(ended, "tcp", l.Addr().String()); !IsOurs(err) {
			t.Errorf("the second at a time: %v", err)
		}
		_ = Bare(conn).Close()
		_ = conn.Close()
		_ = conn.Close() // gives nothing back that is not its own
	}
	if _, err := dial.DialContext(t.Context(), "tcp", "127.0.0.1:1"); err == nil || IsOurs(err) {
		t.Errorf("nobody listens: %v", err)
	}
	if !dial.Room.TryEnter() {
		t.Error("a failure keeps its place")
	}
}
