package runtime

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

const unary = `{"id":"x","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}`

// openAIOn is a backend that speaks OpenAI's protocol, on a route of its own.
func openAIOn(action ir.LLMAction) []ir.Resource {
	return []ir.Resource{
		&ir.Backend{Name: "llm", Endpoints: "llm", LLM: &ir.LLMProvider{Provider: "openai", Host: "h"}},
		&ir.Endpoints{Name: "llm", Addresses: []ir.Endpoint{{Host: "10.0.0.7", Port: 443}}},
		routeOf("r", ir.Rule{LLM: &action, Backends: to("llm")}),
	}
}

func answerUnary(ex *exchange.Exchange, _ *exchange.Target) error {
	ex.Response.Status = 200
	ex.Response.Header.Add("Content-Type", "application/json")
	ex.Response.Body, ex.Response.ContentLength = upstream.NewBody([]byte(unary)), int64(len(unary))
	return nil
}

// prompt is a request body of that many bytes.
func prompt(size int) string {
	const head, tail = `{"model":"m","messages":[{"role":"user","content":"`, `"}]}`
	return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
}

// holding answers no request before it is let go.
type holding struct{ release chan struct{} }

func (h *holding) RoundTrip(ex *exchange.Exchange, to *exchange.Target) error {
	<-h.release
	return answerUnary(ex, to)
}

// TestLM016_AllBodiesTogetherAreBounded has 200 clients with bodies of 30 KiB
// meet a proxy that has memory for ten, as 200 of 30 MiB would meet one of
// 900 MiB.
func TestLM016_AllBodiesTogetherAreBounded(t *testing.T) {
	const size, room, clients = 30 << 10, 10, 200
	synctest.Test(t, func(t *testing.T) {
		rt := New(Options{LLMMemory: size * room * bodyCost})
		h := &holding{make(chan struct{})}
		rt.opts.HTTP1, rt.opts.HTTP2 = h, h
		if err := rt.Apply(ir.Update{Upserts: append(openAIOn(ir.LLMAction{}), &ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP})}); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		statuses := map[int]int{}
		ask := func() {
			ex := withBody(request80("POST /chat/completions"), prompt(size))
			ex.Request.ContentLength = exchange.Unknown
			handler := rt.Handler(80, "")
			handler.Serve(ex)
			if again, _ := ex.Response.Header.Get("Retry-After"); ex.Response.Status == 503 && again != "1" {
				t.Errorf("Retry-After %q", again)
			}
			if got := text(ex); ex.Response.Status == 503 && !strings.HasPrefix(got, `{"error":{"message":"`) {
				t.Error(got)
			}
			mu.Lock()
			statuses[ex.Response.Status]++
			mu.Unlock()
			handler.Finish(ex, exchange.End{})
		}
		for range clients {
			go ask()
		}
		synctest.Wait()
		if used := rt.memory.used.Load(); used > size*room*bodyCost {
			t.Errorf("%d bytes are in use, more than %d", used, size*room*bodyCost)
		}
		close(h.release)
		synctest.Wait()
		served := statuses[200]
		if served < room/2 || served > room || statuses[503] != clients-served { // those that are refused may hold a part for a moment
			t.Errorf("statuses %v, want up to %d served and the others refused", statuses, room)
		}
		if used := rt.memory.used.Load(); used != 0 {
			t.Errorf("%d bytes are not given back", used)
		}
		ask()
		if statuses[200] != served+1 {
			t.Error("a request is refused when there is room again")
		}
	})
}

// lasting begins to answer when it is told to, and ends when it is let go.
type lasting struct {
	answer         string
	begin, release chan struct{}
}

func (l *lasting) RoundTrip(ex *exchange.Exchange, _ *exchange.Target) error {
	<-l.begin
	ex.Response.Status = 200
	ex.Response.Header.Add("Content-Type", "application/json")
	ex.Response.Body, ex.Response.ContentLength = lastingBody{upstream.NewBody([]byte(l.answer)), l.release}, exchange.Unknown
	return nil
}

type lastingBody struct {
	exchange.Body
	release <-chan struct{}
}

func (b lastingBody) Read(p []byte) (int, error) {
	n, err := b.Body.Read(p)
	if err != nil {
		<-b.release
	}
	return n, err
}

