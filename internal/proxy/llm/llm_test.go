package llm

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/ai/bedrock"
	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

func TestProtocolOf(t *testing.T) {
	for _, test := range []struct {
		path, prefix string
		want         ai.Protocol
		ok           bool
	}{
		{"/v1/chat/completions", "/v1/chat/completions", ai.Chat, true},
		{"/v1/chat/completions/", "/v1/chat/completions", ai.Chat, true},
		{"/llm", "/llm", ai.Chat, true},
		{"/llm/chat/completions", "/llm", ai.Chat, true},
		{"/llm/v1/chat/completions", "/llm", ai.Chat, true},
		{"/v1/chat/completions", "", ai.Chat, true},
		{"/v1/messages", "", ai.Messages, true},
		{"/v1/messages", "/v1/messages", ai.Messages, true},
		{"/v1/messages/count_tokens", "", ai.Tokens, true},
		{"/v1/messages/count_tokens", "/v1/messages", ai.Tokens, true},
		{"/v1/chat/completions/count_tokens", "/v1/chat/completions", ai.Tokens, false},
		{"/llm/v1/responses", "/llm", ai.Responses, true},
		{"/v1/responses", "/v1/responses", ai.Responses, true},
		{"/v1/embeddings", "", ai.Embeddings, true},
		{"/v1/embeddings", "/v1/embeddings", ai.Embeddings, true},
		{"/v1/moderations", "", ai.Chat, false},
		{"/v1/messages/batches", "", ai.Messages, false},
		{"/v1/chat/completions/x", "/v1/chat/completions", ai.Chat, false},
		{"/v1/v1/chat/completions", "", ai.Chat, false},
	} {
		if got, ok := ProtocolOf(test.path, test.prefix); got != test.want || ok != test.ok {
			t.Errorf("%s under %q: %s, %v", test.path, test.prefix, got, ok)
		}
	}
}

const request = `{"model":"m","messages":[{"role":"user","content":"hello"}]}`

func prepare(t *testing.T, p ir.LLMProvider, secret *ir.Secret) (*Attempt, *exchange.Request, error) {
	t.Helper()
	call, err := new(Memory).Parse(ai.Chat, []byte(request), false)
	if err != nil {
		t.Fatal(err)
	}
	req := &exchange.Request{Method: "POST", Path: "/v1/chat/completions", Query: "key=mine", HasQuery: true, Authority: "gateway"}
	for _, name := range []string{"Authorization", "x-api-key", "Api-Key", "x-goog-api-key", "Cookie", "anthropic-beta", "OpenAI-Project", "X-Forwarded-For", "Content-Encoding"} {
		req.Header.Add(name, "mine")
	}
	req.Header.Add("Traceparent", "00-1")
	a, err := call.Prepare(req, &upstream.Config{Backend: &ir.Backend{LLM: &p}, Credentials: secret, APIKey: upstream.APIKey(secret)}, p.Model)
	if err == nil {
		err = a.Authenticate(req, new(bedrock.Signer), func() time.Time { return time.Unix(1_800_000_000, 0) })
	}
	return a, req, err
}

func TestPrepare_SendsOneCredentialAndNothingOfTheClients(t *testing.T) {
	one := &ir.Secret{Values: map[string]ir.Bytes{"apiKey": ir.Bytes(" sk-1\n")}}
	pair := &ir.Secret{Values: map[string]ir.Bytes{"accessKeyID": ir.Bytes("AKID"), "secretAccessKey": ir.Bytes("s3\n")}}
	for name, test := range map[string]struct {
		provider    ir.LLMProvider
		field, want string
		path        string
	}{
		"OpenAI":    {ir.LLMProvider{Provider: "openai", Host: "h", BasePath: "/v1"}, "Authorization", "Bearer sk-1", "/v1/chat/completions"},
		"Bedrock":   {ir.LLMProvider{Provider: "bedrock", Host: "h", Region: "us-east-1", Model: "a:0"}, "X-Amz-Date", "20270115T080000Z", "/model/a%3A0/converse"},
		"Anthropic": {ir.LLMProvider{Provider: "anthropic", Host: "h"}, "X-Api-Key", "sk-1", "/v1/messages"},
	} {
		t.Run(name, func(t *testing.T) {
			secret := one
			if name == "Bedrock" {
				secret = pair
			}
			_, req, err := prepare(t, test.provider, secret)
			if err != nil {
				t.Fatal(err)
			}
			if v, _ := req.Header.Get(test.field); v != test.want {
				t.Errorf("%s: %q", test.field, v)
			}
			for f := range req.Header.All() {
				if f.Value == "mine" {
					t.Errorf("%s of the client goes to the provider", f.Name)
				}
			}
			if req.Authority != "h" || req.Path != test.path || req.HasQuery || req.Query != "" || !req.Header.Has("Traceparent") {
				t.Errorf("%+v", req)
			}
			if b, err := io.ReadAll(req.Body); err != nil || int64(len(b)) != req.ContentLength || !strings.Contains(string(b), "hello") {
				t.Errorf("body %s, %v", b, err)
			}
		})
	}
}

