package faults

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
)

// TestFT001_BackendKilled: what had not been sent goes elsewhere, what had been
// may fail once for each connection, and soon nothing fails any more.
func TestFT001_BackendKilled(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		t.Run(method, func(t *testing.T) {
			victim, b, c := serve(t, "", nil), serve(t, "", nil), serve(t, "", nil)
			p := start(t, settings{}, route("r", "/", ir.Rule{}, ir.ProtocolHTTP, victim.address(), b.address(), c.address())...)
			l := put(t, method, p.url("/"))
			l.more(300)
			victim.kill()
			l.more(100)
			settled := l.answered()
			l.more(1000)
			all := l.stop()
			for _, a := range failed(all[settled:]) {
				t.Errorf("long after: %+v", a)
			}
			lost := failed(all)
			for _, a := range lost {
				if a.status != http.StatusBadGateway {
					t.Errorf("%+v", a)
				}
			}
			if len(lost) > workers {
				t.Errorf("%d requests failed, of %d that were in flight", len(lost), workers)
			}
			if method == "POST" {
				onceOnly(t, victim, b, c)
			}
			t.Logf("%d of %d requests failed", len(lost), len(all))
		})
	}
}

// TestFT018_Reset: a backend that resets its connection is a 502 until its answer
// has begun, and then an answer that breaks off; behind a whole answer it is
// nothing.
func TestFT018_Reset(t *testing.T) {
	const whole = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole"
	for name, test := range map[string]struct {
		say    string
		status int // 0: it breaks off
		body   string
	}{
		"AfterTheRequest":         {"", http.StatusBadGateway, ""},
		"InTheHead":               {"HTTP/1.1 200 OK\r\nContent-", http.StatusBadGateway, ""},
		"InABodyOfKnownLength":    {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf", 0, ""},
		"InAChunk":                {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf", 0, ""},
		"BeforeTheLastChunk":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", 0, ""},
		"InABodyOfUnknownEnd":     {"HTTP/1.1 200 OK\r\n\r\nhalf", 0, ""},
		"BehindAWholeAnswer":      {whole, http.StatusOK, "whole"},
		"BehindTheLastChunk":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n0\r\n\r\n", http.StatusOK, "whole"},
		"AfterAnInformationalOne": {"HTTP/1.1 103 Early Hints\r\n\r\n", http.StatusBadGateway, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := peer(t, func(c *net.TCPConn) {
				say(c, test.say)
				<-time.After(50 * time.Millisecond) // else the reset takes with it what was said
				reset(c)
			})
			p := start(t, settings{}, route("r", "/", ir.Rule{}, ir.ProtocolHTTP, address)...)
			status, body := ask(t, new(http.Transport), "POST", p.url("/"), "1")
			if status != test.status || test.body != "" && body != test.body {
				t.Errorf("got %d %q, want %d %q", status, body, test.status, test.body)
			}
		})
	}
}

// TestFT020_HalfClosedClient: a client that has closed its half while it waits
// is taken for one that has left, as it mostly has, and is told so.
func TestFT020_HalfClosedClient(t *testing.T) {
	begun, left := make(chan struct{}, 1), make(chan struct{})
	b := serve(t, "", func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
		close(left)
	})
	p := start(t, settings{}, route("r", "/", ir.Rule{}, ir.ProtocolHTTP, b.address())...)
	c := dial(t, p.address())
	say(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	<-begun
	_ = c.CloseWrite()
	<-left
	answer, err := io.ReadAll(c)
	if !strings.HasPrefix(string(answer), "HTTP/1.1 499 ") || err != nil {
		t.Errorf("got %q, %v", answer, err)
	}
}

// TestFT021_SilentBackend: who does not answer costs its own requests their time,
// and nobody else's.
func TestFT021_SilentBackend(t *testing.T) {
	left := make(chan struct{}, workers)
	silent := peer(t, func(c *net.TCPConn) {
		_, _ = io.Copy(io.Discard, c)
		left <- struct{}{}
	})
	quick := serve(t, "", nil)
	const limit = 300 * time.Millisecond
	p := start(t, settings{}, append(
		route("silent", "/silent", ir.Rule{Timeouts: ir.Timeouts{Backend: limit}}, ir.ProtocolHTTP, silent),
		route("quick", "/quick", ir.Rule{}, ir.ProtocolHTTP, quick.address())...)...)
	l := put(t, "GET", p.url("/quick"))
	began := time.Now()
	status, body := ask(t, new(http.Transport), "GET", p.url("/silent"), "1")
	if took := time.Since(began); status != http.StatusGatewayTimeout || took < limit || took > limit+time.Second {
		t.Errorf("got %d %q after %s", status, body, took)
	}
	<-left
	l.more(50)
	for _, a := range failed(l.stop()) {
		t.Errorf("%+v", a)
	}
}

// TestFT022_BackendClosesWhenItLikes: a backend that ends its connections without
// a word, also just when the next request is on its way, costs no GET.
func TestFT022_BackendClosesWhenItLikes(t *testing.T) {
	b := serve(t, "", nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		tick := time.NewTicker(3 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				closeIdle(b)
			case <-stop:
				return
			}
		}
	}()
	p := start(t, settings{}, route("r", "/", ir.Rule{}, ir.ProtocolHTTP, b.address())...)
	l := put(t, "GET", p.url("/"))
	l.more(3000)
	all := l.stop()
	for _, a := range failed(all) {
		t.Errorf("%+v", a)
	}
}