// TestLM016_AllAnswersTogetherAreBounded has 200 clients get answers of 30 KiB
// from a proxy that has memory for ten. The provider is not blamed for it, and no
// other is asked instead.
func TestLM016_AllAnswersTogetherAreBounded(t *testing.T) {
	const size, room, clients = 30 << 10, 10, 200
	synctest.Test(t, func(t *testing.T) {
		rt := New(Options{LLMMemory: size * room * bodyCost})
		l := &lasting{answer: strings.Replace(unary, "hi", strings.Repeat("x", size-len(unary)), 1), begin: make(chan struct{}), release: make(chan struct{})}
		rt.opts.HTTP1, rt.opts.HTTP2 = l, l
		resources := append(openAIOn(ir.LLMAction{}), &ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP},
			&ir.Backend{Name: "other", Endpoints: "llm", LLM: &ir.LLMProvider{Provider: "openai", Host: "h"}},
			routeOf("r", ir.Rule{LLM: &ir.LLMAction{}, Backends: []ir.WeightedBackend{priority(0, "llm"), priority(1, "other")}}))
		if err := rt.Apply(ir.Update{Upserts: resources}); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		statuses := map[int]int{}
		ask := func() {
			ex := withBody(request80("POST /chat/completions"), prompt(100))
			handler := rt.Handler(80, "")
			handler.Serve(ex)
			again, _ := ex.Response.Header.Get("Retry-After")
			if n, _ := ex.Response.Header.Get("X-Llm-Attempts"); n != "" && n != "1" {
				t.Errorf("%s backends were asked", n)
			}
			if body := text(ex); ex.Response.Status == 200 && body != l.answer ||
				ex.Response.Status == 503 && (again != "1" || !strings.Contains(body, "has memory for")) {
				t.Errorf("%d, Retry-After %q: %.200s", ex.Response.Status, again, body)
			}
			handler.Finish(ex, exchange.End{})
			mu.Lock()
			statuses[ex.Response.Status]++
			mu.Unlock()
		}
		for range clients {
			go ask()
		}
		synctest.Wait()
		close(l.begin)
		synctest.Wait()
		if used := rt.memory.used.Load(); used > size*room*bodyCost {
			t.Errorf("%d bytes are in use, more than %d", used, size*room*bodyCost)
		}
		close(l.release)
		synctest.Wait()
		if served := statuses[200]; served < room/2 || served > room || statuses[503] != clients-served {
			t.Errorf("statuses %v, want up to %d served and the others refused", statuses, room)
		}
		if used := rt.memory.used.Load(); used != 0 {
			t.Errorf("%d bytes are not given back", used)
		}
		served := statuses[200]
		if ask(); statuses[200] != served+1 {
			t.Error("a request is refused when there is room again")
		}
	})
}

// TestLM016_OfAStreamTheBeginIsBounded: what comes before the first content is held
// back, what comes after it is not.
func TestLM016_OfAStreamTheBeginIsBounded(t *testing.T) {
	const event = `data: {"id":"x","choices":[{"index":0,"delta":{"content":"%s"}}]}` + "\n\n"
	for name, c := range map[string]struct {
		says   string
		status int
	}{"Announces": {"", 503}, "Says": {"hi", 200}} {
		t.Run(name, func(t *testing.T) {
			rt := New(Options{LLMMemory: 10 << 10 * bodyCost})
			stream := strings.Repeat(fmt.Sprintf(event, c.says), 1000)
			answer := &transport{answer: func(ex *exchange.Exchange, _ *exchange.Target) error {
				ex.Response.Status = 200
				ex.Response.Header.Add("Content-Type", "text/event-stream")
				ex.Response.Body, ex.Response.ContentLength = upstream.NewBody([]byte(stream)), exchange.Unknown
				return nil
			}}
			rt.opts.HTTP1, rt.opts.HTTP2 = answer, answer
			if err := rt.Apply(ir.Update{Upserts: append(openAIOn(ir.LLMAction{}), &ir.Listener{Name: "gw/http", Port: 80, Protocol: ir.ProtocolHTTP})}); err != nil {
				t.Fatal(err)
			}
			ex := withBody(request80("POST /chat/completions"), strings.Replace(prompt(100), "{", `{"stream":true,`, 1))
			handler := rt.Handler(80, "")
			handler.Serve(ex)
			if body := text(ex); ex.Response.Status != c.status || c.status == 200 && !strings.HasPrefix(body, stream) {
				t.Errorf("%d %.200q, want %d", ex.Response.Status, body, c.status)
			}
			handler.Finish(ex, exchange.End{})
			if used := rt.memory.used.Load(); used != 0 {
				t.Errorf("%d bytes are not given back", used)
			}
		})
	}
}

