package h1

import (
	"crypto/tls"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// firstThen is a script for a backend whose first connection behaves in a way
// of its own; the others answer as they should.
func firstThen(first func(c *recorded)) func(c *recorded) {
	var n atomic.Int32
	return func(c *recorded) {
		if n.Add(1) == 1 {
			first(c)
			return
		}
		answering(okResponse)(c)
	}
}

// secondOnFresh sends two requests and wants the answer to the second one to be
// that of another connection to the backend.
func secondOnFresh(t *testing.T, request, answer string, first func(c *recorded), settled func(b *bed)) {
	t.Helper()
	b := newBed(t, firstThen(first), nil)
	c := b.dial(t)
	send(c, request, 0)
	expect(t, c, answer)
	if settled != nil {
		settled(b)
	}
	send(c, "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n", 0)
	expect(t, c, okResponse)
	conns := b.backend.all()
	if len(conns) != 2 {
		t.Fatalf("%d connections to the backend, want 2", len(conns))
	}
	if got, want := conns[1].bytes(), "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"; got != want {
		t.Errorf("the second connection got %q, want %q", got, want)
	}
	conns[0].awaitEnd()
	if strings.Contains(conns[0].bytes(), "/2") {
		t.Errorf("the first connection got %q", conns[0].bytes())
	}
}

const evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"

func headWithBody(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
	secondOnFresh(t, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", head, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, head+"hello", 0)
		}
	}, nil)
}

func notModifiedWithBody(t *testing.T) {
	const head = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
	secondOnFresh(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", head, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, head+"hello", 0)
		}
	}, nil)
}

func bytesBehindResponse(t *testing.T) {
	secondOnFresh(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", okResponse, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, okResponse+evil, 0)
		}
	}, nil)
}

func bytesLongBehindResponse(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
	secondOnFresh(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", chunked, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, chunked+"\r\n"+evil, 0)
		}
	}, nil)
}

func responseOnIdleConnection(t *testing.T) {
	again := make(chan struct{})
	done := make(chan struct{})
	secondOnFresh(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", okResponse, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, okResponse, 0)
		}
		<-again
		send(c, evil, 0)
		close(done)
	}, func(*bed) {
		close(again)
		<-done
	})
}

func closedWhileIdle(t *testing.T) {
	closed := make(chan struct{})
	b := newBed(t, firstThen(func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, okResponse, 0)
		}
		_ = c.Close()
		close(closed)
	}), nil)
	c := b.dial(t)
	send(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0)
	expect(t, c, okResponse)
	<-closed
	// Not idempotent, and yet safe: nothing is written to the dead connection.
	send(c, "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", 0)
	expect(t, c, okResponse)
	if got, want := b.backend.all()[1].bytes(), "POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"; got != want {
		t.Errorf("the second connection got %q, want %q", got, want)
	}
}

// closingOnSecond answers one request and closes when it gets the next.
func closingOnSecond(c *recorded) {
	if c.awaitRequests(1) {
		send(c, okResponse, 0)
	}
	if c.awaitRequests(2) {
		reset(c)
	}
}

func closedOnRequest(t *testing.T) {
	b := newBed(t, firstThen(closingOnSecond), nil)
	got := b.roundTrip(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\nPUT /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", 0, true)
	if want := okResponse + okResponse; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := b.backend.all()[1].bytes(), "PUT /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"; got != want {
		t.Errorf("the second connection got %q, want %q", got, want)
	}
}

// Bytes of a response forbid a second try, even less than a line of it.
func brokenOffOnReused(t *testing.T) {
	b := newBed(t, firstThen(func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, okResponse, 0)
		}
		if c.awaitRequests(2) {
			send(c, "HTT", 0)
			_ = c.Close()
		}
	}), nil)
	got := b.roundTrip(t, simpleGet+simpleGet, 0, true)
	if want := okResponse + "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if f := b.forward.failed()[0]; f.Stage != exchange.StageHead || len(b.backend.all()) != 1 {
		t.Errorf("failure %+v over %d connections, want one in the head over one", f, len(b.backend.all()))
	}
}

