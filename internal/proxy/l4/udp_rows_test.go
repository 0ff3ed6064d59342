package l4

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestUDP is WG-022 and WG-023.
func TestUDP(t *testing.T) {
	for name, size := range map[string]int{"WG-022/Empty": 0, "WG-022/OneByte": 1, "WG-022/Fragmented": 9000, "WG-022/Largest": maxDatagram} {
		t.Run(name, func(t *testing.T) { datagramOf(t, size) })
	}
	t.Run("WG-022/StrangersAreNotHeard", strangersAreNotHeard)
	t.Run("WG-022/OneAnswerForOne", oneAnswerForOne)
	t.Run("WG-022/NewClientsTakeTheRoomOfSilentOnes", newClientsTakeRoom)
	t.Run("WG-022/BusySessionsKeepTheirRoom", busySessionsKeepTheirRoom)
	t.Run("WG-023/AnswersComeFromWhereClientsSent", answersComeFromWhereClientsSent)
}

// datagramOf has a datagram of that size go to the backend and back.
func datagramOf(t *testing.T, size int) {
	backend := udp(t)
	r := startRelay(t, func() (net.Addr, error) { return backend.LocalAddr(), nil }, nil)
	client := dialUDP(t, r.Conn.LocalAddr())
	if _, err := client.Write([]byte(strings.Repeat("x", size))); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, maxDatagram+1)
	_ = backend.SetReadDeadline(time.Now().Add(timeout))
	n, from, err := backend.ReadFromUDPAddrPort(b)
	if err != nil || n != size {
		t.Fatalf("the backend got %d bytes, %v", n, err)
	}
	if _, err := backend.WriteToUDPAddrPort(b[:n], from); err != nil {
		t.Fatal(err)
	}
	_ = client.SetReadDeadline(time.Now().Add(timeout))
	if n, err := client.Read(b); err != nil || n != size {
		t.Errorf("the client got %d bytes, %v", n, err)
	}
}

// What others than its backend send to the port of a session goes nowhere.
func strangersAreNotHeard(t *testing.T) {
	backend := echoUDP(t)
	r := startRelay(t, func() (net.Addr, error) { return backend.LocalAddr(), nil }, nil)
	client := dialUDP(t, r.Conn.LocalAddr())
	port, _, _ := strings.Cut(ask(t, client, "a"), " ")
	stranger := udp(t)
	if _, err := stranger.WriteToUDPAddrPort([]byte("forged"), netip.MustParseAddrPort(port)); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, client, "b"); got != port+" b" {
		t.Errorf("got %q", got)
	}
}

// The relay makes no datagram of its own: a backend that answers n times sends n.
func oneAnswerForOne(t *testing.T) {
	backend := udp(t)
	r := startRelay(t, func() (net.Addr, error) { return backend.LocalAddr(), nil }, nil)
	client := dialUDP(t, r.Conn.LocalAddr())
	if _, err := client.Write([]byte("q")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	_ = backend.SetReadDeadline(time.Now().Add(timeout))
	_, from, err := backend.ReadFromUDPAddrPort(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"1", "2"} {
		_, _ = backend.WriteToUDPAddrPort([]byte(text), from)
		_ = client.SetReadDeadline(time.Now().Add(timeout))
		if n, err := client.Read(b); err != nil || string(b[:n]) != text {
			t.Errorf("got %q, %v", b[:n], err)
		}
	}
	if r.begun.Load() != 1 || r.dropped.Load() != 0 {
		t.Errorf("%d sessions, %d dropped", r.begun.Load(), r.dropped.Load())
	}
}

// quietly has every session of r been silent for long.
func quietly(r *relay) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.sessions {
		s.heard.Add(-int64(2 * leastSilence))
	}
}

func newClientsTakeRoom(t *testing.T) {
	backend := echoUDP(t)
	r := startRelay(t, func() (net.Addr, error) { return backend.LocalAddr(), nil }, func(r *Relay) { r.MaxSessions = 3 })
	for range 10 {
		ask(t, dialUDP(t, r.Conn.LocalAddr()), "a")
		quietly(r)
	}
	r.mu.Lock()
	n := len(r.sessions)
	r.mu.Unlock()
	if n != 3 || r.ended.Load() != 7 || r.failed.Load() != 0 || r.dropped.Load() != 0 {
		t.Errorf("%d sessions, %d ended, %d failed, %d datagrams dropped", n, r.ended.Load(), r.failed.Load(), r.dropped.Load())
	}
}

func busySessionsKeepTheirRoom(t *testing.T) {
	backend := echoUDP(t)
	r := startRelay(t, func() (net.Addr, error) { return backend.LocalAddr(), nil }, func(r *Relay) { r.MaxSessions = 2 })
	busy, silent := dialUDP(t, r.Conn.LocalAddr()), dialUDP(t, r.Conn.LocalAddr())
	first := ask(t, busy, "a")
	ask(t, silent, "a")
	quietly(r)
	ask(t, busy, "a")
	ask(t, dialUDP(t, r.Conn.LocalAddr()), "a") // in the place of the silent one
	if _, err := dialUDP(t, r.Conn.LocalAddr()).Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the datagram is dropped", func() bool { return r.dropped.Load() == 1 })
	if again := ask(t, busy, "a"); again != first {
		t.Errorf("a busy session was given up: %q, then %q", first, again)
	}
}

// On a machine with several addresses an answer must have the one that the
// client sent to: clients drop any other.
func answersComeFromWhereClientsSent(t *testing.T) {
	for name, bind := range map[string]string{"IPv4": "0.0.0.0:0", "DualStack": "[::]:0"} {
		t.Run(name, func(t *testing.T) {
			conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", bind)
			if err != nil {
				t.Skip(err)
			}
			backend := echoUDP(t)
			r := startRelay(t, func() (net.Addr, error) { return backend.LocalAddr(), nil }, func(r *Relay) { r.Conn = conn.(*net.UDPConn) })
			hosts := []string{"127.0.0.1", "127.0.0.2"}
			if name == "DualStack" {
				hosts = append(hosts, "::1")
			}
			_, port, _ := net.SplitHostPort(r.Conn.LocalAddr().String())
			for _, host := range hosts {
				to, err := net.ResolveUDPAddr("udp", net.JoinHostPort(host, port))
				if err != nil {
					t.Fatal(err)
				}
				client := dialUDP(t, to) // is connected: it hears no other address
				for range 2 {
					if got := ask(t, client, host); !strings.HasSuffix(got, " "+host) {
						t.Errorf("got %q", got)
					}
				}
			}
		})
	}
}
