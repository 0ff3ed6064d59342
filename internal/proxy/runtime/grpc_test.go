package runtime

import (
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// call sends a gRPC request to port 80.
func (f *fixture) call(path string, fields ...string) *exchange.Exchange {
	f.t.Helper()
	ex := request80("POST "+path, append([]string{"Content-Type: application/grpc"}, fields...)...)
	ex.Request.Proto = exchange.HTTP2
	f.serve(f.Handler(80, ""), ex)
	return ex
}

// outcome is the grpc-status and grpc-message of a response.
func outcome(ex *exchange.Exchange) (code, message string) {
	code, _ = ex.Response.Header.Get("Grpc-Status")
	message, _ = ex.Response.Header.Get("Grpc-Message")
	return code, message
}

// TestGRPC_WG012_AnswersByItself: what the gateway itself has to say comes as
// gRPC, and is recorded with the status that it is otherwise.
func TestGRPC_WG012_AnswersByItself(t *testing.T) {
	f := newFixture(t, append(backend("empty"), append(backend("ok", "10.0.0.1"), routeOf("r",
		ir.Rule{Matches: prefix("/a.Direct"), Direct: &ir.Direct{Status: 500, Body: "100 % wrong\r\nGrüße"}},
		ir.Rule{Matches: prefix("/a.Silent"), Direct: &ir.Direct{Status: 503}},
		ir.Rule{Matches: prefix("/a.Empty"), Backends: to("empty")},
		ir.Rule{Matches: prefix("/a.Closed"), Backends: to("ok"), Policies: []string{"p"}},
		ir.Rule{Matches: prefix("/a.Gone"), Backends: to("ok")},
		ir.Rule{Matches: prefix("/a.Redirect"), Filters: []ir.Filter{{Redirect: &ir.Redirect{Status: 301}}}},
	))...)...)
	f.statuses(0)
	for path, want := range map[string]struct {
		status        int
		code, message string
	}{
		"/a.Direct/M":  {500, "2", "100 %25 wrong%0D%0AGr%C3%BC%C3%9Fe"},
		"/a.Silent/M":  {503, "14", ""},
		"/a.Empty/M":   {503, "14", "the backend has no ready endpoint"},
		"/a.Closed/M":  {401, "16", "authentication is required"},
		"/a.Gone/M":    {503, "14", "the backend can not be reached"},
		"/a.Unknown/M": {404, "12", "no route matches"},
		"/a.Dir/%00":   {400, "13", "the request path is ambiguous"},
	} {
		t.Run(path, func(t *testing.T) {
			ex := f.call(path)
			if code, message := outcome(ex); ex.Response.Status != 200 || code != want.code || message != want.message {
				t.Errorf("status %d, code %s, message %q, want code %s, message %q", ex.Response.Status, code, message, want.code, want.message)
			}
			if kind, _ := ex.Response.Header.Get("Content-Type"); kind != "application/grpc" || ex.Response.Body != nil {
				t.Errorf("Content-Type %q, body %v", kind, ex.Response.Body)
			}
			if got := f.done[len(f.done)-1].Status; got != want.status {
				t.Errorf("recorded as %d, want %d", got, want.status)
			}
			if plain, err := url.PathUnescape(want.message); err != nil || strings.ContainsAny(want.message, "\r\n") {
				t.Errorf("%q, %v", plain, err)
			}
		})
	}
	if code, _ := outcome(f.call("/a.Redirect/M")); code != "" {
		t.Errorf("a redirect has code %s", code)
	}
}

func TestGRPC_WG012_OnlyGRPCGetsIt(t *testing.T) {
	f := newFixture(t)
	for kind, want := range map[string]string{
		"application/grpc": "12", "application/grpc+proto": "12", "Application/gRPC; x=y": "12",
		"application/grpc-web": "", "application/grpcx": "", "application/json": "", "": "",
	} {
		ex := request80("POST /a/B", "Content-Type: "+kind)
		ex.Request.Proto = exchange.HTTP2
		f.serve(f.Handler(80, ""), ex)
		if code, _ := outcome(ex); code != want {
			t.Errorf("%q: code %q, want %q", kind, code, want)
		}
	}
	ex := f.get("POST /a/B", "Content-Type: application/grpc") // HTTP/1.1 has no gRPC
	f.wantStatus(ex, 404)
}

// TestGRPC_WG012_BackendsStatusesPass: what a backend answers is the client's to
// interpret, with and without grpc-status.
func TestGRPC_WG012_BackendsStatusesPass(t *testing.T) {
	f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{Backends: to("b")}))...)
	for status, code := range map[int]string{200: "5", 418: "", 503: "", 502: "14"} {
		f.to.answer = func(ex *exchange.Exchange, _ *exchange.Target) error {
			ex.Response.Status = status
			if code != "" {
				ex.Response.Header.Add("Grpc-Status", code)
			}
			return nil
		}
		ex := f.call("/a.S/M")
		if got, _ := outcome(ex); ex.Response.Status != status || got != code {
			t.Errorf("backend: %d %q, client: %d %q", status, code, ex.Response.Status, got)
		}
	}
}

