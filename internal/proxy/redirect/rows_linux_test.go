package redirect

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/citoroute/citoroute/internal/bootstrap"
)

// redirectedPod is a pod whose connections are redirected to a sidecar, beside a
// program that answers on ports 80 and 5432 of the pod's own addresses.
func redirectedPod(t *testing.T, c Config) {
	t.Helper()
	newPod(t)
	for _, host := range []string{"127.0.0.1", "::1"} {
		listen(t, "sidecar", net.JoinHostPort(host, fmt.Sprint(bootstrap.CapturePort)))
	}
	for _, host := range []string{pod4, pod6} {
		for _, port := range []string{"80", "5432"} {
			listen(t, "program", net.JoinHostPort(host, port))
		}
	}
	programmed(t, c)
}

// dialRaw connects from this thread by a socket of a family, after set, and
// returns the answer. Go's own dialer would choose the family by itself.
func dialRaw(t *testing.T, family int, to syscall.Sockaddr, set func(fd int) error) string {
	t.Helper()
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(fd) }()
	wait := syscall.NsecToTimeval(int64(timeout))
	if err := errors.Join(
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &wait),
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &wait),
	); err != nil {
		t.Fatal(err)
	}
	if set != nil {
		if err := set(fd); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Connect(fd, to); err != nil {
		return err.Error()
	}
	var out strings.Builder
	b := make([]byte, 100)
	for {
		n, err := syscall.Read(fd, b)
		if n <= 0 || err != nil {
			return out.String()
		}
		out.Write(b[:n])
	}
}

// TestMS010_WhoIsTheSidecar: only its user is; its group alone is not.
func TestMS010_WhoIsTheSidecar(t *testing.T) {
	redirectedPod(t, Config{})
	address := pod4 + ":80"
	if got := dial(t, bootstrap.SidecarUserID, address); got != "program "+address {
		t.Errorf("the sidecar's user: %q", got)
	}
	if err := syscall.Setfsgid(bootstrap.SidecarUserID); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Setfsgid(0) }()
	if got := dial(t, 1000, address); got != "sidecar "+address {
		t.Errorf("the sidecar's group: %q", got)
	}
}

// TestMS011_SocketOptions: by none of its options does a socket get past.
func TestMS011_SocketOptions(t *testing.T) {
	redirectedPod(t, Config{})
	to := &syscall.SockaddrInet4{Port: 80, Addr: [4]byte{10, 0, 0, 1}}
	for name, set := range map[string]func(fd int) error{
		"None": nil,
		"Mark": func(fd int) error {
			return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, bootstrap.SidecarUserID)
		},
		"BindToDevice": func(fd int) error { return unix.BindToDevice(fd, "lo") },
		"Source": func(fd int) error {
			return syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{10, 0, 0, 1}})
		},
		"DontRoute": func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DONTROUTE, 1) },
	} {
		if got, want := dialRaw(t, syscall.AF_INET, to, set), "sidecar "+pod4+":80"; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestMS012_Families: an IPv4 address in a socket of IPv6 is one of IPv4.
func TestMS012_Families(t *testing.T) {
	redirectedPod(t, Config{})
	mapped := &syscall.SockaddrInet6{Port: 80, Addr: [16]byte{10: 0xff, 11: 0xff, 12: 10, 13: 0, 14: 0, 15: 1}}
	if got, want := dialRaw(t, syscall.AF_INET6, mapped, nil), "sidecar "+pod4+":80"; got != want {
		t.Errorf("IPv4 in IPv6: %q, want %q", got, want)
	}
	if got, want := dial(t, 1000, net.JoinHostPort(pod6, "80")), "sidecar "+net.JoinHostPort(pod6, "80"); got != want {
		t.Errorf("IPv6: %q, want %q", got, want)
	}
}

// TestMS012_UDPIsLeftAlone, as is documented: DNS and QUIC go where they were
// going, whatever their port.
func TestMS012_UDPIsLeftAlone(t *testing.T) {
	redirectedPod(t, Config{})
	for _, port := range []int{53, 443} {
		server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(pod4), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		client, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.ParseIP(pod4), Port: port})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		if _, err := client.Write([]byte("q")); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 10)
		_ = server.SetReadDeadline(time.Now().Add(timeout))
		if n, err := server.Read(b); err != nil || string(b[:n]) != "q" {
			t.Errorf("port %d: got %q, %v", port, b[:n], err)
		}
	}
}

// TestMS012_DNSOverTCP is redirected like any other connection.
func TestMS012_DNSOverTCP(t *testing.T) {
	redirectedPod(t, Config{})
	if got, want := dial(t, 1000, service4+":53"), "sidecar "+service4+":53"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestMS015_ExclusionsAreNarrow: a port that is excluded is excluded as a
// destination, and no other is; the same holds for networks.
func TestMS015_ExclusionsAreNarrow(t *testing.T) {
	redirectedPod(t, Config{ExcludePorts: []uint16{5432}, Exclude: prefixes("10.96.0.0/32")})
	for address, by := range map[string]string{
		pod4 + ":5432": "program", net.JoinHostPort(pod6, "5432"): "program",
		pod4 + ":80": "sidecar", service4 + ":5433": "sidecar", service4 + ":80": "sidecar",
	} {
		if got, want := dial(t, 1000, address), by+" "+address; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	from5432 := func(fd int) error {
		return errors.Join(syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1),
			syscall.Bind(fd, &syscall.SockaddrInet4{Port: 5432, Addr: [4]byte{127, 0, 0, 1}}))
	}
	to := &syscall.SockaddrInet4{Port: 80, Addr: [4]byte{10, 0, 0, 1}}
	if got, want := dialRaw(t, syscall.AF_INET, to, from5432), "sidecar "+pod4+":80"; got != want {
		t.Errorf("from an excluded port: %q, want %q", got, want)
	}
}

// TestMS016_WithoutASidecarNothingPasses: while the sidecar does not listen, its
// pod's connections are refused and not let through.
func TestMS016_WithoutASidecarNothingPasses(t *testing.T) {
	newPod(t)
	for _, host := range []string{pod4, pod6} {
		listen(t, "program", net.JoinHostPort(host, "80"))
	}
	programmed(t, Config{})
	for _, host := range []string{pod4, pod6} {
		if got := dial(t, 1000, net.JoinHostPort(host, "80")); !strings.Contains(got, syscall.ECONNREFUSED.Error()) {
			t.Errorf("to %s: %q", host, got)
		}
	}
}

// TestMS013_WhatComesIn: nothing of what others send to the pod, or what goes over
// its loopback, is redirected; there is no inbound port to reach an address by.
func TestMS013_WhatComesIn(t *testing.T) {
	for _, table := range Tables(Config{}) {
		if text := table.String(); strings.Count(text, "hook") != 1 || !strings.Contains(text, "hook output") {
			t.Errorf("more than what the pod sends is looked at:\n%s", text)
		}
	}
	redirectedPod(t, Config{})
	listen(t, "program", "127.0.0.1:80")
	if got, want := dial(t, 1000, "127.0.0.1:80"), "program 127.0.0.1:80"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
