package h1

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// scenarios are the rows that need more than bytes in and bytes out.
func scenarios() map[string]func(t *testing.T) {
	return map[string]func(t *testing.T){
		"H1-062/SmallBodyIsDrained":          drainsSmallBody,
		"H1-062/LargeBodyEndsTheConnection":  leavesLargeBody,
		"H1-062/MalformedBodyEndsIt":         leavesMalformedBody,
		"H1-063/ResponseDuringUpload":        earlyResponse,
		"H1-063/ResponseStreamsDuringUpload": fullDuplex,
		"H1-064/ClientClosesMidBody":         clientClosesMidBody,
		"H1-072/OneByteChunks":               oneByteChunks,
		"H1-073/StallBeforeTheEnd":           stalledLastChunk,
		"H1-077/ChunkedTo10":                 chunkedTo10,
		"H1-077/ChunkedToOneThatWas10":       chunkedAfter10,
		"H1-081/PipelinedFlood":              pipelinedFlood,
		"H1-083/TwoTenantsOneConnection":     twoTenants,
		"H1-084/BackendNeverAnswers100":      continueTimer,
		"H1-084/BackendAnswers100":           continueRelayed,
		"H1-085/BackendAnswersAtOnce":        continueRefused,
		"H1-093/BytesBothWays":               tunnelBothWays,
		"H1-093/HalfCloseByClient":           tunnelClientHalfClose,
		"H1-093/HalfCloseByBackend":          tunnelBackendHalfClose,
		"H1-093/Idle":                        tunnelIdle,
		"H1-093/ResetByBackend":              tunnelReset,
		"H1-097/HeadWithBody":                headWithBody,
		"H1-097/NotModifiedWithBody":         notModifiedWithBody,
		"H1-098/BytesBehindTheResponse":      bytesBehindResponse,
		"H1-098/BytesLongBehindTheResponse":  bytesLongBehindResponse,
		"H1-099/ResponseOnIdleConnection":    responseOnIdleConnection,
		"H1-100/CleartextBehindTLS":          cleartextBehindTLS,
		"H1-103/LineBreakInResponseField":    injectedResponse,
		"H1-103/LineBreakInRequestField":     injectedRequest,
		"H1-106/SlowHead":                    slowResponseHead,
		"H1-107/ResetIsNotTheEnd":            resetIsNotTheEnd,
		"H1-109/ClosedWhileIdle":             closedWhileIdle,
		"H1-109/ClosedOnRequest":             closedOnRequest,
		"H1-109/NotIdempotent":               closedOnPost,
		"H1-109/BrokenOffInTheHead":          brokenOffOnReused,
		"H1-109/FreshConnection":             closedFresh,
		"H1-110/NothingAfterAccept":          nothingAfterAccept,
		"H1-110/SlowRequestHead":             slowRequestHead,
		"H1-110/SlowRequestBody":             slowRequestBody,
		"H1-110/SlowReader":                  slowReader,
		"H1-110/Idle":                        idleClient,
		"H1-111/DeadlineAfterSniffing":       deadlineAfterSniffing,
		"H1-111/DeadlineAfterWatching":       deadlineAfterWatching,
		"H1-112/ManyIdleConnections":         manyIdleConnections,
		"H1-115/RefusalsDoNotReflect":        refusalsDoNotReflect,
	}
}