func TestPrepare_LimitsTheAnswerAsTheBackendSays(t *testing.T) {
	_, req, err := prepare(t, ir.LLMProvider{Provider: "anthropic", Host: "h", MaxTokens: 77}, &ir.Secret{Values: map[string]ir.Bytes{"apiKey": ir.Bytes("k")}})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(req.Body); err != nil || !strings.Contains(string(b), `"max_tokens":77`) {
		t.Errorf("body %s, %v", b, err)
	}
}

// TestPrepare_AsksForBetas: the names of Anthropic's features go to Anthropic,
// from its own clients, whoever was asked before; nothing else of the field does.
// Where they do not go, that is told.
func TestPrepare_AsksForBetas(t *testing.T) {
	body := `{"model":"claude-opus-4-5","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}`
	call, err := new(Memory).Parse(ai.Messages, []byte(body), false)
	if err != nil {
		t.Fatal(err)
	}
	req := &exchange.Request{Method: "POST", Path: "/v1/messages", Authority: "gateway"}
	req.Header.Add("anthropic-beta", "interleaved-thinking-2025-05-14, context-1m-2025-08-07")
	req.Header.Add("anthropic-beta", "Bearer mine,effort-2025-11-24,,a;b")
	for _, step := range []struct{ provider, want string }{
		{"openai", ""},
		{"anthropic", "interleaved-thinking-2025-05-14,context-1m-2025-08-07,effort-2025-11-24"},
		{"bedrock", ""},
		{"anthropic", "interleaved-thinking-2025-05-14,context-1m-2025-08-07,effort-2025-11-24"},
	} {
		backend := &upstream.Config{Backend: &ir.Backend{LLM: &ir.LLMProvider{Provider: step.provider, Host: "h"}}}
		a, err := call.Prepare(req, backend, "")
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := req.Header.Get("Anthropic-Beta"); got != step.want {
			t.Errorf("%s gets %q, want %q", step.provider, got, step.want)
		}
		if told := slices.Contains(a.Wire.Dropped, "anthropic-beta"); told != (step.want == "") {
			t.Errorf("%s: dropped %q", step.provider, a.Wire.Dropped)
		}
	}
}

// TestFaithful_JudgesByTheBody: what a client may use is no parameter, what it does
// use is; nor does it change an answer who asks.
func TestFaithful_JudgesByTheBody(t *testing.T) {
	const beta = "context-management-2025-06-27,interleaved-thinking-2025-05-14"
	for name, test := range map[string]struct {
		protocol ai.Protocol
		provider string
		beta     string
		members  string
		param    string // why it is refused; "": it is not
	}{
		"Names":             {ai.Messages, "bedrock", beta, ``, ""},
		"NamesToOpenAI":     {ai.Messages, "openai", beta, ``, ""},
		"Used":              {ai.Messages, "bedrock", beta, `,"context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}`, "context_management"},
		"UsedNotNamed":      {ai.Messages, "openai", "", `,"context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}`, "context_management"},
		"UsedAtHome":        {ai.Messages, "anthropic", beta, `,"context_management":{"edits":[{"type":"clear_tool_uses_20250919"}]}`, ""},
		"NamesAndMetadata":  {ai.Messages, "bedrock", beta, `,"metadata":{"user_id":"u"}`, ""},
		"MoreMetadata":      {ai.Messages, "bedrock", "", `,"metadata":{"user_id":"u","team":"t"}`, ""},
		"User":              {ai.Chat, "bedrock", "", `,"user":"u","safety_identifier":"s","metadata":{"a":"b"}`, ""},
		"Kept":              {ai.Chat, "anthropic", "", `,"store":true,"prompt_cache_key":"k","prompt_cache_retention":"24h"`, ""},
		"UserAndSeed":       {ai.Chat, "bedrock", "", `,"user":"u","seed":1`, "seed"},
		"Cache":             {ai.Messages, "bedrock", "", `,"cache_control":{"type":"ephemeral"}`, ""},
		"BetaOfAChatClient": {ai.Chat, "bedrock", beta, ``, ""},
	} {
		t.Run(name, func(t *testing.T) {
			body := `{"model":"claude-opus-4-5","max_tokens":9,"messages":[{"role":"user","content":"hello"}]` + test.members + `}`
			call, err := new(Memory).Parse(test.protocol, []byte(body), false)
			if err != nil {
				t.Fatal(err)
			}
			req := &exchange.Request{Method: "POST"}
			req.Header.Add("Anthropic-Beta", test.beta)
			backend := &upstream.Config{Backend: &ir.Backend{LLM: &ir.LLMProvider{Provider: test.provider, Host: "h", Model: "anthropic.claude-opus-4-5"}}}
			a, err := call.Prepare(req, backend, "")
			if err != nil {
				t.Fatal(err)
			}
			e, refused := errors.AsType[*chat.Error](a.Faithful())
			if refused != (test.param != "") || refused && (e.Status != 400 || e.Param != test.param) {
				t.Errorf("%v, dropped %q", e, a.Wire.Dropped)
			}
		})
	}
}

