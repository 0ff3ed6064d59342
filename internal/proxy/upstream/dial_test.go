package upstream

import (
	"context"
	"net"
	"strings"
	"testing"

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

// TestDialer_Checks what names may lead to, without asking for it.
func TestDialer_Checks(t *testing.T) {
	for _, address := range []string{"169.254.169.254:80", "[fd00:ec2::254]:80", "[::ffff:169.254.169.254]:80", "[fe80::1%eth0]:80", "0.0.0.0:80", "no address"} {
		for _, dial := range []Dialer{{}, {Local: true}} {
			if dial.check("tcp", address, nil) == nil {
				t.Errorf("%s is dialled by %+v", address, dial)
			}
		}
	}
	if err := (Dialer{}).check("tcp", "10.0.0.1:443", nil); err != nil {
		t.Errorf("a private network: %v", err)
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
