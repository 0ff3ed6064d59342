package runtime

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// statuses has the transport answer with these, the last one from then on; 0
// is a failure to connect.
func (f *fixture) statuses(codes ...int) {
	f.to.answer = func(ex *exchange.Exchange, _ *exchange.Target) error {
		code := codes[0]
		if len(codes) > 1 {
			codes = codes[1:]
		}
		if code == 0 {
			return connectFailure()
		}
		ex.Response.Status = code
		ex.Response.Header.Add("X-Answer", "1")
		return nil
	}
}

// TestForward_WhatIsOurs: that this process has no room says nothing about an
// endpoint, and another one is no better.
func TestForward_WhatIsOurs(t *testing.T) {
	f := newFixture(t, append(backend("b", "10.0.0.1", "10.0.0.2", "10.0.0.3"), routeOf("r", ir.Rule{Backends: to("b"), Retry: &ir.Retry{Attempts: 2}}))...)
	for _, err := range []error{upstream.ErrNoRoom, os.NewSyscallError("socket", syscall.EMFILE)} {
		f.to.answer = func(*exchange.Exchange, *exchange.Target) error {
			return &exchange.Failure{Stage: exchange.StageConnect, Err: err}
		}
		f.to.seen = nil
		ex := f.get("/")
		f.wantStatus(ex, 503)
		if after, _ := ex.Response.Header.Get("Retry-After"); len(f.to.seen) != 1 || after == "" {
			t.Errorf("%v: sent to %v, answered %v", err, f.to.seen, ex.Response.Header)
		}
	}
	for _, e := range f.registry.Get("b").Endpoints().All() {
		if e.Passed(time.Now()) {
			t.Errorf("%s is passed over", e.Addr)
		}
	}
}

func TestForward_TriesAgain(t *testing.T) {
	retry := &ir.Retry{Attempts: 2, Codes: []int{500, 503}}
	for name, test := range map[string]struct {
		retry   *ir.Retry
		codes   []int
		request string
		body    string
		want    int
		sent    int
	}{
		"ConnectFailureGoesElsewhere":    {nil, []int{0, 200}, "/", "", 200, 2},
		"ConnectFailureOfAnyMethod":      {nil, []int{0, 0, 200}, "POST /", "x", 200, 3},
		"ConnectFailureHasALimit":        {nil, []int{0}, "/", "", 503, 3},
		"NoRetryOfCodesUnasked":          {nil, []int{500, 200}, "/", "", 500, 1},
		"CodeIsTriedAgain":               {retry, []int{500, 503, 200}, "/", "", 200, 3},
		"CodeHasALimit":                  {retry, []int{500}, "/", "", 500, 3},
		"OtherCodeIsNot":                 {retry, []int{502, 200}, "/", "", 502, 1},
		"BodyIsSentAgain":                {retry, []int{500, 200}, "POST /", "hello", 200, 2},
		"LargeBodyIsNot":                 {retry, []int{500, 200}, "POST /", strings.Repeat("x", maxReplay+1), 500, 1},
		"ZeroAttemptsDisable":            {&ir.Retry{Codes: []int{500}}, []int{500, 200}, "/", "", 500, 1},
		"ZeroAttemptsDisableConnectsToo": {&ir.Retry{}, []int{0, 200}, "/", "", 503, 1},
		"ManyAttempts":                   {&ir.Retry{Attempts: 100}, []int{0, 0, 0, 0, 0, 0, 0, 0, 200}, "/", "", 200, 9},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, append(backend("b", "10.0.0.1", "10.0.0.2", "10.0.0.3"), routeOf("r", ir.Rule{Backends: to("b"), Retry: test.retry}))...)
				f.statuses(test.codes...)
				ex := request80(test.request)
				if test.body != "" {
					withBody(ex, test.body)
				}
				f.serve(f.Handler(80, ""), ex)
				f.wantStatus(ex, test.want)
				if len(f.to.seen) != test.sent || f.done[0].Attempts != test.sent {
					t.Errorf("sent to %v, recorded %d; want %d", f.to.seen, f.done[0].Attempts, test.sent)
				}
				if f.to.body != test.body {
					t.Errorf("backend got a body of %d bytes, want %d", len(f.to.body), len(test.body))
				}
				if ex.Response.Header.Len() > 1 && test.want == 200 {
					t.Errorf("header of a discarded response is left: %v", ex.Response.Header)
				}
				for _, e := range f.registry.Get("b").Endpoints().All() {
					if e.Inflight() != 0 {
						t.Errorf("%s has %d in flight", e.Addr, e.Inflight())
					}
				}
			})
		})
	}
}

