package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// errDeadline is the cause of a request's end that is not the backend's doing;
// the other one is exchange.ErrClientGone.
var errDeadline = errors.New("no response head before the deadline")

// attempt is one request to a backend, until its response body is closed.
type attempt struct {
	ex     *exchange.Exchange
	upload *upload
	cancel context.CancelCauseFunc
	stop   func() // ends the watch over the client

	sent, answered, abandoned atomic.Bool
}

// RoundTrip implements exchange.Transport.
func (t *Transport) RoundTrip(ex *exchange.Exchange, to *exchange.Target) error {
	p := t.pool(to)
	ctx, cancel := context.WithCancelCause(context.Background())
	a := &attempt{ex: ex, cancel: cancel}
	a.stop = ex.Client.OnCancel(func() {
		a.abandoned.Store(true)
		cancel(exchange.ErrClientGone)
	})
	var timer *time.Timer
	if !to.Deadline.IsZero() {
		timer = time.AfterFunc(time.Until(to.Deadline), func() { cancel(errDeadline) })
		defer timer.Stop()
	}
	resp, err := a.send(ctx, p, to)
	if err != nil {
		a.release()
		if errors.Is(err, errHTTP1) {
			return t.overHTTP1(p, ex, to)
		}
		return err
	}
	if timer != nil && !timer.Stop() {
		// The head and the deadline came together.
		_ = a.drop(resp)
		return a.failure(ctx, exchange.StageTimeout, false, errDeadline)
	}
	if err := checkHead(resp); err != nil {
		_ = a.drop(resp)
		return a.failure(ctx, exchange.StageHead, false, err)
	}
	a.respond(resp, to.IdleTimeout)
	return nil
}

// drop gives a response up, and the stream with it.
func (a *attempt) drop(resp *http.Response) error {
	err := resp.Body.Close()
	a.upload.finish()
	a.release()
	return err
}

// checkHead finds what is malformed in a response (RFC 9113 section 8.1.1) and
// yet passes the library.
func checkHead(resp *http.Response) error {
	code, _, _ := strings.Cut(resp.Status, " ")
	if len(code) != len("200") || resp.StatusCode < 200 {
		return fmt.Errorf("malformed status %q", code)
	}
	if values := resp.Header["Content-Length"]; len(values) > 0 && !validLength(values) {
		return fmt.Errorf("malformed Content-Length %q", values)
	}
	return nil
}

// maxSends is how many connections a request is put on before it has failed.
const maxSends = 3

// send puts the request on a connection and waits for the head of the answer. A
// connection that ends just then has not taken it: it goes on another. The error
// is errHTTP1 or an *exchange.Failure.
func (a *attempt) send(ctx context.Context, p *pool, to *exchange.Target) (*http.Response, error) {
	for sends := 1; ; sends++ {
		conn, reused, err := p.acquire(ctx, to.ConnectTimeout)
		switch {
		case errors.Is(err, errHTTP1):
			return nil, err
		case err != nil:
			return nil, a.failure(ctx, exchange.StageConnect, false, err)
		}
		a.sent.Store(false)
		began := time.Now()
		resp, err := conn.RoundTrip(a.request(ctx, to))
		if err == nil {
			return resp, nil
		}
		a.upload.finish()
		if errors.Is(context.Cause(ctx), errDeadline) {
			p.doubt(conn, began)
		}
		if stage := a.stage(err); stage != exchange.StageConnect || sends == maxSends || ctx.Err() != nil {
			return nil, a.failure(ctx, stage, reused, err)
		}
	}
}

// failure is how a failed attempt is reported: who ended it comes before how
// far it had come.
func (a *attempt) failure(ctx context.Context, stage exchange.Stage, reused bool, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errDeadline):
		stage, err = exchange.StageTimeout, cause
	case errors.Is(cause, exchange.ErrClientGone):
		stage, err = exchange.StageClient, cause
	}
	return &exchange.Failure{Stage: stage, Reused: reused, Err: err}
}

