package faults

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/citoroute/citoroute/internal/ir"
)

// link is a bad line to this machine itself: what is sent to its far end comes back
// to the near one, as if the far end had sent it.
type link struct {
	near, far string // addresses
	faults    linkFaults
	device    *os.File

	mutex sync.Mutex
	free  time.Time // when the line will have sent all that it has
}

// linkFaults say what a link does to packets.
type linkFaults struct {
	lost, doubled, late float64       // shares of them
	delay               time.Duration // of those that are late, at most
	rate                int           // bytes a second; 0: any
	largest             int           // bytes of a packet, of which larger ones vanish; 0: any
}

// newLink makes the link of this number, up to 255.
func newLink(t *testing.T, number int, faults linkFaults) *link {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("a line of the test's own needs /dev/net/tun: %v", err)
	}
	name := fmt.Sprintf("line%d", number)
	request, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		t.Skipf("a line of the test's own: %v", err)
	}
	l := &link{near: fmt.Sprintf("10.3.%d.1", number), far: fmt.Sprintf("10.3.%d.2", number), faults: faults, device: os.NewFile(uintptr(fd), name)}
	for _, words := range [][]string{{"address", "add", l.near + "/24", "dev", name}, {"link", "set", name, "up"}} {
		if out, err := exec.CommandContext(t.Context(), "ip", words...).CombinedOutput(); err != nil {
			t.Fatalf("ip %q: %v: %s", words, err, out)
		}
	}
	t.Cleanup(func() { _ = l.device.Close() })
	go l.carry()
	return l
}

func (l *link) carry() {
	b := make([]byte, 65536)
	for {
		n, err := l.device.Read(b)
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case err != nil || n < 20 || b[0]>>4 != 4: // no IPv4
			continue
		}
		packet := bytes.Clone(b[:n])
		copy(packet[12:16], b[16:20]) // which leaves the checksums as they are
		copy(packet[16:20], b[12:16])
		f := l.faults
		if f.largest > 0 && n > f.largest || rand.Float64() < f.lost {
			continue
		}
		l.deliver(packet)
		if rand.Float64() < f.doubled {
			l.deliver(packet)
		}
	}
}

func (l *link) deliver(packet []byte) {
	var wait time.Duration
	if f := l.faults; f.rate > 0 {
		l.mutex.Lock()
		now := time.Now()
		if l.free.Before(now) {
			l.free = now
		}
		l.free = l.free.Add(time.Duration(len(packet)) * time.Second / time.Duration(f.rate))
		wait = l.free.Sub(now)
		l.mutex.Unlock()
	} else if rand.Float64() < f.late {
		wait = rand.N(f.delay)
	}
	if wait == 0 {
		_, _ = l.device.Write(packet)
		return
	}
	time.AfterFunc(wait, func() { _, _ = l.device.Write(packet) })
}

// TestFT026_BadLines: over lines that lose, double, reorder and delay packets, or
// have no room for large ones, all takes longer, and arrives as it was.
func TestFT026_BadLines(t *testing.T) {
	if !isolated(t) {
		return
	}
	t.Run("BlackHole", blackHole)
	// The kernel finds out how large packets may be, and does so soon.
	for name, value := range map[string]string{"tcp_mtu_probing": "1", "tcp_retries1": "1", "tcp_probe_threshold": "1000"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/"+name, []byte(value), 0o600); err != nil {
			t.Skip(err)
		}
	}
	number := 1
	for name, row := range map[string]struct {
		faults linkFaults
		size   int
	}{
		"Lossy":      {linkFaults{lost: 0.05}, 200 << 10},
		"Doubling":   {linkFaults{doubled: 0.2}, 200 << 10},
		"Reordering": {linkFaults{late: 0.3, delay: 10 * time.Millisecond}, 200 << 10},
		"Slow":       {linkFaults{rate: 125_000}, 10 << 10},
		"Narrow":     {linkFaults{largest: 1200}, 50 << 10},
		"AllOfThem":  {linkFaults{lost: 0.02, doubled: 0.05, late: 0.1, delay: 10 * time.Millisecond, largest: 1200}, 50 << 10},
	} {
		for version, protocol := range map[string]ir.Protocol{"HTTP1": ir.ProtocolHTTP, "HTTP2": ir.ProtocolH2C} {
			number++
			l := newLink(t, number, row.faults)
			t.Run(name+version, func(t *testing.T) {
				t.Parallel()
				l.exchange(t, protocol, row.size)
			})
		}
	}
}

// exchange has clients at the link's far end send bodies of a size through a proxy to
// a backend that is there, too, and get them back.
func (l *link) exchange(t *testing.T, protocol ir.Protocol, size int) {
	t.Helper()
	b := serve(t, net.JoinHostPort(l.near, "0"), echo)
	_, port, _ := net.SplitHostPort(b.address())
	p := start(t, settings{}, route("r", "/", ir.Rule{}, protocol, net.JoinHostPort(l.far, port))...)
	client := new(http.Transport)
	client.Protocols = new(http.Protocols)
	client.Protocols.SetHTTP1(protocol == ir.ProtocolHTTP)
	client.Protocols.SetUnencryptedHTTP2(protocol == ir.ProtocolH2C)
	defer client.CloseIdleConnections()
	url := "http://" + net.JoinHostPort(l.far, strconv.Itoa(int(p.port)))
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range 2 {
				sent := make([]byte, size)
				for i := range sent {
					sent[i] = byte(rand.Uint32())
				}
				status, got := post(t, client, url, sent)
				if status != http.StatusOK || sha256.Sum256(got) != sha256.Sum256(sent) {
					t.Errorf("got %d and %d bytes, not the %d that were sent: %.100q", status, len(got), len(sent), got)
				}
			}
		})
	}
	all.Wait()
}

// echo answers with the body of the request.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = w.Write(body)
}

// post returns status and body of the answer to a body; status 0 is an error.
func post(t *testing.T, client http.RoundTripper, url string, body []byte) (status int, answer []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url, bytes.NewReader(body))
	if err != nil {
		return 0, []byte(err.Error())
	}
	resp, err := client.RoundTrip(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return resp.StatusCode, answer
}

// blackHole is a line on which large packets vanish and nobody finds out: what needs
// them has its time, and all else goes on.
func blackHole(t *testing.T) {
	l := newLink(t, 1, linkFaults{largest: 1200})
	b := serve(t, net.JoinHostPort(l.near, "0"), echo)
	_, port, _ := net.SplitHostPort(b.address())
	const limit = 500 * time.Millisecond
	p := start(t, settings{}, route("r", "/", ir.Rule{Timeouts: ir.Timeouts{Backend: limit}}, ir.ProtocolHTTP, net.JoinHostPort(l.far, port))...)
	for range 2 {
		began := time.Now()
		status, body := post(t, new(http.Transport), p.url("/"), make([]byte, 100<<10))
		if took := time.Since(began); status != http.StatusGatewayTimeout || took < limit || took > limit+5*time.Second {
			t.Errorf("a large body: got %d %q after %s", status, body, took)
		}
		if status, body := post(t, new(http.Transport), p.url("/"), []byte("small")); status != http.StatusOK || string(body) != "small" {
			t.Errorf("a small body: got %d %q", status, body)
		}
	}
}