// TestForward_TheClientLeavesBetweenAttempts is a client that does not wait for
// the next attempt: that is not the backend's delay.
func TestForward_TheClientLeavesBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{
			Backends: to("b"), Retry: &ir.Retry{Attempts: 2, Codes: []int{503}, Backoff: time.Minute},
		}))...)
		f.statuses(503)
		ex := request80("/")
		ex.Client = leaving{}
		began := time.Now()
		f.serve(f.Handler(80, ""), ex)
		f.wantStatus(ex, exchange.StatusClientGone)
		if took := time.Since(began); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// leaving is a client that has left by the time that somebody asks.
type leaving struct{ nobody }

func (leaving) OnCancel(f func()) (stop func()) {
	go f()
	return func() {}
}

// TestForward_ConnectFailuresGoToOtherEndpoints runs while the clock stands still,
// or endpoints that failed would get another chance in between.
func TestForward_ConnectFailuresGoToOtherEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, append(backend("b", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"), routeOf("r", ir.Rule{Backends: to("b")}))...)
		f.to.answer = func(ex *exchange.Exchange, to *exchange.Target) error {
			if to.Addr < "10.0.0.3" {
				return connectFailure()
			}
			ex.Response.Status = 200
			return nil
		}
		for range 50 {
			f.wantStatus(f.get("/"), 200)
		}
		if len(f.to.seen) > 54 {
			t.Errorf("%d attempts for 50 requests: failed endpoints are not passed over", len(f.to.seen))
		}
	})
}

func TestForward_KeepsItsTimeouts(t *testing.T) {
	for name, test := range map[string]struct {
		rule  ir.Rule
		codes []int // after which time each answers, in ms; it answers 500, the last 200
		want  int
		takes time.Duration
	}{
		"Request":          {ir.Rule{Timeouts: ir.Timeouts{Request: 500 * time.Millisecond}}, []int{1000}, 504, 500 * time.Millisecond},
		"Backend":          {ir.Rule{Timeouts: ir.Timeouts{Backend: 300 * time.Millisecond}}, []int{1000}, 504, 300 * time.Millisecond},
		"BackendTriesMore": {ir.Rule{Timeouts: ir.Timeouts{Backend: 300 * time.Millisecond}, Retry: &ir.Retry{Attempts: 1, Backoff: time.Millisecond}}, []int{1000, 10}, 200, 311 * time.Millisecond},
		"RetriesWithin":    {ir.Rule{Timeouts: ir.Timeouts{Request: 500 * time.Millisecond}, Retry: &ir.Retry{Attempts: 5, Codes: []int{500}}}, []int{300, 300, 300}, 504, 500 * time.Millisecond},
		"BackoffBeyond":    {ir.Rule{Timeouts: ir.Timeouts{Request: 500 * time.Millisecond}, Retry: &ir.Retry{Attempts: 5, Codes: []int{500}, Backoff: time.Second}}, []int{10, 10}, 504, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.rule.Backends = to("b")
				f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", test.rule))...)
				f.opts.Rand = func() uint64 { return 0 }
				f.to.answer = func(ex *exchange.Exchange, to *exchange.Target) error {
					wait := time.Duration(test.codes[0]) * time.Millisecond
					if len(test.codes) > 1 {
						test.codes = test.codes[1:]
						ex.Response.Status = 500
					} else {
						ex.Response.Status = 200
					}
					if left := time.Until(to.Deadline); left < wait {
						<-time.After(left)
						ex.Response.Status = 0
						return &exchange.Failure{Stage: exchange.StageTimeout, Err: errors.New("deadline")}
					}
					<-time.After(wait)
					return nil
				}
				began := time.Now()
				f.wantStatus(f.get("/"), test.want)
				if took := time.Since(began); took != test.takes {
					t.Errorf("took %v, want %v", took, test.takes)
				}
			})
		})
	}
}

