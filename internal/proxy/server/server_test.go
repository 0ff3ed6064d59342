package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
)

func TestServer_PortsComeAndGo(t *testing.T) {
	srv, _ := start(t, Options{})
	if srv.Ready() {
		t.Error("ready without a configuration")
	}
	a, b := httpListener(80), httpListener(81)
	apply(t, srv, a, answer(a, 200, "a"), b, answer(b, 200, "b"))
	if !srv.Ready() {
		t.Error("not ready with every socket bound")
	}
	c := client(t, nil, "", http1)
	before := addr(t, srv, 80)
	second := addr(t, srv, 81)
	if _, body, err := get(t, c, "http://"+second); body != "b" {
		t.Errorf("got %q, %v", body, err)
	}
	apply(t, srv, a, answer(a, 200, "a2"))
	if after := addr(t, srv, 80); after != before {
		t.Errorf("a port that stayed was bound anew: %s, then %s", before, after)
	}
	if _, body, err := get(t, c, "http://"+before); body != "a2" {
		t.Errorf("got %q, %v", body, err)
	}
	eventually(t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", second)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

func TestServer_SniffsHTTP2(t *testing.T) {
	srv, _ := start(t, Options{})
	l := httpListener(80)
	apply(t, srv, append(forward(l, ir.ProtocolHTTP, serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
	})), l)...)
	for name, c := range map[string]*http.Transport{
		"HTTP1": client(t, nil, "", http1), "H2C": client(t, nil, "", h2c),
	} {
		t.Run(name, func(t *testing.T) {
			if status, body, err := get(t, c, "http://"+addr(t, srv, 80)); status != 200 || body != "http" {
				t.Errorf("got %d %q, %v", status, body, err)
			}
		})
	}
	for name, c := range map[string]struct{ send, want string }{
		"PrefaceByteByByte":     {preface, "\x00"}, // a SETTINGS frame begins with its length
		"RequestByteByByte":     {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "H"},
		"LikeThePrefaceAtFirst": {"PRX * HTTP/2.0\r\n\r\n", "H"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, addr(t, srv, 80))
			for i := range len(c.send) {
				if _, err := conn.Write([]byte(c.send[i : i+1])); err != nil {
					t.Fatal(err)
				}
			}
			b := make([]byte, 1)
			if _, err := io.ReadFull(conn, b); err != nil || string(b) != c.want {
				t.Errorf("got %q, %v; want %q", b, err, c.want)
			}
		})
	}
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(timeout))
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
}

func TestServer_SilentClientIsClosed(t *testing.T) {
	srv, _ := start(t, Options{HeaderTimeout: 50 * time.Millisecond, IdleTimeout: 50 * time.Millisecond})
	l := httpListener(80)
	apply(t, srv, l)
	for name, send := range map[string]string{"Nothing": "", "HalfAPreface": preface[:10], "WholePreface": preface} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, addr(t, srv, 80))
			_, _ = io.WriteString(conn, send)
			if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("still open: %v", err)
			}
		})
	}
}

func TestServer_TakenPortIsReportedAndTriedAgain(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(taken.Addr().(*net.TCPAddr).Port)
	srv, _ := start(t, Options{Port: func(p uint16) uint16 {
		if p == 80 {
			return port
		}
		return 0
	}})
	a, b := httpListener(80), httpListener(81)
	err = srv.Apply(ir.Update{Upserts: []ir.Resource{a, answer(a, 200, "a"), b, answer(b, 200, "b")}, Complete: true})
	at, ok := errors.AsType[*ir.ResourceError](err)
	if !ok || at.Resource != ir.RefOf(a) {
		t.Errorf("got %v, want an error that names %s", err, a.Name)
	}
	if srv.Ready() {
		t.Error("ready with a port missing")
	}
	c := client(t, nil, "", http1)
	if _, body, err := get(t, c, "http://"+addr(t, srv, 81)); body != "b" {
		t.Errorf("the other port: got %q, %v", body, err)
	}
	_ = taken.Close()
	eventually(t, srv.Ready)
	if _, body, err := get(t, c, "http://"+addr(t, srv, 80)); body != "a" {
		t.Errorf("got %q, %v", body, err)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	deadline := time.After(timeout)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatal("it did not come to pass")
		case <-tick.C:
		}
	}
}

// slow is a backend whose answers wait for release.
func slow(t *testing.T) (address string, began, release chan struct{}) {
	t.Helper()
	began, release = make(chan struct{}, 10), make(chan struct{})
	address = serve(t, func(w http.ResponseWriter, _ *http.Request) {
		began <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "done")
	})
	return address, began, release
}

func TestServer_RemovedListenerFinishesItsRequests(t *testing.T) {
	for name, protocols := range map[string]func(*http.Protocols){"HTTP1": http1, "H2C": h2c} {
		t.Run(name, func(t *testing.T) {
			backend, began, release := slow(t)
			srv, _ := start(t, Options{})
			l := httpListener(80)
			apply(t, srv, append(forward(l, ir.ProtocolHTTP, backend), l)...)
			url := "http://" + addr(t, srv, 80)
			answered := make(chan string, 1)
			go func() {
				_, body, err := get(t, client(t, nil, "", protocols), url)
				answered <- fmt.Sprint(body, err)
			}()
			<-began
			apply(t, srv)
			if _, ok := srv.Addr(80); ok {
				t.Error("the port is still bound")
			}
			close(release)
			if got := <-answered; got != "done<nil>" {
				t.Errorf("the request in flight got %s", got)
			}
		})
	}
}

