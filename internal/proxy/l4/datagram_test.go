package l4

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"
)

// udp is a socket on loopback.
func udp(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// dialUDP is a socket that is connected to another.
func dialUDP(t *testing.T, to net.Addr) *net.UDPConn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "udp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.UDPConn)
}

// echoUDP answers each datagram with its sender's address and its text.
func echoUDP(t *testing.T) *net.UDPConn {
	t.Helper()
	conn := udp(t)
	go func() {
		b := make([]byte, maxDatagram)
		for {
			n, from, err := conn.ReadFromUDP(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDP(fmt.Appendf(nil, "%v %s", from, b[:n]), from)
		}
	}()
	return conn
}

// ask sends a datagram and returns the answer.
func ask(t *testing.T, conn *net.UDPConn, text string) string {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(timeout))
	b := make([]byte, maxDatagram)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// relay serves a Relay and counts its sessions and drops.
type relay struct {
	*Relay
	begun, ended, failed, dropped atomic.Int32
	done                          chan struct{}
}

func startRelay(t *testing.T, backend func() (net.Addr, error), change func(*Relay)) *relay {
	t.Helper()
	r := &relay{done: make(chan struct{})}
	r.Relay = &Relay{Conn: udp(t), Idle: time.Minute, MaxSessions: 100, Dropped: func() { r.dropped.Add(1) }}
	r.Choose = func() (Backend, error) {
		to, err := backend()
		if err != nil {
			return Backend{}, err
		}
		r.begun.Add(1)
		return Backend{Conn: dialUDP(t, to), Done: func(failed bool) {
			r.ended.Add(1)
			if failed {
				r.failed.Add(1)
			}
		}}, nil
	}
	if change != nil {
		change(r.Relay)
	}
	go func() {
		defer close(r.done)
		r.Serve()
	}()
	t.Cleanup(func() {
		_ = r.Conn.Close()
		<-r.done
		if r.begun.Load() != r.ended.Load() {
			t.Errorf("%d sessions have begun, %d ended", r.begun.Load(), r.ended.Load())
		}
	})
	return r
}

// eventually waits for a condition that another goroutine brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(timeout); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, timeout)
		}
		<-time.After(time.Millisecond)
	}
}

func TestRelay_KeepsClientsApart(t *testing.T) {
	backend := echoUDP(t)
	r := startRelay(t, func() (net.Addr, error) { return backend.LocalAddr(), nil }, nil)
	one, two := dialUDP(t, r.Conn.LocalAddr()), dialUDP(t, r.Conn.LocalAddr())
	first := ask(t, one, "a")
	if again := ask(t, one, "a"); again != first {
		t.Errorf("a session changed its backend connection: %q, then %q", first, again)
	}
	if other := ask(t, two, "a"); other == first {
		t.Errorf("two clients share a session: %q", other)
	}
	if n := r.begun.Load(); n != 2 {
		t.Errorf("%d sessions, want 2", n)
	}
}

func TestRelay_ChoosesAgainAfterARefusal(t *testing.T) {
	gone, backend := udp(t), echoUDP(t)
	_ = gone.Close()
	first := true
	r := startRelay(t, func() (net.Addr, error) {
		if first {
			first = false
			return gone.LocalAddr(), nil
		}
		return backend.LocalAddr(), nil
	}, nil)
	client := dialUDP(t, r.Conn.LocalAddr())
	if _, err := client.Write([]byte("lost")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session ends", func() bool { return r.failed.Load() == 1 })
	if got := ask(t, client, "found"); got == "" {
		t.Error("no answer")
	}
}

func TestRelay_EndsSilentSessions(t *testing.T) {
	backend := echoUDP(t)
	r := startRelay(t, func() (net.Addr, error) { return backend.LocalAddr(), nil }, func(r *Relay) {
		r.Idle = 300 * time.Millisecond // in which the echo has to come
	})
	ask(t, dialUDP(t, r.Conn.LocalAddr()), "a")
	eventually(t, "the session ends", func() bool { return r.ended.Load() == 1 })
	if n := r.failed.Load(); n != 0 {
		t.Errorf("%d sessions failed", n)
	}
}

func TestRelay_DropsWhatHasNowhereToGo(t *testing.T) {
	backend := echoUDP(t)
	for name, test := range map[string]struct {
		err    error
		change func(*Relay)
	}{
		"NoBackend": {errors.New("none"), nil},
		"Full":      {nil, func(r *Relay) { r.MaxSessions = 0 }},
		"Draining":  {nil, func(r *Relay) { r.Drain(time.Nanosecond, time.Nanosecond) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := startRelay(t, func() (net.Addr, error) { return backend.LocalAddr(), test.err }, test.change)
			if _, err := dialUDP(t, r.Conn.LocalAddr()).Write([]byte("a")); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the datagram is dropped", func() bool { return r.dropped.Load() == 1 })
		})
	}
}

func TestRelay_DrainWaitsForSilence(t *testing.T) {
	backend := echoUDP(t)
	r := startRelay(t, func() (net.Addr, error) { return backend.LocalAddr(), nil }, nil)
	client := dialUDP(t, r.Conn.LocalAddr())
	ask(t, client, "a")
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		r.Drain(time.Second, timeout) // which the next datagram must not take
	}()
	ask(t, client, "still served")
	select {
	case <-drained:
		t.Error("the drain did not wait")
	default:
	}
	<-drained
}