// TestGRPC_WG011_Paths: a backend is called with the path that was matched, so
// nobody passes a rule by writing the path in another way.
func TestGRPC_WG011_Paths(t *testing.T) {
	k := newTokens(t)
	f := newFixture(t, append(backend("b", "10.0.0.1"), k.policy("p"), routeOf("r",
		ir.Rule{Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.MatchExact, Value: "/svc/m"}}}, Backends: to("b"), Policies: []string{"p"}},
		ir.Rule{Matches: []ir.Match{{Path: ir.PathMatch{Type: ir.MatchRegex, Value: "/[^/]+/open"}}}, Backends: to("b")},
	))...)
	for path, want := range map[string]string{
		"/svc/m": "16", "/svc//m": "16", "//svc/m": "16", "/%73vc/m": "16", "/svc/%6d": "16",
		"svc/m": "12", "/svc/": "12", "/svc": "12", "/": "12", "/SVC/m": "12", "/svc/M": "12", "/svc/m/": "12", "/svc%2Fm": "12", "/svc/m;a": "12",
		"/svc/../svc/m": "13", "/x/open/../../svc/m": "13", "/x/%2e%2e/svc/m": "13",
	} {
		if code, _ := outcome(f.call(path)); code != want {
			t.Errorf("%s: code %s, want %s", path, code, want)
		}
	}
	if len(f.to.seen) > 0 {
		t.Errorf("backends were asked: %v", f.to.seen)
	}
	if f.call("/svc//open"); f.to.last.Path != "/svc/open" {
		t.Errorf("the backend got %q", f.to.last.Path)
	}
}

// TestGRPC_WG013_Timeout: grpc-timeout is between client and backend; no value
// of it moves the timeout of the rule.
func TestGRPC_WG013_Timeout(t *testing.T) {
	for _, value := range []string{"1S", "99999999H", "-1S", "1x", "0n", "1234567890S", "S", ""} {
		t.Run(value, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rule := ir.Rule{Backends: to("b"), Timeouts: ir.Timeouts{Request: 300 * time.Millisecond}}
				f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", rule))...)
				f.to.answer = func(_ *exchange.Exchange, to *exchange.Target) error {
					<-time.After(time.Until(to.Deadline))
					return &exchange.Failure{Stage: exchange.StageTimeout, Err: errors.New("deadline")}
				}
				began := time.Now()
				ex := f.call("/a.S/M", "Grpc-Timeout: "+value)
				if code, _ := outcome(ex); code != "14" || time.Since(began) != rule.Timeouts.Request {
					t.Errorf("code %s after %v", code, time.Since(began))
				}
				if got, _ := f.to.last.Header.Get("Grpc-Timeout"); got != value {
					t.Errorf("the backend got %q", got)
				}
			})
		})
	}
}

// endless is a request body that never ends and cannot be kept.
type endless struct{ read int }

func (b *endless) Read(p []byte) (int, error) {
	b.read += len(p)
	return len(p), nil
}
func (*endless) Buffered() int { return 1 }
func (*endless) Close() error  { return nil }

// partly is a transport that answers with these statuses, 0 being a failure to
// connect, after it has read a part of the body.
type partly struct {
	codes []int
	n     int
}

func (p *partly) RoundTrip(ex *exchange.Exchange, _ *exchange.Target) error {
	code := p.codes[min(p.n, len(p.codes)-1)]
	if p.n++; code == 0 {
		return connectFailure()
	}
	if ex.Request.Body != nil {
		_, _ = io.ReadFull(ex.Request.Body, make([]byte, 100))
	}
	ex.Response.Status = code
	return nil
}

// TestGRPC_WG018_Retry: a call is repeated where no response has come and all of
// its body was kept, and a stream's never is.
func TestGRPC_WG018_Retry(t *testing.T) {
	for name, c := range map[string]struct {
		body   exchange.Body
		length int64
		codes  []int
		sent   int
	}{
		"NoBody":              {nil, 0, []int{503, 200}, 2},
		"Stream":              {&endless{}, exchange.Unknown, []int{503, 200}, 1},
		"StreamNotConnected":  {&endless{}, exchange.Unknown, []int{0, 503}, 2},
		"NoCodeThatIsRetried": {nil, 0, []int{500, 200}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rule := ir.Rule{Backends: to("b"), Retry: &ir.Retry{Attempts: 3, Codes: []int{503}}}
				f := newFixture(t, append(backend("b", "10.0.0.1", "10.0.0.2"), routeOf("r", rule))...)
				sent := &partly{codes: c.codes}
				f.opts.HTTP1 = sent
				ex := request80("POST /a.S/M", "Content-Type: application/grpc")
				ex.Request.Proto, ex.Request.Body, ex.Request.ContentLength = exchange.HTTP2, c.body, c.length
				f.serve(f.Handler(80, ""), ex)
				if sent.n != c.sent {
					t.Errorf("sent %d times, want %d", sent.n, c.sent)
				}
				if b, ok := c.body.(*endless); ok && b.read > maxReplay+64<<10 {
					t.Errorf("%d bytes were read ahead", b.read)
				}
			})
		})
	}
}

// TestWG009_CORSDoesNotGuardUpgrades: a browser asks for no permission before it
// opens a WebSocket, so the backend gets Origin as it is, and judges it.
func TestWG009_CORSDoesNotGuardUpgrades(t *testing.T) {
	f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{
		Backends: to("b"), Filters: []ir.Filter{{CORS: &ir.CORS{AllowOrigins: []string{"https://a.test"}, AllowMethods: []string{"GET"}}}},
	}))...)
	ex := request80("/ws", "Origin: https://evil.test")
	ex.Request.Upgrade = "websocket"
	f.serve(f.Handler(80, ""), ex)
	if got, _ := f.to.last.Header.Get("Origin"); len(f.to.seen) != 1 || got != "https://evil.test" {
		t.Errorf("sent to %v, Origin %q", f.to.seen, got)
	}
}