// TestFT023_AllDownAndBack: while nobody is there the answer is quick and clear,
// and the first one who comes is found at once.
func TestFT023_AllDownAndBack(t *testing.T) {
	b := serve(t, "", nil)
	p := start(t, settings{}, route("r", "/", ir.Rule{}, ir.ProtocolHTTP, b.address())...)
	l := put(t, "POST", p.url("/"))
	l.more(50)
	b.kill()
	l.more(10 * workers)
	began := time.Now()
	status, body := ask(t, new(http.Transport), "POST", p.url("/"), "down")
	if took := time.Since(began); status != http.StatusServiceUnavailable && status != http.StatusBadGateway || took > time.Second {
		t.Errorf("while it was down: %d %q after %s", status, body, took)
	}
	again := serve(t, b.address(), nil)
	began = time.Now()
	eventually(t, "an answer", func() bool {
		status, _ := ask(t, new(http.Transport), "POST", p.url("/"), "up")
		return status == http.StatusOK
	})
	if took := time.Since(began); took > time.Second {
		t.Errorf("it was found after %s", took)
	}
	l.more(200)
	_ = l.stop()
	onceOnly(t, b, again)
}

// TestFT024_NoRetryStorm: where all fails, trying again does not multiply it.
func TestFT024_NoRetryStorm(t *testing.T) {
	b := serve(t, "", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	rule := ir.Rule{Retry: &ir.Retry{Attempts: 3, Codes: []int{503}, Backoff: time.Millisecond}}
	p := start(t, settings{}, route("r", "/", rule, ir.ProtocolHTTP, b.address())...)
	l := put(t, "GET", p.url("/"))
	l.more(2000)
	all := l.stop()
	reached := 0
	for _, n := range b.seen() {
		reached += n
	}
	const saved = 250 // what may be spent beyond the fifth
	if most := len(all)*120/100 + saved; reached > most {
		t.Errorf("%d requests became %d", len(all), reached)
	}
	if reached <= len(all) {
		t.Error("nothing was tried again")
	}
}

// TestFT035_GoAway: a backend that ends its HTTP/2 connections in order loses no
// request.
func TestFT035_GoAway(t *testing.T) {
	var asked atomic.Int64
	b := serve(t, "", func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1)%20 == 0 {
			w.Header().Set("Connection", "close") // GOAWAY
		}
		_, _ = io.WriteString(w, r.Header.Get("X-Id"))
	})
	p := start(t, settings{}, route("r", "/", ir.Rule{}, ir.ProtocolH2C, b.address())...)
	l := put(t, "POST", p.url("/"))
	l.more(3000)
	all := l.stop()
	for _, a := range failed(all) {
		t.Errorf("%+v", a)
	}
	onceOnly(t, b)
}

// TestFT037_RouteGoesDuringAnAnswer: an answer that has begun comes to its end,
// whatever becomes of its route and however slow its client is.
func TestFT037_RouteGoesDuringAnAnswer(t *testing.T) {
	const size = 32 << 20
	write := func(w io.Writer) {
		for i := range size / 1024 {
			_, _ = fmt.Fprintf(w, "%1024d", i)
		}
	}
	b := serve(t, "", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		write(w)
	})
	p := start(t, settings{}, route("r", "/", ir.Rule{}, ir.ProtocolHTTP, b.address())...)
	c := dial(t, p.address())
	say(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	first := make([]byte, 1024)
	if _, err := io.ReadFull(c, first); err != nil {
		t.Fatal(err)
	}
	p.configure()
	eventually(t, "the route to be gone", func() bool {
		status, _ := ask(t, new(http.Transport), "GET", p.url("/"), "after")
		return status == http.StatusNotFound
	})
	rest, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(first)+string(rest), "\r\n\r\n")
	var want strings.Builder
	write(&want)
	if body != want.String() {
		t.Errorf("got %d bytes, not the %d that were sent", len(body), size)
	}
}