func TestServer_RunDrains(t *testing.T) {
	backend, began, release := slow(t)
	srv, stop := start(t, Options{Grace: time.Second})
	l := httpListener(80)
	apply(t, srv, append(forward(l, ir.ProtocolHTTP, backend), l)...)
	url := "http://" + addr(t, srv, 80)
	idle := dial(t, addr(t, srv, 80)) // says nothing, and must not hold it up for long
	answered := make(chan string, 2)
	ask := func() {
		_, body, err := get(t, client(t, nil, "", http1), url)
		answered <- fmt.Sprint(body, err)
	}
	go ask()
	<-began
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		stop()
	}()
	eventually(t, func() bool { return !srv.Ready() })
	go ask() // still accepted in the grace time
	<-began
	eventually(t, func() bool { _, bound := srv.Addr(80); return !bound })
	close(release)
	for range 2 {
		if got := <-answered; got != "done<nil>" {
			t.Errorf("a request got %s", got)
		}
	}
	select {
	case <-stopped:
	case <-time.After(timeout):
		t.Error("the drain does not end")
	}
	if _, err := bufio.NewReader(idle).ReadByte(); err == nil {
		t.Error("the silent connection got an answer")
	}
	if err := srv.Apply(ir.Update{}); err == nil {
		t.Error("a configuration was applied after the end")
	}
}

// loader asks for a URL over and over, on kept and on new connections.
// Whatever is not answered with 200 is an error of the test.
type loader struct {
	asked atomic.Int64
	done  chan struct{}
	wg    sync.WaitGroup
}

func load(t *testing.T, makeClient func() *http.Transport, url string) *loader {
	t.Helper()
	l := &loader{done: make(chan struct{})}
	for worker := range 4 {
		c := makeClient()
		l.wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.done:
					return
				default:
				}
				if worker%2 == 0 && i%10 == 9 {
					c.CloseIdleConnections()
				}
				status, body, err := get(t, c, url)
				l.asked.Add(1)
				if err != nil || status != http.StatusOK {
					t.Errorf("request %d of worker %d: %d %q, %v", i, worker, status, body, err)
					return
				}
			}
		})
	}
	return l
}

// pause returns when a few more requests have been answered.
func (l *loader) pause(t *testing.T) {
	t.Helper()
	enough := l.asked.Load() + 5
	eventually(t, func() bool { return l.asked.Load() >= enough || t.Failed() })
}

func (l *loader) stop() {
	close(l.done)
	l.wg.Wait()
}

// TestServer_ChangesDropNoRequest is FT-006 and FT-009 in short: constant load
// while routes, backends, certificates and other ports come and go.
func TestServer_ChangesDropNoRequest(t *testing.T) {
	ca := newAuthority(t)
	first := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "1") })
	second := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "2") })
	srv, _ := start(t, Options{})
	plain, secure := httpListener(80), httpsListener("tls", "a.test", "s")
	secureRoute := answer(secure, 200, "ok")
	config := func(i int) []ir.Resource {
		backend, protocol := first, ir.ProtocolHTTP
		if i%2 == 1 {
			backend, protocol = second, ir.ProtocolH2C
		}
		all := append(forward(plain, protocol, backend), plain, secure, secureRoute, ca.secret("s", "a.test"))
		other := httpListener(uint16(1000 + i%3))
		return append(all, other, answer(other, 200, "other"))
	}
	apply(t, srv, config(0)...)
	secureAddr := addr(t, srv, 443)
	trust := clientTLS(ca)
	loads := map[string]*loader{
		"HTTP1": load(t, func() *http.Transport { return client(t, nil, "", http1) }, "http://"+addr(t, srv, 80)),
		"H2C":   load(t, func() *http.Transport { return client(t, nil, "", h2c) }, "http://"+addr(t, srv, 80)),
		"HTTPS": load(t, func() *http.Transport { return client(t, trust.Clone(), secureAddr, both) }, "https://a.test/"),
	}
	const changes = 50
	for i := range changes {
		apply(t, srv, config(i)...)
		for _, l := range loads {
			l.pause(t)
		}
	}
	for name, l := range loads {
		l.stop()
		t.Logf("%s: %d requests over %d changes", name, l.asked.Load(), changes)
	}
}

func TestServer_PortMayChangeItsProtocol(t *testing.T) {
	backend, began, release := slow(t)
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	plain := httpListener(443)
	apply(t, srv, append(forward(plain, ir.ProtocolHTTP, backend), plain)...)
	at := addr(t, srv, 443)
	answered := make(chan string, 1)
	go func() {
		_, body, err := get(t, client(t, nil, "", http1), "http://"+at)
		answered <- fmt.Sprint(body, err)
	}()
	<-began
	secure := httpsListener("tls", "a.test", "s")
	apply(t, srv, secure, answer(secure, 200, "secure"), ca.secret("s", "a.test"))
	if now := addr(t, srv, 443); now != at {
		t.Errorf("the port was bound anew: %s, then %s", at, now)
	}
	if _, body, err := get(t, client(t, clientTLS(ca), at, both), "https://a.test/"); body != "secure" {
		t.Errorf("got %q, %v", body, err)
	}
	close(release)
	if got := <-answered; got != "done<nil>" {
		t.Errorf("the request in flight got %s", got)
	}
}