// slowBody gives a byte per second.
type slowBody struct{ closed bool }

func (b *slowBody) Read(p []byte) (int, error) {
	<-time.After(time.Second)
	p[0] = 'x'
	return 1, nil
}
func (b *slowBody) Buffered() int { return 0 }
func (b *slowBody) Close() error  { b.closed = true; return nil }

func TestForward_TheRequestTimeoutEndsASlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", ir.Rule{Backends: to("b"), Timeouts: ir.Timeouts{Request: 3 * time.Second}}))...)
		body := &slowBody{}
		f.to.answer = func(ex *exchange.Exchange, _ *exchange.Target) error {
			ex.Response.Status, ex.Response.Body, ex.Response.ContentLength = 200, body, exchange.Unknown
			return nil
		}
		ex := request80("/")
		h := f.Handler(80, "")
		h.Serve(ex)
		b, err := io.ReadAll(ex.Response.Body)
		if !errors.Is(err, errDeadline) || len(b) != 4 {
			t.Errorf("read %d bytes, %v", len(b), err)
		}
		_ = ex.Response.Body.Close()
		h.Finish(ex, exchange.End{Err: err})
		if !body.closed {
			t.Error("the body of the backend is still open")
		}
	})
}

// TestForward_TriesAnotherEndpoint where there is one: what keeps one from answering
// may be its own.
func TestForward_TriesAnotherEndpoint(t *testing.T) {
	hosts := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}
	f := newFixture(t, append(backend("b", hosts...), routeOf("r", ir.Rule{Backends: to("b"), Retry: &ir.Retry{Attempts: 3, Codes: []int{503}, Backoff: time.Nanosecond}}))...)
	for range 20 {
		f.statuses(503, 503, 503, 200)
		f.to.seen = nil
		f.wantStatus(f.get("/"), 200)
		slices.Sort(f.to.seen)
		if different := slices.Compact(slices.Clone(f.to.seen)); len(f.to.seen) != 4 || len(different) != len(hosts) {
			t.Errorf("sent to %v", f.to.seen)
		}
	}
}

// uploading is a client that never ends its body.
type uploading struct {
	nobody
	stopped chan struct{}
}

func (u uploading) StopBody() { close(u.stopped) }

// Read implements io.Reader.
func (u uploading) Read([]byte) (int, error) { <-u.stopped; return 0, io.ErrUnexpectedEOF }
func (u uploading) Buffered() int            { return 0 }
func (u uploading) Close() error             { return nil }

// TestForward_TheRequestTimeoutEndsASlowUpload that is read into memory first.
func TestForward_TheRequestTimeoutEndsASlowUpload(t *testing.T) {
	for name, rule := range map[string]ir.Rule{
		"Retry":  {Retry: &ir.Retry{Attempts: 1}},
		"Mirror": {Filters: []ir.Filter{{Mirror: &ir.Mirror{Backend: "b", Numerator: 1, Denominator: 1}}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rule.Backends, rule.Timeouts = to("b"), ir.Timeouts{Request: time.Second}
				f := newFixture(t, append(backend("b", "10.0.0.1"), routeOf("r", rule))...)
				ex, client := request80("POST /"), uploading{stopped: make(chan struct{})}
				ex.Client, ex.Request.Body, ex.Request.ContentLength = client, client, 5
				start := time.Now()
				f.serve(f.Handler(80, ""), ex)
				f.wantStatus(ex, 504)
				if took := time.Since(start); took != time.Second || len(f.to.seen) > 0 {
					t.Errorf("after %s, sent to %v", took, f.to.seen)
				}
			})
		})
	}
}