func TestPrepare_RefusesWhatItCanNotSend(t *testing.T) {
	for name, test := range map[string]struct {
		provider string
		secret   *ir.Secret
		want     int
	}{
		"UnknownProvider": {"nobody", nil, 500},
		"NoUsableKey":     {"openai", &ir.Secret{Values: map[string]ir.Bytes{"a": ir.Bytes("1")}}, 500},
		"BedrockNewline":  {"bedrock", &ir.Secret{Values: map[string]ir.Bytes{"apiKey": ir.Bytes("a\r\nB: c")}}, 500},
		"BedrockHalf":     {"bedrock", &ir.Secret{Values: map[string]ir.Bytes{"accessKeyID": ir.Bytes("1")}}, 500},
		"EmptyKey":        {"openai", &ir.Secret{Values: map[string]ir.Bytes{"apiKey": ir.Bytes("\n")}}, 500},
		"KeyWithNewline":  {"openai", &ir.Secret{Values: map[string]ir.Bytes{"apiKey": ir.Bytes("a\r\nB: c")}}, 500},
	} {
		t.Run(name, func(t *testing.T) {
			_, req, err := prepare(t, ir.LLMProvider{Provider: test.provider, Host: "h"}, test.secret)
			e, ok := errors.AsType[*chat.Error](err)
			if !ok || e.Status != test.want {
				t.Errorf("%v", err)
			}
			if v, _ := req.Header.Get("Authorization"); strings.Contains(v, "Bearer") {
				t.Errorf("a credential was set: %q", v)
			}
		})
	}
}

func answer(status int, kind, body string) *exchange.Response {
	resp := &exchange.Response{Status: status, Body: upstream.NewBody([]byte(body)), ContentLength: int64(len(body))}
	resp.Header.Add("Content-Type", kind)
	resp.Header.Add("Retry-After", "7")
	resp.Header.Add("openai-organization", "ours")
	resp.Header.Add("x-ratelimit-remaining-requests", "1")
	return resp
}

func TestAnswer_PassesErrorsOnWithoutTheCredential(t *testing.T) {
	a, _, err := prepare(t, ir.LLMProvider{Provider: "openai", Host: "h"}, &ir.Secret{Values: map[string]ir.Bytes{"apiKey": ir.Bytes("sk-secret")}})
	if err != nil {
		t.Fatal(err)
	}
	resp := answer(429, "application/json", `{"error":{"message":"slow down, sk-secret","type":"rate_limit_error"}}`)
	if err := a.Answer(resp, firstSecond(), firstSecond); err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	if resp.Status != 429 || !strings.Contains(string(b), "slow down") || strings.Contains(string(b), "sk-secret") {
		t.Errorf("%d %s", resp.Status, b)
	}
	if !resp.Header.Has("Retry-After") || resp.Header.Has("openai-organization") || resp.Header.Has("x-ratelimit-remaining-requests") {
		t.Errorf("header %v", resp.Header)
	}
}

