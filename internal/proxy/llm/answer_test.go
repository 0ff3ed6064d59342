package llm

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

const converse = `{"output":{"message":{"role":"assistant","content":[{"text":"hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":3,"outputTokens":1}}`

// TestAnswer_OfBedrock: what only a header of the provider tells, what it costs and
// how it ends are known, and the client is told of a JSON body of its length.
func TestAnswer_OfBedrock(t *testing.T) {
	a, _, err := attempt(t, "bedrock", strings.Replace(request, "{", `{"seed":7,`, 1))
	if err != nil {
		t.Fatal(err)
	}
	resp := answer(200, "application/json; charset=utf-8", converse)
	resp.Header.Add("X-Amzn-Requestid", "id-1")
	resp.Trailer.Add("X-Account", "ours")
	if err := a.Answer(resp, firstSecond(), firstSecond); err != nil {
		t.Fatal(err)
	}
	body := read(t, resp.Body)
	if !strings.Contains(body, `"id":"chatcmpl-id-1"`) || resp.ContentLength != int64(len(body)) || resp.Trailer.Has("X-Account") {
		t.Errorf("%d bytes: %s", resp.ContentLength, body)
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "X-Llm-Dropped-Params": "seed", "X-Request-Id": "id-1"} {
		if got, _ := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if u, ok := a.Usage(); !ok || u != (chat.Usage{Prompt: 3, Completion: 1}) || !a.Whole() || a.Streams() || a.Err() != nil {
		t.Errorf("used %+v, whole %v, %v", u, a.Whole(), a.Err())
	}
	if out := a.Outcome(); out.ID != "chatcmpl-id-1" || len(out.Finishes) != 1 || out.Finishes[0] != chat.FinishStop {
		t.Errorf("%+v", out)
	}
}

// TestAnswer_RetryAfter: an error's pause is told in whole seconds, and only where
// the provider asks for one.
func TestAnswer_RetryAfter(t *testing.T) {
	for field, want := range map[string]string{"7": "7", "soon": "", "0": "1", "Thu, 01 Jan 1970 00:00:31 GMT": "30", "9999": "600"} {
		a, _, err := attempt(t, "openai", request)
		if err != nil {
			t.Fatal(err)
		}
		resp := answer(503, "application/json", `{"error":{"message":"busy"}}`)
		resp.Header.Set("Retry-After", field)
		if err := a.Answer(resp, firstSecond(), firstSecond); err != nil {
			t.Fatal(err)
		}
		if got, _ := resp.Header.Get("Retry-After"); got != want || (a.RetryAfter() == 0) != (want == "") {
			t.Errorf("%q: %q and %v, want %q", field, got, a.RetryAfter(), want)
		}
		if a.Err() == nil || a.Whole() || resp.Status != 503 {
			t.Errorf("%v, whole %v, status %d", a.Err(), a.Whole(), resp.Status)
		}
	}
}

// TestAnswer_RoundsUp: a part of a second is waited for, too.
func TestAnswer_RoundsUp(t *testing.T) {
	a, _, err := attempt(t, "openai", request)
	if err != nil {
		t.Fatal(err)
	}
	resp := answer(503, "application/json", `{}`)
	resp.Header.Set("Retry-After", "Thu, 01 Jan 1970 00:00:31 GMT")
	now := func() time.Time { return time.Unix(1, 1) }
	if err := a.Answer(resp, now(), now); err != nil {
		t.Fatal(err)
	}
	if got, _ := resp.Header.Get("Retry-After"); got != "30" {
		t.Errorf("retry after %s", got)
	}
}

// TestAnswer_ErrorWithStatus200: some servers answer so; it is told without the
// credential that it may repeat.
func TestAnswer_ErrorWithStatus200(t *testing.T) {
	a, _, err := attempt(t, "openai", request)
	if err != nil {
		t.Fatal(err)
	}
	key := a.secrets[0]
	err = a.Answer(answer(200, "application/json", `{"error":{"message":"no `+key+`"}}`), firstSecond(), firstSecond)
	if err == nil || key == "" || strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), redacted) || a.Whole() {
		t.Errorf("%v, whole %v", err, a.Whole())
	}
}

// TestAnswer_OfAStream has the fields that keep anyone on the way from holding it
// back, no length, and what it cost.
func TestAnswer_OfAStream(t *testing.T) {
	a, _, err := attempt(t, "openai", strings.Replace(request, "{", `{"stream":true,`, 1))
	if err != nil {
		t.Fatal(err)
	}
	resp := answer(200, "text/event-stream; charset=utf-8", `data: {"id":"c","choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}`+"\n\n"+
		`data: {"id":"c","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}`+"\n\ndata: [DONE]\n\n")
	resp.Trailer.Add("X-Account", "ours")
	if err := a.Answer(resp, firstSecond(), firstSecond); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-cache"} {
		if got, _ := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if resp.ContentLength != exchange.Unknown || resp.Trailer.Has("X-Account") || !a.Streams() {
		t.Errorf("%d bytes, trailer %v", resp.ContentLength, resp.Trailer)
	}
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
		t.Errorf("%s, %v", body, err)
	}
	if u, ok := a.Usage(); !ok || u != (chat.Usage{Prompt: 3, Completion: 1}) || !a.Whole() || a.Assumed() != (chat.Usage{}) {
		t.Errorf("used %+v and %+v, whole %v", u, a.Assumed(), a.Whole())
	}
}
