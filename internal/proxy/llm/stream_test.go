package llm

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// scripted is a provider's stream: each read gives the next piece, then err.
type scripted struct {
	pieces []string
	err    error
	reads  int
	closed bool
}

func (s *scripted) Read(p []byte) (int, error) {
	s.reads++
	if len(s.pieces) == 0 {
		return 0, s.err
	}
	n := copy(p, s.pieces[0])
	s.pieces = s.pieces[1:]
	return n, nil
}

func (s *scripted) Buffered() int { return 0 }

func (s *scripted) Close() error {
	s.closed = true
	return nil
}

const (
	starts = "data: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"c\",\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n"
	hello  = "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hello\"}}\n\n"
	more   = "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"more\"}}\n\n"
)

// answering prepares a call for a stream of Anthropic's and answers it with src.
func answering(t *testing.T, src *scripted) (*Attempt, *exchange.Response, error) {
	t.Helper()
	call, err := new(Memory).Parse(ai.Chat, []byte(`{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}`), false)
	if err != nil {
		t.Fatal(err)
	}
	config := &upstream.Config{Backend: &ir.Backend{LLM: &ir.LLMProvider{Provider: "anthropic", Host: "h"}}}
	a, err := call.Prepare(&exchange.Request{Method: "POST"}, config, "")
	if err != nil {
		t.Fatal(err)
	}
	resp := &exchange.Response{Status: 200, Body: src, ContentLength: exchange.Unknown}
	resp.Header.Add("Content-Type", "text/event-stream")
	return a, resp, a.Answer(resp, firstSecond(), firstSecond)
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	b := make([]byte, 4<<10)
	n, err := r.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

// TestT67_EachEventGoesOutAtOnce: what the provider has sent is passed on before
// it is asked for more.
func TestT67_EachEventGoesOutAtOnce(t *testing.T) {
	src := &scripted{pieces: []string{starts, hello, more}, err: io.ErrUnexpectedEOF}
	_, resp, err := answering(t, src)
	if err != nil || src.reads != 2 {
		t.Fatalf("%v after %d reads", err, src.reads)
	}
	if got := read(t, resp.Body); !strings.Contains(got, `"content":"hello"`) || src.reads != 2 {
		t.Errorf("after %d reads: %s", src.reads, got)
	}
	if got := read(t, resp.Body); !strings.Contains(got, `"content":"more"`) || src.reads != 3 {
		t.Errorf("after %d reads: %s", src.reads, got)
	}
}

// TestT64_AClientThatLeaves ends the provider's stream, and what was used until
// then is known.
func TestT64_AClientThatLeaves(t *testing.T) {
	src := &scripted{pieces: []string{starts, hello, more}}
	a, resp, err := answering(t, src)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || !src.closed {
		t.Errorf("%v, closed %v", err, src.closed)
	}
	if u, ok := a.Usage(); !ok || u.Prompt != 10 || u.Completion != 1 {
		t.Errorf("%+v, %v", u, ok)
	}
}

// TestT65_AStreamThatFallsSilent: the transport's deadline ends the read; the
// client is told, and not that the answer is whole.
func TestT65_AStreamThatFallsSilent(t *testing.T) {
	src := &scripted{pieces: []string{starts, hello}, err: os.ErrDeadlineExceeded}
	_, resp, err := answering(t, src)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if got := string(b); err != nil || !strings.Contains(got, `data: {"error":{`) || strings.Contains(got, "[DONE]") || strings.Contains(got, `"finish_reason":"`) {
		t.Errorf("%v\n%s", err, got)
	}
	src = &scripted{pieces: []string{starts}, err: os.ErrDeadlineExceeded}
	if _, _, err = answering(t, src); err == nil || !src.closed {
		t.Errorf("silence before the first content: %v, closed %v", err, src.closed)
	}
}

func TestT48_CompressedAnswers(t *testing.T) {
	for status, want := range map[int]string{200: "compressed", 429: ""} {
		a, req, err := prepare(t, ir.LLMProvider{Provider: "openai", Host: "h"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := req.Header.Get("Accept-Encoding"); v != "identity" {
			t.Errorf("the provider is asked for %q", v)
		}
		resp := answer(status, "application/json", "\x1f\x8b\x08")
		resp.Header.Add("Content-Encoding", "gzip")
		err = a.Answer(resp, firstSecond(), firstSecond)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", status, err)
		}
		if err == nil && (resp.Status != status || resp.Header.Has("Content-Encoding")) {
			t.Errorf("status %d, header %v", resp.Status, resp.Header)
		}
	}
}

// TestT66_TheOtherKindOfAnswer is also LM-025: a client of a stream cannot read
// a whole answer, nor the reverse.
func TestT66_TheOtherKindOfAnswer(t *testing.T) {
	a, _, err := prepare(t, ir.LLMProvider{Provider: "openai", Host: "h"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Answer(answer(200, "text/event-stream", "data: [DONE]\n\n"), firstSecond(), firstSecond); err == nil {
		t.Error("a stream that was not asked for is passed on")
	}
	for _, kind := range []string{"application/json", "text/html", ""} {
		src := &scripted{pieces: []string{"{}"}, err: io.EOF}
		a, resp, err := answering(t, &scripted{pieces: []string{starts, hello}, err: io.EOF})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body = src
		resp.Header.Set("Content-Type", kind)
		if err := a.Answer(resp, firstSecond(), firstSecond); !strings.HasPrefix(errorOf(err), "502") || !src.closed {
			t.Errorf("%q: %v, closed %v", kind, err, src.closed)
		}
	}
}

func errorOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestT57_AnErrorBeforeContent has its own status, so that another provider
// may be tried.
func TestT57_AnErrorBeforeContent(t *testing.T) {
	src := &scripted{pieces: []string{starts, "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"}}
	_, _, err := answering(t, src)
	e, ok := errors.AsType[*chat.Error](err)
	if !ok || e.Status != 503 || e.Message != "busy" || !src.closed {
		t.Errorf("%v, closed %v", err, src.closed)
	}
}

// TestT57_AnErrorWithTheFirstContent comes in one read with it, so that nothing
// has gone out yet.
func TestT57_AnErrorWithTheFirstContent(t *testing.T) {
	src := &scripted{pieces: []string{starts + hello + "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"}}
	_, resp, err := answering(t, src)
	if e, ok := errors.AsType[*chat.Error](err); !ok || e.Status != 503 || resp.Body != nil || !src.closed {
		t.Errorf("%v, closed %v", err, src.closed)
	}
}

// firstSecond is the time in these tests.
func firstSecond() time.Time { return time.Unix(1, 0) }