// stage says how far an attempt had come when the library gave up on it.
func (a *attempt) stage(err error) exchange.Stage {
	begun := a.upload != nil && a.upload.begun.Load()
	switch {
	case a.upload != nil && a.upload.failed() != nil:
		return exchange.StageClient
	case !begun && (!a.sent.Load() || unprocessed(err)):
		return exchange.StageConnect
	case a.answered.Load():
		return exchange.StageHead
	case begun && !a.upload.complete():
		return exchange.StageSend
	}
	return exchange.StageAwait
}

// unprocessed says that the backend has refused the stream, or left it out of
// its GOAWAY: it did nothing with the request (RFC 9113 section 8.7).
func unprocessed(err error) bool {
	if reset, ok := errors.AsType[streamError](err); ok {
		return reset.Code == codeRefusedStream
	}
	// The library exports neither type nor value for these.
	return strings.HasSuffix(err.Error(), "graceful shutdown GOAWAY") || strings.HasSuffix(err.Error(), "client conn not usable")
}

// streamError has the fields of the library's type of that name, which fills
// it through errors.As.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

// Error implements error.
func (e streamError) Error() string { return "stream reset" }

// overHTTP1 sends ex to a backend that does not speak HTTP/2.
func (t *Transport) overHTTP1(p *pool, ex *exchange.Exchange, to *exchange.Target) error {
	err := t.h1.RoundTrip(ex, to)
	if f, ok := errors.AsType[*exchange.Failure](err); ok && f.Stage == exchange.StageConnect {
		p.recheck()
	}
	return err
}

// release ends what watches over the attempt.
func (a *attempt) release() {
	a.stop()
	a.cancel(nil)
}

// request builds what the library sends.
func (a *attempt) request(ctx context.Context, to *exchange.Target) *http.Request {
	in := &a.ex.Request
	req := &http.Request{
		Method: strings.Clone(in.Method),
		URL:    &url.URL{Scheme: "http", Host: to.Addr, RawQuery: strings.Clone(in.Query), ForceQuery: in.HasQuery},
		Host:   strings.Clone(in.Authority),
		Header: make(http.Header, in.Header.Len()+2),
	}
	if to.TLS != nil {
		req.URL.Scheme = "https"
	}
	// Opaque goes out as it is. The library takes two leading slashes for an
	// authority, so such a path gets one for it to cut off.
	if strings.HasPrefix(in.Path, "//") {
		req.URL.Opaque = "//" + in.Authority + in.Path
	} else {
		req.URL.Opaque = strings.Clone(in.Path)
	}
	addTo(req.Header, &in.Header)
	if _, ok := req.Header["User-Agent"]; !ok {
		req.Header["User-Agent"] = nil // so that the library adds none
	}
	if in.AcceptsTrailers {
		req.Header["Te"] = []string{"trailers"}
	}
	if in.Body != nil {
		a.upload = &upload{ex: a.ex, req: req}
		req.Body, req.ContentLength = a.upload, in.ContentLength
		if in.ContentLength < 0 {
			// The library sends what is in it at the end of the body.
			req.Trailer = make(http.Header)
		}
	}
	watch := &httptrace.ClientTrace{
		WroteHeaders:         func() { a.sent.Store(true) },
		GotFirstResponseByte: func() { a.answered.Store(true) },
	}
	if !to.NoInterims {
		watch.Got1xxResponse = a.interim
	}
	return req.WithContext(httptrace.WithClientTrace(ctx, watch))
}

// interim passes an informational response on. 100 is the codecs' own.
func (a *attempt) interim(status int, fields textproto.MIMEHeader) error {
	if status < 102 {
		return nil
	}
	var h exchange.Header
	addFields(&h, fields)
	return a.ex.Client.Interim(status, &h)
}

// respond fills the exchange's response.
func (a *attempt) respond(resp *http.Response, idle time.Duration) {
	out := &a.ex.Response
	out.Status, out.ContentLength = resp.StatusCode, resp.ContentLength
	out.Header.Reset()
	addFields(&out.Header, resp.Header)
	body := &responseBody{attempt: a, resp: resp, idle: idle}
	if resp.Body == http.NoBody {
		_ = body.Close()
		out.Body = nil
		return
	}
	out.Body = body
}