func closedOnPost(t *testing.T) {
	b := newBed(t, firstThen(closingOnSecond), nil)
	got := b.roundTrip(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", 0, true)
	if want := okResponse + "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := len(b.backend.all()); n != 1 {
		t.Errorf("%d connections to the backend: the request was sent again", n)
	}
	if f := b.forward.failed()[0]; f.Stage != exchange.StageAwait || !f.Reused {
		t.Errorf("failure %+v, want one of a reused connection without response", f)
	}
}

func closedFresh(t *testing.T) {
	b := newBed(t, func(c *recorded) {
		if c.awaitRequests(1) {
			reset(c)
		}
	}, nil)
	got := b.roundTrip(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0, true)
	if want := "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := len(b.backend.all()); n != 1 {
		t.Errorf("%d connections to the backend, want 1", n)
	}
}

func cleartextBehindTLS(t *testing.T) {
	b := newBed(t, func(c *recorded) { send(c, okResponse, 0) }, func(b *bed, _ *Options) {
		b.forward.target.TLS = &tls.Config{ServerName: "backend"}
	})
	got := b.roundTrip(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0, true)
	if want := "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := b.backend.bytes(); strings.Contains(got, "GET") {
		t.Errorf("the backend got %q", got)
	}
}

func injectedResponse(t *testing.T) {
	b := newBed(t, answering(okResponse), func(b *bed, _ *Options) {
		b.handler = handlerFunc(func(ex *exchange.Exchange) {
			ex.Response.Status = 302
			ex.Response.Header.Add("Location", "/x\r\nSet-Cookie: a")
		})
	})
	if got := b.roundTrip(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0, false); got != refusal(500) {
		t.Errorf("got %q, want %q", got, refusal(500))
	}
}

func injectedRequest(t *testing.T) {
	for name, change := range map[string]func(r *exchange.Request){
		"Value":     func(r *exchange.Request) { r.Header.Add("X", "a\r\nY: b") },
		"LineFeed":  func(r *exchange.Request) { r.Header.Add("X", "a\nY: b") },
		"Nul":       func(r *exchange.Request) { r.Header.Add("X", "a\x00") },
		"Path":      func(r *exchange.Request) { r.Path = "/x HTTP/1.1\r\nY: b" },
		"Space":     func(r *exchange.Request) { r.Path = "/x y" },
		"NoSlash":   func(r *exchange.Request) { r.Path = "x" },
		"Authority": func(r *exchange.Request) { r.Authority = "h\r\nY: b" },
		"Method":    func(r *exchange.Request) { r.Method = "GET /x HTTP/1.1\r\n" },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, answering(okResponse), func(b *bed, _ *Options) {
				b.handler = handlerFunc(func(ex *exchange.Exchange) {
					change(&ex.Request)
					b.forward.Serve(ex)
				})
			})
			got := b.roundTrip(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0, true)
			if want := "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			if got := b.backend.bytes(); got != "" {
				t.Errorf("the backend got %q", got)
			}
		})
	}
}

func slowResponseHead(t *testing.T) {
	// The head is never complete: only the deadline can end this.
	b := newBed(t, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, "HTTP/1.1 200 OK\r\nX:", 1)
		}
	}, func(b *bed, _ *Options) { b.forward.deadline = 100 * time.Millisecond })
	got := b.roundTrip(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0, true)
	if want := "HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 0\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	b.backend.first(t).awaitEnd()
}

func resetIsNotTheEnd(t *testing.T) {
	reading := make(chan struct{})
	b := newBed(t, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, "HTTP/1.0 200 OK\r\n\r\nhello", 0)
			<-reading
			reset(c)
		}
	}, nil)
	c := b.dial(t)
	send(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0)
	expect(t, c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	close(reading)
	expectEnd(t, c)
	eventually(t, "the exchange ends", func() bool { return len(b.forward.ended()) == 1 })
	if end := b.forward.ended()[0]; end.Err == nil || end.Sent != 5 {
		t.Errorf("the exchange ended with %+v, want an error after 5 bytes", end)
	}
}