func TestLM016_ABodyThatNeverFitsIsTooLarge(t *testing.T) {
	f := newFixture(t, openAIOn(ir.LLMAction{})...)
	f.memory.limit = 1 << 20 * bodyCost
	ex := withBody(request80("POST /chat/completions"), prompt(2<<20))
	f.serve(f.Handler(80, ""), ex)
	f.wantStatus(ex, 413)
	if f.memory.used.Load() != 0 {
		t.Error("memory is not given back")
	}
}

func TestLM014_Bodies(t *testing.T) {
	const limit = 64 << 10
	fits := prompt(limit)
	for name, test := range map[string]struct {
		ex   *exchange.Exchange
		want int
	}{
		"AtTheLimit":     {withBody(request80("POST /chat/completions"), fits), 200},
		"TooLong":        {withBody(request80("POST /chat/completions"), fits+" "), 413},
		"TooLongChunked": {chunked(withBody(request80("POST /chat/completions"), fits+" ")), 413},
		"Chunked":        {chunked(withBody(request80("POST /chat/completions"), fits)), 200},
		"Gzip":           {withBody(request80("POST /chat/completions", "Content-Encoding: gzip"), "\x1f\x8b"), 415},
		"TwoCodings":     {withBody(request80("POST /chat/completions", "Content-Encoding: identity, br"), fits), 415},
		"Identity":       {withBody(request80("POST /chat/completions", "Content-Encoding: identity"), fits), 200},
		"Form":           {withBody(request80("POST /chat/completions", "Content-Type: application/x-www-form-urlencoded"), fits), 415},
		"Multipart":      {withBody(request80("POST /chat/completions", "Content-Type: multipart/form-data; boundary=x"), fits), 415},
		"Text":           {withBody(request80("POST /chat/completions", "Content-Type: text/plain; application/json"), fits), 415},
		"NoType":         {withBody(request80("POST /chat/completions", "Content-Type: "), fits), 415},
		"JSON":           {withBody(request80("POST /chat/completions", "Content-Type: Application/JSON ; charset=utf-8"), fits), 200},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, openAIOn(ir.LLMAction{MaxBody: limit})...)
			f.to.answer = answerUnary
			h := f.Handler(80, "")
			h.Serve(test.ex)
			if got := text(test.ex); test.ex.Response.Status != test.want || test.want != 200 && !strings.HasPrefix(got, `{"error":{"message":"`) {
				t.Errorf("%d %s", test.ex.Response.Status, got)
			}
			if sent := len(f.to.seen); (sent == 1) != (test.want == 200) {
				t.Errorf("the provider got %d requests", sent)
			}
			h.Finish(test.ex, exchange.End{})
			if f.memory.used.Load() != 0 {
				t.Error("memory is not given back")
			}
		})
	}
}

func chunked(ex *exchange.Exchange) *exchange.Exchange {
	ex.Request.ContentLength = exchange.Unknown
	return ex
}

// announced is a body of which nothing comes.
type announced struct{}

func (announced) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (announced) Buffered() int            { return 0 }
func (announced) Close() error             { return nil }

func TestLM016_WhatIsOnlyAnnouncedTakesNothing(t *testing.T) {
	f := newFixture(t, openAIOn(ir.LLMAction{})...)
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			ex := request80("POST /chat/completions")
			ex.Request.Body, ex.Request.ContentLength = announced{}, 32<<20
			f.serve(f.Handler(80, ""), ex)
			if ex.Response.Status != 400 {
				b.Fatal(ex.Response.Status)
			}
		}
	})
	if n := result.AllocedBytesPerOp(); n > 128<<10 {
		t.Errorf("a body that never comes takes %d bytes", n)
	}
}