func TestForward_DividesByWeight(t *testing.T) {
	weights := []ir.WeightedBackend{{Backend: "a", Weight: 70}, {Backend: "b", Weight: 30}, {Backend: "c", Weight: 0}}
	resources := append(append(backend("a", "10.0.0.1"), backend("b", "10.0.0.2")...), backend("c", "10.0.0.3")...)
	f := newFixture(t, append(resources, routeOf("r", ir.Rule{Backends: weights}))...)
	seen := map[string]int{}
	for range 500 {
		f.get("/")
	}
	for _, addr := range f.to.seen {
		seen[addr]++
	}
	if a := seen["10.0.0.1:8080"]; a < 345 || a > 355 || seen["10.0.0.3:8080"] != 0 {
		t.Errorf("shares of 500: %v", seen)
	}
}

func TestForward_SpeaksTheProtocolOfTheBackend(t *testing.T) {
	b := backend("b", "10.0.0.1")
	b[0].(*ir.Backend).Protocol = ir.ProtocolH2C
	f := newFixture(t, append(b, routeOf("r", ir.Rule{Backends: to("b")}))...)
	http2 := &transport{}
	f.opts.HTTP2 = http2
	f.wantStatus(f.get("/"), 200)
	upgrade := request80("/")
	upgrade.Request.Upgrade = "websocket"
	f.serve(f.Handler(80, ""), upgrade)
	if len(http2.seen) != 1 || len(f.to.seen) != 1 {
		t.Errorf("HTTP/2: %v, HTTP/1.1: %v", http2.seen, f.to.seen)
	}
}

// copies is a transport that keeps what it is sent, safe for several goroutines.
type copies struct {
	mu  sync.Mutex
	got []string
}

func (c *copies) RoundTrip(ex *exchange.Exchange, to *exchange.Target) error {
	line := to.Addr + " " + ex.Request.Path
	if ex.Request.Body != nil {
		b, _ := io.ReadAll(ex.Request.Body)
		line += " " + string(b)
	}
	if strings.HasPrefix(to.Addr, "10.0.0.9") {
		<-time.After(5 * time.Second) // a mirror is slow
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, line)
	ex.Response.Status = 200
	return nil
}

func TestMirror_CopiesWithoutDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := "/new"
		rule := ir.Rule{Backends: to("b"), Filters: []ir.Filter{
			{Mirror: &ir.Mirror{Backend: "m", Numerator: 100, Denominator: 100}},
			{Mirror: &ir.Mirror{Backend: "m", Numerator: 0, Denominator: 100}},
			{Rewrite: &ir.Rewrite{Path: &ir.PathRewrite{Full: &path}}},
		}}
		f := newFixture(t, append(append(backend("b", "10.0.0.1"), backend("m", "10.0.0.9")...), routeOf("r", rule))...)
		sent := &copies{}
		f.opts.HTTP1 = sent
		began := time.Now()
		for _, body := range []string{"", "hello", strings.Repeat("x", maxReplay+1)} {
			ex := request80("POST /")
			if body != "" {
				withBody(ex, body)
				ex.Request.ContentLength = exchange.Unknown
			}
			f.serve(f.Handler(80, ""), ex)
			f.wantStatus(ex, 200)
		}
		if time.Since(began) != 0 {
			t.Errorf("the client waited %v", time.Since(began))
		}
		<-time.After(time.Minute)
		synctest.Wait()
		counts := map[string]int{}
		for _, line := range sent.got {
			counts[line[:min(len(line), 24)]]++
		}
		if len(sent.got) != 5 || counts["10.0.0.9:8080 /new"] != 1 || counts["10.0.0.9:8080 /new hello"] != 1 {
			t.Errorf("sent %v", counts)
		}
	})
}