// responseBody is the body of a backend's response.
type responseBody struct {
	attempt *attempt
	resp    *http.Response
	idle    time.Duration
	until   time.Time
	stalled *time.Timer // made when a Read is limited
	late    atomic.Bool // it has fired
	ended   bool
}

// LimitReads implements exchange.ReadLimiter.
func (b *responseBody) LimitReads(idle time.Duration, until time.Time) { b.idle, b.until = idle, until }

// limit ends the next Read in time, and returns what ends the limit.
func (b *responseBody) limit() (stop func()) {
	d := b.idle
	if !b.until.IsZero() {
		if left := max(time.Until(b.until), 1); d == 0 || left < d {
			d = left
		}
	}
	switch {
	case d == 0:
		return func() {}
	case b.stalled == nil:
		b.stalled = time.AfterFunc(d, func() {
			b.late.Store(true)
			b.attempt.cancel(exchange.ErrReadTimeout)
		})
	default:
		b.stalled.Reset(d)
	}
	return func() { b.stalled.Stop() }
}

// Read implements exchange.Body.
func (b *responseBody) Read(p []byte) (int, error) {
	defer b.limit()()
	n, err := b.resp.Body.Read(p)
	if bodiless(b.resp.StatusCode) {
		n, err = 0, noBody(n, err)
	}
	if errors.Is(err, io.EOF) && !b.ended {
		b.ended = true
		addTrailer(&b.attempt.ex.Response.Trailer, b.resp.Trailer)
	}
	switch {
	case err == nil || b.ended:
	case b.attempt.abandoned.Load():
		err = exchange.ErrClientGone
	case b.late.Load():
		err = exchange.ErrReadTimeout
	}
	return n, err
}

// bodiless says that a response has no body, whatever its fields say (RFC 9110
// section 6.4.1).
func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

var errBodyNotAllowed = errors.New("a body where there is none")

// noBody is what a Read of a body means that must be empty. To the library the
// length in a 304, which is that of another response, is one that never came.
func noBody(n int, err error) error {
	switch {
	case n > 0:
		return errBodyNotAllowed
	case errors.Is(err, io.ErrUnexpectedEOF):
		return io.EOF
	}
	return err
}

// Buffered implements exchange.Body. The library does not say how much it
// holds.
func (b *responseBody) Buffered() int { return 0 }

// Close implements exchange.Body: it resets the stream where it has not ended,
// and then nothing reads the request's body any more.
func (b *responseBody) Close() error {
	return b.attempt.drop(b.resp)
}

// upload is the body of the request as the library reads it, on a goroutine
// of its own.
type upload struct {
	ex  *exchange.Exchange
	req *http.Request

	begun  atomic.Bool
	closed atomic.Bool

	mu    sync.Mutex // held while reading
	err   error      // how the client's body broke
	ended bool       // the body was read to its end
	over  bool       // no more may be read
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		if u.ended {
			return 0, io.EOF
		}
		return 0, errFinished
	}
	u.begun.Store(true)
	n, err := u.ex.Request.Body.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		if u.req.Trailer != nil {
			addTo(u.req.Trailer, &u.ex.Request.Trailer)
		}
		u.ended, u.over = true, true
		return n, io.EOF
	case err != nil && !u.closed.Load():
		u.err = err
	}
	return n, err
}

// Close implements io.Closer: the library wants no more of the body. A Read
// that waits for the client ends.
func (u *upload) Close() error {
	if u.closed.Swap(true) {
		return nil
	}
	if u.mu.TryLock() {
		u.over = true
		u.mu.Unlock()
		return nil
	}
	if stopper, ok := u.ex.Client.(exchange.BodyStopper); ok {
		stopper.StopBody()
	}
	return nil
}

// finish ends every Read, now and later. u may be nil.
func (u *upload) finish() {
	if u == nil {
		return
	}
	_ = u.Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = true
}

// failed returns the error of the client's body, if it broke.
func (u *upload) failed() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}

// complete says that the whole body has been read.
func (u *upload) complete() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ended
}