const (
	notFound      = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
	notFoundClose = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

// refusing is a gateway that answers 404 and never reads a body.
func refusing(t *testing.T) *bed {
	t.Helper()
	return newBed(t, answering(okResponse), func(b *bed, _ *Options) {
		b.handler = handlerFunc(func(ex *exchange.Exchange) { ex.Response.Status = 404 })
	})
}

func drainsSmallBody(t *testing.T) {
	b := refusing(t)
	got := b.roundTrip(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"+
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"+
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 7, true)
	if want := strings.Repeat(notFound, 3); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func leavesLargeBody(t *testing.T) {
	b := refusing(t)
	got := b.roundTrip(t, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10485760\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", 0, false)
	if got != notFoundClose {
		t.Errorf("got %q, want %q", got, notFoundClose)
	}
}

func leavesMalformedBody(t *testing.T) {
	b := refusing(t)
	got := b.roundTrip(t, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nX\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", 0, false)
	if got != notFound {
		t.Errorf("got %q, want %q", got, notFound)
	}
}

func earlyResponse(t *testing.T) {
	const tooLarge = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n"
	b := newBed(t, func(c *recorded) {
		if c.await(func(got string) bool { return strings.Contains(got, "\r\n\r\n") }) {
			send(c, tooLarge+"\r\nno", 0)
		}
	}, nil)
	c := b.dial(t)
	go send(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 104857600\r\n\r\n"+strings.Repeat("x", 1<<20), 0)
	expect(t, c, tooLarge+"Connection: close\r\n\r\nno")
	expectEnd(t, c)
	b.backend.first(t).awaitEnd()
	if n := len(b.backend.all()); n != 1 {
		t.Errorf("%d connections to the backend, want 1", n)
	}
}

// A backend may answer while it still reads.
func fullDuplex(t *testing.T) {
	b := newBed(t, func(c *recorded) {
		if c.await(func(got string) bool { return strings.HasSuffix(got, "ping\r\n") }) {
			send(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npong\r\n", 0)
		}
		if c.await(func(got string) bool { return strings.HasSuffix(got, "\r\n0\r\n\r\n") }) {
			send(c, "3\r\nend\r\n0\r\n\r\n", 0)
		}
	}, nil)
	c := b.dial(t)
	send(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nping\r\n", 0)
	expect(t, c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npong\r\n")
	send(c, "3\r\nend\r\n0\r\n\r\n", 0)
	expect(t, c, "3\r\nend\r\n0\r\n\r\n")
}

func clientClosesMidBody(t *testing.T) {
	b := newBed(t, answering(okResponse), nil)
	c := b.dial(t)
	send(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello", 0)
	eventually(t, "the backend gets the head", func() bool { return strings.HasSuffix(b.backend.bytes(), "hello") })
	_ = c.Close()
	b.backend.first(t).awaitEnd()
	if got, want := b.backend.bytes(), "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhello"; got != want {
		t.Errorf("backend got %q, want %q", got, want)
	}
	eventually(t, "the exchange ends", func() bool { return len(b.forward.failed()) == 1 })
	if f := b.forward.failed()[0]; f.Stage != exchange.StageClient {
		t.Errorf("failure %v, want one of the client", f)
	}
}

func oneByteChunks(t *testing.T) {
	const size = 1 << 20
	b := newBed(t, answering(okResponse), nil)
	got := b.roundTrip(t, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"+
		strings.Repeat("1\r\nx\r\n", size)+"0\r\n\r\n", 0, true)
	if got != okResponse {
		t.Fatalf("got %q", got)
	}
	_, body, _ := strings.Cut(b.backend.bytes(), "\r\n\r\n")
	if data := dechunked(body); data != strings.Repeat("x", size) {
		t.Errorf("the backend got %d bytes of data, want %d", len(data), size)
	}
	if n := strings.Count(body, "\r\n") / 2; n > size/100 {
		t.Errorf("%d chunks: they are not joined", n)
	}
}

func stalledLastChunk(t *testing.T) {
	b := newBed(t, answering(okResponse), func(b *bed, _ *Options) { b.server.Timeouts.Body = 50 * time.Millisecond })
	got := b.roundTrip(t, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r", 0, false)
	if want := "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, c := range b.backend.all() {
		c.awaitEnd()
	}
	if n := countRequests(b.backend.bytes()); n > 0 {
		t.Errorf("the backend got a complete request: %q", b.backend.bytes())
	}
}

func chunkedTo10(t *testing.T) {
	b := newBed(t, answering("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"), nil)
	got := b.roundTrip(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"+
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"+
		"POST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi", 0, true)
	if want := okResponse + "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n" + okResponse; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := b.backend.bytes(), "GET / HTTP/1.1\r\nHost: h\r\n\r\nPOST /2 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"; got != want {
		t.Errorf("backend got %q, want %q", got, want)
	}
}

// A server may refuse a request in HTTP/1.0 and speak HTTP/1.1 otherwise.
func chunkedAfter10(t *testing.T) {
	var conns atomic.Int32
	b := newBed(t, func(c *recorded) {
		if conns.Add(1) == 1 && c.awaitRequests(1) {
			send(c, "HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 0)
			_ = c.Close()
			return
		}
		answering(okResponse)(c)
	}, nil)
	got := b.roundTrip(t, "GET / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"+
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 0, true)
	if want := "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n" + okResponse + okResponse; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func pipelinedFlood(t *testing.T) {
	b := newBed(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n"+strings.Repeat("x", 65536)), func(b *bed, _ *Options) {
		b.server.Timeouts.Write = 100 * time.Millisecond
	})
	c := b.dial(t)
	_ = c.SetReadBuffer(4 << 10)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		send(c, strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 100_000), 0)
	}()
	eventually(t, "a request is served", func() bool { return len(b.forward.seen()) > 0 })
	eventually(t, "the connection is given up", func() bool { return b.server.Active() == 0 })
	_ = c.Close()
	<-sent
	if n := len(b.forward.seen()); n > 1000 {
		t.Errorf("%d requests were served to a client that does not read", n)
	}
}

func twoTenants(t *testing.T) {
	b := newBed(t, answering(okResponse), nil)
	got := b.roundTrip(t, "POST /long/path?query HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.1\r\nHost: b\r\n\r\n", 0, true)
	if want := okResponse + okResponse; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	second := b.forward.seen()[1]
	if second.Method != "GET" || second.Authority != "b" || second.Path != "/b" || second.Query != "" || second.HasQuery || second.ContentLength != 0 {
		t.Errorf("the second request has something of the first: %+v", second)
	}
}

const continueRequest = "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"

// continueForwarded is what a backend gets of it.
const continueForwarded = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"

func continueTimer(t *testing.T) {
	b := newBed(t, func(c *recorded) {
		if c.await(func(got string) bool { return strings.HasSuffix(got, "hello") }) {
			send(c, okResponse, 0)
		}
	}, func(_ *bed, o *Options) { o.ContinueTimeout = 20 * time.Millisecond })
	c := b.dial(t)
	send(c, continueRequest, 0)
	expect(t, c, "HTTP/1.1 100 Continue\r\n\r\n")
	send(c, "hello", 0)
	expect(t, c, okResponse)
	if got, want := b.backend.bytes(), continueForwarded+"hello"; got != want {
		t.Errorf("backend got %q, want %q", got, want)
	}
}

func continueRelayed(t *testing.T) {
	b := newBed(t, func(c *recorded) {
		if c.await(func(got string) bool { return strings.HasSuffix(got, "\r\n\r\n") }) {
			send(c, "HTTP/1.1 100 Continue\r\n\r\n", 0)
		}
		if c.await(func(got string) bool { return strings.HasSuffix(got, "hello") }) {
			send(c, okResponse, 0)
		}
	}, func(_ *bed, o *Options) { o.ContinueTimeout = patience })
	c := b.dial(t)
	send(c, continueRequest, 0)
	expect(t, c, "HTTP/1.1 100 Continue\r\n\r\n")
	send(c, "hello", 0)
	expect(t, c, okResponse)
	send(c, "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n", 0)
	eventually(t, "both connections are used again", func() bool { return strings.Contains(b.backend.bytes(), "helloGET /2 ") })
}

func continueRefused(t *testing.T) {
	b := newBed(t, func(c *recorded) {
		if c.await(func(got string) bool { return strings.HasSuffix(got, "\r\n\r\n") }) {
			send(c, okResponse, 0)
		}
	}, func(_ *bed, o *Options) { o.ContinueTimeout = patience })
	c := b.dial(t)
	send(c, continueRequest, 0)
	expect(t, c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
	expectEnd(t, c)
	b.backend.first(t).awaitEnd()
	if got := b.backend.bytes(); got != continueForwarded {
		t.Errorf("backend got %q, want %q", got, continueForwarded)
	}
}

func refusalsDoNotReflect(t *testing.T) {
	const marker = "<marker>"
	b := newBed(t, answering(okResponse), nil)
	for _, request := range []string{
		marker + " / HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET " + marker + " HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / " + marker + "\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: " + marker + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\n" + marker + ": y\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX: \x00" + marker + "\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: " + marker + "\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: " + marker + "\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nExpect: " + marker + "\r\nContent-Length: 1\r\n\r\n",
		"TRACE /" + marker + " HTTP/1.1\r\nHost: h\r\nCookie: " + marker + "\r\n\r\n",
	} {
		got := b.roundTrip(t, request, 0, false)
		if !strings.HasPrefix(got, "HTTP/1.1 4") || strings.Contains(got, "marker") {
			t.Errorf("%q: %q", request, got)
		}
	}
	if got := b.backend.bytes(); got != "" {
		t.Errorf("the backend got %q", got)
	}
}

// reset closes c so that its peer sees an error.
func reset(c io.Closer) {
	if r, ok := c.(*recorded); ok {
		c = r.Conn
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}