func TestLLM_ForwardsToAnOpenAIBackend(t *testing.T) {
	llmBackend := &ir.Backend{Name: "llm", Protocol: ir.ProtocolHTTP, Endpoints: "llm", LLM: &ir.LLMProvider{
		Provider: "openai", Model: "real-model", BasePath: "/v1", Host: "api.example", Credentials: "s", Timeout: time.Minute,
	}}
	resources := []ir.Resource{
		llmBackend, &ir.Endpoints{Name: "llm", Addresses: []ir.Endpoint{{Host: "10.0.0.7", Port: 443}}},
		&ir.Secret{Name: "s", Values: map[string]ir.Bytes{"apiKey": ir.Bytes("sk-real\n")}},
		routeOf("r", ir.Rule{Matches: prefix("/v1/chat/completions"), LLM: &ir.LLMAction{}, Backends: to("llm")}),
	}
	f := newFixture(t, resources...)
	f.to.answer = func(ex *exchange.Exchange, _ *exchange.Target) error {
		ex.Response.Status = 200
		ex.Response.Header.Add("Content-Type", "application/json")
		ex.Response.Header.Add("Set-Cookie", "a=b")
		body := []byte(`{"id":"x","object":"chat.completion","model":"real-model","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}`)
		ex.Response.Body, ex.Response.ContentLength = upstream.NewBody(body), int64(len(body))
		return nil
	}
	ask := func(body string) *exchange.Exchange {
		return withBody(request80("POST /v1/chat/completions", "Authorization: Bearer mine", "X-Api-Key: mine", "OpenAI-Organization: other", "User-Agent: me"), body)
	}
	ex := ask(`{"x":1.0, "model" : "any","messages":[{"role":"user","content":"hello"}]}`)
	h := f.Handler(80, "")
	h.Serve(ex)
	if got := text(ex); ex.Response.Status != 200 || !strings.Contains(got, `"content":"hi"`) || ex.Response.Header.Has("Set-Cookie") {
		t.Errorf("%d %s %v", ex.Response.Status, got, ex.Response.Header)
	}
	h.Finish(ex, exchange.End{})
	if r := f.done[0].LLM; r == nil || r.Asked != "any" || len(r.Attempts) != 1 || r.Attempts[0].Model != "real-model" || !r.Attempts[0].Counted || r.Attempts[0].Usage.Total() != 4 {
		t.Errorf("record %+v", r)
	}
	got := f.to.last
	if got.Authority != "api.example" || got.Path != "/v1/chat/completions" || f.to.seen[0] != "10.0.0.7:443" {
		t.Errorf("sent %+v to %v", got, f.to.seen)
	}
	if want := `{"x":1.0, "model" : "real-model","messages":[{"role":"user","content":"hello"}]}`; f.to.body != want {
		t.Errorf("body %s, want %s", f.to.body, want)
	}
	if v, _ := got.Header.Get("Authorization"); v != "Bearer sk-real" || got.Header.Has("X-Api-Key") || got.Header.Has("OpenAI-Organization") {
		t.Errorf("header %v", got.Header)
	}
	for name, test := range map[string]struct {
		ex   *exchange.Exchange
		want int
	}{
		"NotJSON":   {ask(`hello`), 400},
		"NoBody":    {request80("POST /v1/chat/completions"), 400},
		"Get":       {request80("/v1/chat/completions"), 405},
		"Operation": {withBody(request80("POST /v1/chat/completions/batches"), "{}"), 404},
		"Gzip":      {withBody(request80("POST /v1/chat/completions", "Content-Encoding: gzip"), "{}"), 415},
	} {
		t.Run(name, func(t *testing.T) {
			h.Serve(test.ex)
			if got := text(test.ex); test.ex.Response.Status != test.want || !strings.HasPrefix(got, `{"error":{"message":"`) {
				t.Errorf("%d %s", test.ex.Response.Status, got)
			}
			h.Finish(test.ex, exchange.End{})
		})
	}
}

// events is a body that gives one piece per Read.
type events struct {
	pieces [][]byte
	err    error
}

func (e *events) Read(p []byte) (int, error) {
	if len(e.pieces) == 0 {
		return 0, e.err
	}
	n := copy(p, e.pieces[0])
	e.pieces = e.pieces[1:]
	return n, nil
}
func (e *events) Buffered() int { return 0 }
func (e *events) Close() error  { return nil }

