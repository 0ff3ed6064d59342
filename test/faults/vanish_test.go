package faults

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/ir"
)

// TestFT019_ClientVanishes: a client whose machine is gone without a word is let go
// when its time is over, whatever it was about, and so is the backend that was
// working for it.
func TestFT019_ClientVanishes(t *testing.T) {
	if !isolated(t, network) {
		return
	}
	begun, left := make(chan string, 8), make(chan string, 8)
	b := serve(t, "", func(w http.ResponseWriter, r *http.Request) {
		begun <- r.URL.Path
		var err error
		for b := make([]byte, 64<<10); err == nil && r.Method == "GET"; {
			_, err = w.Write(b)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		left <- r.URL.Path
	})
	p := start(t, settings{change: func(c *bootstrap.Config) {
		c.Timeouts.Header, c.Timeouts.Idle = bootstrap.Duration(time.Second), bootstrap.Duration(time.Second)
	}}, append(route("r", "/b", ir.Rule{}, ir.ProtocolHTTP, b.address()), direct("/direct", "one"))...)
	const vanishing = "10.1.0.9"
	working := []string{"/b/download", "/b/upload", "/b/stream"} // of the backend
	clients := map[string]string{
		"Connected":       "",
		"InTheHead":       "GET / HT",
		"BetweenRequests": "GET /direct HTTP/1.1\r\nHost: a\r\n\r\n",
		"WhileItReads":    "GET /b/download HTTP/1.1\r\nHost: a\r\n\r\n",
		"InTheBody":       "POST /b/upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf",
		"HTTP2":           http2.ClientPreface + frames(t, ""),
		"HTTP2InTheBody":  http2.ClientPreface + frames(t, "/b/stream"),
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(vanishing)}}
	for name, said := range clients {
		c, err := dialer.DialContext(t.Context(), "tcp", net.JoinHostPort("10.1.0.1", strconv.Itoa(int(p.port))))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, said)
		if name == "BetweenRequests" || name == "WhileItReads" {
			if _, err := c.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
		}
	}
	await(t, begun, working...)
	drop(t, "--source", vanishing)
	drop(t, "--destination", vanishing)
	await(t, left, working...)
	eventually(t, "the connections to be closed", func() bool {
		_, metrics := ask(t, new(http.Transport), "GET", "http://"+p.metrics+"/metrics", "")
		return metric(t, metrics, fmt.Sprintf("citoroute_client_connections{port=%q}", strconv.Itoa(int(p.port)))) == 0
	})
	if status, body := ask(t, new(http.Transport), "GET", p.url("/direct"), ""); status != http.StatusOK || body != "one" {
		t.Errorf("another client got %d %q", status, body)
	}
}

// await takes what comes of a channel until it was all of want.
func await(t *testing.T, c <-chan string, want ...string) {
	t.Helper()
	missing := map[string]bool{}
	for _, w := range want {
		missing[w] = true
	}
	until := time.After(timeout)
	for len(missing) > 0 {
		select {
		case got := <-c:
			delete(missing, got)
		case <-until:
			t.Fatalf("waited in vain for %v", missing)
		}
	}
}

// frames begins an HTTP/2 connection, and a request whose body goes on if there is
// a path.
func frames(t *testing.T, path string) string {
	t.Helper()
	var all, block bytes.Buffer
	f := http2.NewFramer(&all, nil)
	fields := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "a"}, {":path", path}} {
		_ = fields.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	_ = f.WriteSettings()
	if path != "" {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
		_ = f.WriteData(1, false, []byte("half"))
	}
	return all.String()
}

// TestFT019_ClientThatWaits: the kernel looks whether a client is still there that
// waits and has nothing to say.
func TestFT019_ClientThatWaits(t *testing.T) {
	begun := make(chan string, 1)
	b := serve(t, "", func(_ http.ResponseWriter, r *http.Request) {
		begun <- ""
		<-r.Context().Done()
	})
	p := start(t, settings{}, route("r", "/", ir.Rule{}, ir.ProtocolHTTP, b.address())...)
	c := dial(t, p.address())
	say(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	await(t, begun, "")
	_, client, _ := net.SplitHostPort(c.LocalAddr().String())
	_, backend, _ := net.SplitHostPort(b.address())
	port := strconv.Itoa(int(p.port))
	for name, find := range map[string][2]string{"client": {port, client}, "backend": {"", backend}} {
		const most = time.Minute
		eventually(t, "the "+name+"'s connection to be watched", func() bool {
			next, ok := keepAlive(t, find[0], find[1])
			return ok && next < most
		})
	}
}

// keepAlive says how soon the kernel will look after a connection from a local port,
// "" for any, to a remote one; ok is false where it does not.
func keepAlive(t *testing.T, from, to string) (next time.Duration, ok bool) {
	t.Helper()
	const established, watched, tick = "01", "02:", 10 * time.Millisecond
	port := func(address string) string {
		n, _ := strconv.ParseUint(address[strings.LastIndexByte(address, ':')+1:], 16, 16)
		return strconv.FormatUint(n, 10)
	}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Skipf("the kernel does not tell its connections: %v", err)
		}
		for line := range strings.Lines(string(content)) {
			f := strings.Fields(line)
			if f[3] != established || from != "" && port(f[1]) != from || port(f[2]) != to {
				continue
			}
			if ticks, found := strings.CutPrefix(f[5], watched); found {
				n, err := strconv.ParseInt(ticks, 16, 64)
				return time.Duration(n) * tick, err == nil
			}
		}
	}
	return 0, false
}