func TestAnswer_TranslatesAnthropic(t *testing.T) {
	a, _, err := prepare(t, ir.LLMProvider{Provider: "anthropic", Host: "h"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp := answer(200, "application/json", `{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":1}}`)
	if err := a.Answer(resp, firstSecond(), firstSecond); err != nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	for _, want := range []string{`"object":"chat.completion"`, `"content":"hi"`, `"total_tokens":4`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s lacks %s", b, want)
		}
	}
}

// TestAnswer_TellsTheRequestsID: where the clients of each protocol look for it,
// whatever the provider calls it.
func TestAnswer_TellsTheRequestsID(t *testing.T) {
	for protocol, body := range map[ai.Protocol]string{
		ai.Chat:     request,
		ai.Messages: `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}`,
	} {
		for provider, field := range map[string]string{"openai": "x-request-id", "anthropic": "request-id", "bedrock": "x-amzn-RequestId"} {
			call, err := new(Memory).Parse(protocol, []byte(body), false)
			if err != nil {
				t.Fatal(err)
			}
			a, err := call.Prepare(&exchange.Request{}, &upstream.Config{Backend: &ir.Backend{LLM: &ir.LLMProvider{Provider: provider, Host: "h"}}}, "")
			if err != nil {
				t.Fatal(err)
			}
			resp := answer(400, "application/json", `{}`)
			resp.Header.Add(field, "id-1")
			if err := a.Answer(resp, firstSecond(), firstSecond); err != nil {
				t.Fatal(err)
			}
			want := map[ai.Protocol]string{ai.Chat: "X-Request-Id", ai.Messages: "Request-Id"}[protocol]
			if id, _ := resp.Header.Get(want); id != "id-1" {
				t.Errorf("%s from %s: %v", protocol, provider, resp.Header)
			}
		}
	}
}

func TestAnswer_RefusesWhatItCanNotRead(t *testing.T) {
	for name, resp := range map[string]*exchange.Response{
		"NotJSON":    answer(200, "application/json", "hello"),
		"EmptyBody":  {Status: 200},
		"NoStream":   answer(200, "text/event-stream", ""),
		"BrokenOff":  {Status: 200, Body: &broken{}},
		"ErrorBreak": {Status: 500, Body: &broken{}},
	} {
		t.Run(name, func(t *testing.T) {
			a, _, err := prepare(t, ir.LLMProvider{Provider: "anthropic", Host: "h"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			err = a.Answer(resp, firstSecond(), firstSecond)
			if e, ok := errors.AsType[*chat.Error](err); !ok || e.Status != 502 {
				t.Errorf("%v, status %d", err, resp.Status)
			}
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
func (broken) Buffered() int            { return 0 }
func (broken) Close() error             { return nil }

// counted counts how often it is closed.
type counted struct {
	io.Reader
	closed int
}

func (*counted) Buffered() int  { return 0 }
func (c *counted) Close() error { c.closed++; return nil }

// A body that is closed again may be that of another request by then.
func TestReadAll_ClosesABodyOnce(t *testing.T) {
	for name, in := range map[string]io.Reader{"Whole": strings.NewReader("12"), "TooLong": strings.NewReader("123"), "Broken": broken{}} {
		body := &counted{Reader: in}
		_, _ = readAll(nil, &exchange.Response{Body: body, ContentLength: -1}, 2)
		if body.closed != 1 {
			t.Errorf("%s: closed %d times", name, body.closed)
		}
	}
}

// left is the stream of a provider whose client has gone after what it holds.
type left struct{ io.Reader }

func (l left) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if err != nil {
		err = exchange.ErrClientGone
	}
	return n, err
}
func (left) Buffered() int { return 0 }
func (left) Close() error  { return nil }

func TestT64_TokensOfAStreamThatTheClientLeftAreCounted(t *testing.T) {
	call, err := new(Memory).Parse(ai.Chat, []byte(`{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}`), false)
	if err != nil {
		t.Fatal(err)
	}
	config := &upstream.Config{Backend: &ir.Backend{LLM: &ir.LLMProvider{Provider: "anthropic", Host: "h"}}}
	a, err := call.Prepare(&exchange.Request{Method: "POST"}, config, "")
	if err != nil {
		t.Fatal(err)
	}
	resp := answer(200, "text/event-stream", "")
	resp.Body = left{strings.NewReader("data: " + `{"type":"message_start","message":{"id":"1","usage":{"input_tokens":7,"output_tokens":1}}}` + "\n\n" +
		"data: " + `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"sixteen bytes..."}}` + "\n\n")}
	if err := a.Answer(resp, firstSecond(), firstSecond); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(resp.Body); !errors.Is(err, exchange.ErrClientGone) || strings.Contains(string(b), "error") {
		t.Errorf("%v\n%s", err, b)
	}
	if u, ok := a.Usage(); !ok || u.Prompt != 7 || u.Completion != 1 {
		t.Errorf("%+v, counted: %v", u, ok)
	}
	if u := a.Assumed(); u.Prompt != 0 || u.Completion != 3 {
		t.Errorf("assumed: %+v", u)
	}
	if failed, ok := errors.AsType[*exchange.Failure](a.Err()); !ok || failed.Stage != exchange.StageClient {
		t.Errorf("%v", a.Err())
	}
}

// stalled is the stream of a provider that is silent after what it holds.
type stalled struct{ left }

func (s stalled) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil {
		err = exchange.ErrReadTimeout
	}
	return n, err
}

func TestT65_SilenceWithinAStreamIsToldAndNotAnEnd(t *testing.T) {
	const role = `data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}` + "\n\n"
	const hello = `data: {"choices":[{"index":0,"delta":{"content":"hello"}}]}` + "\n\n"
	for name, sent := range map[string]string{"BeforeContent": role, "AfterContent": role + hello} {
		t.Run(name, func(t *testing.T) {
			call, err := new(Memory).Parse(ai.Chat, []byte(`{"model":"m","stream":true,"messages":[{"role":"user","content":"hello"}]}`), false)
			if err != nil {
				t.Fatal(err)
			}
			config := &upstream.Config{Backend: &ir.Backend{LLM: &ir.LLMProvider{Provider: "openai", Host: "h"}}}
			a, err := call.Prepare(&exchange.Request{Method: "POST"}, config, "")
			if err != nil {
				t.Fatal(err)
			}
			resp := answer(200, "text/event-stream", "")
			resp.Body = stalled{left{strings.NewReader(sent)}}
			err = a.Answer(resp, firstSecond(), firstSecond)
			if e, ok := errors.AsType[*chat.Error](err); name == "BeforeContent" {
				if !ok || e.Status != 504 || resp.Body != nil {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			if got := string(b); err != nil || !strings.Contains(got, "hello") || !strings.Contains(got, `"code":"upstream_timeout"`) || strings.Contains(got, "[DONE]") || strings.Contains(got, "finish_reason\":\"") {
				t.Errorf("%v\n%s", err, got)
			}
			if e, ok := errors.AsType[*chat.Error](a.Err()); !ok || e.Status != 504 || a.Whole() {
				t.Errorf("%v", a.Err())
			}
		})
	}
}

func TestLM032_RetryAfterIsHeld(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "soon": 0, "1.5": 0, "7": 7 * time.Second, "0": time.Second, "-5": time.Second,
		"99999999": 10 * time.Minute, "99999999999999999999999": 10 * time.Minute,
		"Sat, 28 Nov 2026 12:00:30 GMT": 30 * time.Second, "Sat, 28 Nov 2020 12:00:30 GMT": time.Second, "Sat, 28 Nov 2099 12:00:30 GMT": 10 * time.Minute,
	} {
		if got := parseRetryAfter(v, now); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

// counting counts how often a body is closed.
type counting struct {
	exchange.Body
	closed *int
}

func (c counting) Close() error {
	*c.closed++
	return c.Body.Close()
}

func TestAnswer_ClosesTheProvidersBodyOnce(t *testing.T) {
	for name, resp := range map[string]*exchange.Response{
		"Whole":    answer(200, "application/json", `{"content":[{"type":"text","text":"hi"}]}`),
		"Error":    answer(500, "application/json", `{}`),
		"Redirect": answer(302, "text/html", `elsewhere`),
		"Stream":   answer(200, "text/event-stream", "data: x\n\n"),
		"Empty":    answer(200, "application/json", ""),
		"TooLong":  answer(500, "text/plain", strings.Repeat("x", maxError+2)),
		"Broken":   {Status: 200, Body: broken{}},
	} {
		t.Run(name, func(t *testing.T) {
			closed := 0
			resp.Body = counting{resp.Body, &closed}
			a, _, err := prepare(t, ir.LLMProvider{Provider: "anthropic", Host: "h"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = a.Answer(resp, firstSecond(), firstSecond) // the bodies count here
			if closed != 1 {
				t.Errorf("closed %d times", closed)
			}
		})
	}
}