func TestLLM_ServesAnExactPathOfAnyName(t *testing.T) {
	exact := func(path string) []ir.Match {
		return []ir.Match{{Path: ir.PathMatch{Type: ir.MatchExact, Value: path}}}
	}
	f := newFixture(t, &ir.Backend{Name: "llm", Endpoints: "llm", LLM: &ir.LLMProvider{Provider: "openai", BasePath: "/v1", Host: "h"}},
		&ir.Endpoints{Name: "llm", Addresses: []ir.Endpoint{{Host: "10.0.0.1", Port: 1}}},
		routeOf("r",
			ir.Rule{Matches: exact("/ai/chat"), LLM: &ir.LLMAction{}, Backends: to("llm")},
			ir.Rule{Matches: exact("/ai/responses"), LLM: &ir.LLMAction{}, Backends: to("llm")}))
	for path, want := range map[string]string{"/ai/chat": "/v1/chat/completions", "/ai/responses": "/v1/responses"} {
		f.to.last.Path = ""
		f.serve(f.Handler(80, ""), withBody(request80("POST "+path), `{"model":"m","input":"hi","messages":[{"role":"user","content":"hi"}]}`))
		if f.to.last.Path != want {
			t.Errorf("%s asked for %q, want %q", path, f.to.last.Path, want)
		}
	}
}

func TestLLM_StreamsEventByEvent(t *testing.T) {
	chunk := func(content string) []byte {
		return []byte(`data: {"id":"x","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"` + content + `"}}]}` + "\n\n")
	}
	done := []byte("data: [DONE]\n\n")
	for name, test := range map[string]struct {
		body   *events
		status int
		reads  int // that give something
		want   string
	}{
		"Whole":           {&events{[][]byte{chunk("a"), chunk("b"), done}, io.EOF}, 200, 3, "[DONE]"},
		"BreaksOff":       {&events{[][]byte{chunk("a")}, io.ErrUnexpectedEOF}, 200, 2, "stream_truncated"},
		"EndsTooEarly":    {&events{[][]byte{chunk("a")}, io.EOF}, 200, 2, "stream_truncated"},
		"NeverBegins":     {&events{nil, io.ErrUnexpectedEOF}, 502, 1, "stream_truncated"},
		"FailsAtTheStart": {&events{[][]byte{[]byte(`data: {"error":{"message":"busy","type":"server_error"}}` + "\n\n")}, io.EOF}, 502, 1, "busy"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, &ir.Backend{Name: "llm", Endpoints: "llm", LLM: &ir.LLMProvider{Provider: "openai", Host: "h"}},
				&ir.Endpoints{Name: "llm", Addresses: []ir.Endpoint{{Host: "10.0.0.7", Port: 443}}},
				routeOf("r", ir.Rule{LLM: &ir.LLMAction{}, Backends: to("llm")}))
			f.to.answer = func(ex *exchange.Exchange, _ *exchange.Target) error {
				ex.Response.Status, ex.Response.Body, ex.Response.ContentLength = 200, test.body, exchange.Unknown
				ex.Response.Header.Add("Content-Type", "text/event-stream")
				return nil
			}
			ex := withBody(request80("POST /chat/completions"), `{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}`)
			h := f.Handler(80, "")
			h.Serve(ex)
			var all bytes.Buffer
			reads, buf := 0, make([]byte, 64<<10)
			for {
				n, err := ex.Response.Body.Read(buf)
				all.Write(buf[:n])
				if n > 0 {
					reads++
				}
				if err != nil {
					break
				}
			}
			h.Finish(ex, exchange.End{})
			if ex.Response.Status != test.status || reads != test.reads || !strings.Contains(all.String(), test.want) {
				t.Errorf("%d in %d reads: %s", ex.Response.Status, reads, all.String())
			}
			if test.want != "[DONE]" && strings.Contains(all.String(), "[DONE]") {
				t.Error("a broken stream ends as if it were whole")
			}
		})
	}
}
