package runtime

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// limited is a policy "limits" of these limits, and a table "prices" by which a
// thousand tokens of every model of OpenAI cost a dollar.
func limited(limits ...ir.Limit) []ir.Resource {
	for i := range limits {
		if limits[i].Scope == "" {
			limits[i].Scope = ir.ScopeConsumer
		}
	}
	const price = 1000 * 1_000_000_000
	return []ir.Resource{
		&ir.Policy{Name: "limits", Source: ir.Source{Namespace: "ns", Name: "team"}, Limits: &ir.LimitPolicy{Limits: limits, MaxOutput: 100}},
		&ir.Policy{Name: "prices", Prices: &ir.PriceTable{Prices: []ir.Price{{Provider: "openai", Model: "*", Input: price, Output: price}}}},
	}
}

// newLimited is a runtime with limits, at a time of its own.
func newLimited(t *testing.T, backends []ir.WeightedBackend, limits ...ir.Limit) (m *models, now *time.Time) {
	t.Helper()
	m = newModels(t, ir.Rule{LLM: &ir.LLMAction{Limits: []string{"limits"}, Prices: "prices"}, Backends: backends})
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	setClock(m.Runtime, func() time.Time { return noon })
	m.apply(ir.Update{Upserts: limited(limits...)})
	return m, &noon
}

func fieldsOf(ex *exchange.Exchange, prefix string) map[string]string {
	out := map[string]string{}
	for f := range ex.Response.Header.All() {
		if strings.HasPrefix(f.Name, prefix) || f.Name == "Retry-After" || f.Name == "X-Should-Retry" {
			out[f.Name] = f.Value
		}
	}
	return out
}

func TestLimits_AreToldAsOpenAIDoes(t *testing.T) {
	m, _ := newLimited(t, to("a"),
		ir.Limit{Name: "rpm", Unit: ir.LimitRequests, Per: ir.PerMinute, Amount: 2},
		ir.Limit{Name: "tpd", Unit: ir.LimitTokens, Per: ir.PerDay, Amount: 10_000})
	const prompt = 15 // 61 bytes of body
	for left := range 2 {
		ex, _, _ := m.ask("m")
		want := map[string]string{
			"X-Ratelimit-Limit-Requests": "2", "X-Ratelimit-Remaining-Requests": fmt.Sprint(1 - left), "X-Ratelimit-Reset-Requests": "2m0s",
			"X-Ratelimit-Limit-Tokens": "10000", "X-Ratelimit-Remaining-Tokens": fmt.Sprint(10_000 - prompt - 100 - 4*left), "X-Ratelimit-Reset-Tokens": "12h0m0s",
		}
		if diff := cmp.Diff(want, fieldsOf(ex, "X-Ratelimit")); diff != "" || ex.Response.Status != 200 {
			t.Errorf("%d (-want +got):\n%s", ex.Response.Status, diff)
		}
	}
	ex, body, asked := m.ask("m")
	if asked != "" || ex.Response.Status != 429 ||
		body != `{"error":{"message":"limit rpm of policy ns/team is used up","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}` {
		t.Errorf("%s was asked; %d %s", asked, ex.Response.Status, body)
	}
	got := fieldsOf(ex, "X-Ratelimit")
	if got["Retry-After"] != "90" || got["X-Should-Retry"] != "false" || got["X-Ratelimit-Remaining-Requests"] != "0" || got["X-Ratelimit-Remaining-Tokens"] != "9992" {
		t.Errorf("%v", got)
	}
	if rec := m.done[2]; rec.LLM.Limited == nil || rec.LLM.Limited.Name != "rpm" || rec.Err == nil {
		t.Errorf("the record says %+v", rec.LLM)
	}
}

func TestLimits_AreToldAsAnthropicDoes(t *testing.T) {
	m, _ := newLimited(t, to("b"), ir.Limit{Name: "in", Unit: ir.LimitInputTokens, Per: ir.PerHour, Amount: 1000})
	m.answers["b"] = `200 {"content":[{"type":"text","text":"yes"}],"usage":{"input_tokens":990,"output_tokens":5}}`
	ask := func() (*exchange.Exchange, string) {
		ex := withBody(request80("POST /v1/messages"), `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}`)
		h := m.Handler(80, "")
		h.Serve(ex)
		body := text(ex)
		h.Finish(ex, exchange.End{})
		return ex, body
	}
	ex, _ := ask()
	want := map[string]string{
		"Anthropic-Ratelimit-Input-Tokens-Limit": "1000", "Anthropic-Ratelimit-Input-Tokens-Remaining": "982",
		"Anthropic-Ratelimit-Input-Tokens-Reset": "2026-11-28T14:00:00Z",
	}
	if diff := cmp.Diff(want, fieldsOf(ex, "Anthropic-Ratelimit")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ex, body := ask()
	if ex.Response.Status != 429 || body != `{"type":"error","error":{"type":"rate_limit_error","message":"limit in of policy ns/team is used up"}}` {
		t.Errorf("%d %s", ex.Response.Status, body)
	}
}

func TestLimits_Budget(t *testing.T) {
	m, now := newLimited(t, to("a"), ir.Limit{Name: "budget", Unit: ir.LimitUSD, Per: ir.PerMonth, Amount: 130_000_000})
	ex, _, _ := m.ask("m") // reserves 0.115, costs 0.004
	m.wantStatus(ex, 200)
	if a := m.done[0].LLM.Attempts[0]; a.Cost != 4_000_000 || !a.Priced {
		t.Errorf("cost %d, %v", a.Cost, a.Priced)
	}
	for range 3 {
		ex, _, _ = m.ask("m")
		m.wantStatus(ex, 200)
	}
	ex, body, asked := m.ask("m")
	if asked != "" || ex.Response.Status != 429 || !strings.Contains(body, `"type":"insufficient_quota","param":null,"code":"insufficient_quota"`) {
		t.Errorf("%s was asked; %d %s", asked, ex.Response.Status, body)
	}
	if got := fieldsOf(ex, "X-Ratelimit"); got["Retry-After"] != fmt.Sprint(2*86400+43200) || len(got) != 2 {
		t.Errorf("%v", got)
	}
	*now = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	ex, _, _ = m.ask("m")
	m.wantStatus(ex, 200)
}

func TestLimits_WhatHasNoPriceIsNotFree(t *testing.T) {
	m, _ := newLimited(t, to("a", "b"), ir.Limit{Name: "budget", Unit: ir.LimitUSD, Per: ir.PerMonth, Amount: 130_000_000})
	ex, body, asked := m.ask("m") // b is of another provider
	if asked != "" || ex.Response.Status != 403 || !strings.Contains(body, `"code":"model_not_priced"`) {
		t.Errorf("%s was asked; %d %s", asked, ex.Response.Status, body)
	}
}

// All that providers have counted is used, also where the client was answered
// by another one.
func TestLimits_CountEveryAttempt(t *testing.T) {
	m, _ := newLimited(t, []ir.WeightedBackend{priority(0, "a"), priority(1, "c")}, ir.Limit{Name: "tpd", Unit: ir.LimitTokens, Per: ir.PerDay, Amount: 1000})
	m.answers["a"] = "500 {}"
	ex, _, asked := m.ask("m")
	if asked != "ac" {
		t.Fatalf("%s was asked; %d", asked, ex.Response.Status)
	}
	if used := m.used("tpd"); used != 4 {
		t.Errorf("%d are used, want those of c alone", used)
	}
	m.answers["c"] = "400 {}"
	m.ask("m")
	if used := m.used("tpd"); used != 4 {
		t.Errorf("%d are used after a request that was refused", used)
	}
}

// used is how much of a limit on tokens is used, by asking for nothing of it.
func (m *models) used(name string) int64 {
	m.t.Helper()
	var most int64
	for _, l := range m.snap.Load().limits.policies["limits"].Limits {
		if l.Name == name {
			most = l.Amount
		}
	}
	before := m.answers["a"]
	m.answers["a"] = "400 {}"
	defer func() { m.answers["a"] = before }()
	ex, _, _ := m.ask("m")
	v, _ := ex.Response.Header.Get("X-Ratelimit-Remaining-Tokens")
	var left int64
	if _, err := fmt.Sscan(v, &left); err != nil {
		m.t.Fatalf("%q: %v", v, err)
	}
	return most - left - 115
}

// LM-021: what a provider does not count, or counts wrong, is estimated, and
// never pays anything back.
func TestLM021_CountsThatCanNotBeTrue(t *testing.T) {
	const reply = `200 {"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]`
	for name, test := range map[string]struct {
		usage string
		want  int64
	}{
		"Counted":  {`,"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}`, 4},
		"Missing":  {`}`, 16 + 30},
		"Negative": {`,"usage":{"prompt_tokens":-5000,"completion_tokens":-1,"total_tokens":4}}`, 0},
		"Huge":     {`,"usage":{"prompt_tokens":9000000000000,"completion_tokens":9000000000000,"total_tokens":4}}`, 2 * maxTokens},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := newLimited(t, to("a"), ir.Limit{Name: "tpd", Unit: ir.LimitTokens, Per: ir.PerDay, Amount: 1_000_000_000})
			m.answers["a"] = reply + test.usage
			ex := withBody(request80("POST /v1/chat/completions"), `{"model":"m","messages":[{"role":"user","content":"hello"}]}     `)
			h := m.Handler(80, "")
			h.Serve(ex)
			h.Finish(ex, exchange.End{Sent: 120})
			if used := m.used("tpd"); used != test.want {
				t.Errorf("%d are used, want %d", used, test.want)
			}
		})
	}
}

// LM-022: who leaves pays for what may have been made for it.
func TestLM022_ClientsThatLeave(t *testing.T) {
	gone := exchange.End{Err: errors.New("gone"), Sent: 80}
	chunk := `data: {"id":"x","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"content":"a"}}]}` + "\n\n"
	role := `data: {"id":"x","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{"role":"assistant"}}]}` + "\n\n"
	counted := `data: {"id":"x","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2}}` + "\n\n"
	for name, test := range map[string]struct {
		stream bool
		answer string
		end    exchange.End
		want   int64
	}{
		"BeforeTheAnswer": {false, "client", gone, 20 + 100},
		"BeforeContent":   {true, "Content-Type: text/event-stream|200 " + role, gone, 20 + 100},
		"InTheStream":     {true, "Content-Type: text/event-stream|200 " + strings.Repeat(chunk, 9), gone, 20 + 3},
		"AfterTheCount":   {true, "Content-Type: text/event-stream|200 " + strings.Repeat(chunk, 9) + counted, gone, 7 + 3},
		"AfterTheEnd":     {true, "Content-Type: text/event-stream|200 " + strings.Repeat(chunk, 9) + counted + "data: [DONE]\n\n", gone, 7 + 2},
		"InTheAnswer":     {false, fine, gone, 4},
		"Stays":           {true, "Content-Type: text/event-stream|200 " + chunk + counted + "data: [DONE]\n\n", exchange.End{Sent: 1000}, 9},
		"BrokenStream":    {true, "Content-Type: text/event-stream|200 " + strings.Repeat(chunk, 600), exchange.End{Sent: 80}, 20 + 150},
		"Unreadable":      {false, "200 <html>", exchange.End{Sent: 80}, 0},
		"ErrorInstead":    {false, `200 {"error":{"message":"no"}}`, exchange.End{Sent: 80}, 0},
		"BrokenBefore":    {true, "Content-Type: text/event-stream|200 " + role, exchange.End{Sent: 80}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			m, _ := newLimited(t, to("a"), ir.Limit{Name: "tpd", Unit: ir.LimitTokens, Per: ir.PerDay, Amount: 10_000})
			m.answers["a"] = test.answer
			body := fmt.Sprintf(`{"model":"m","stream":%v,"messages":[{"role":"user","content":"hello"}]}`, test.stream)
			ex := withBody(request80("POST /v1/chat/completions"), body+strings.Repeat(" ", 80-len(body)))
			h := m.Handler(80, "")
			h.Serve(ex)
			_ = text(ex)
			h.Finish(ex, test.end)
			if used := m.used("tpd"); used != test.want {
				t.Errorf("%d are used, want %d", used, test.want)
			}
		})
	}
}

// LM-030: a counter belongs to who was verified, whatever else a request says;
// all others share one.
func TestLM030_CountersAreOfVerifiedConsumers(t *testing.T) {
	f := newFixture(t, append(append(model(nil, "alpha", "beta"), append(keyed("alpha", alphaKey), keyed("beta", betaKey)...)...),
		append(limited(ir.Limit{Name: "one", Unit: ir.LimitRequests, Per: ir.PerDay, Amount: 1}),
			routeOf("open", ir.Rule{Matches: prefix("/open"), LLM: &ir.LLMAction{}, Backends: to("llm")}))...)...)
	l := *f.snap.Load().listeners["gw/http"].ir
	l.Limits = []string{"limits"}
	f.apply(ir.Update{Upserts: []ir.Resource{&l}})
	f.to.answer = func(ex *exchange.Exchange, _ *exchange.Target) error {
		ex.Response.Status, ex.Response.Body = 200, upstream.NewBody([]byte(`{"content":[{"type":"text","text":"yes"}],"usage":{}}`))
		ex.Response.Header.Add("Content-Type", "application/json")
		return nil
	}
	for i, c := range []struct {
		path   string
		fields []string
		status int
	}{
		{"/v1", []string{"x-api-key: " + alphaKey}, 200},
		{"/v1", []string{"Authorization: Bearer " + alphaKey, "X-Forwarded-For: 192.0.2.9"}, 429},
		{"/v1", []string{"api-key: " + alphaKey, "X-Consumer: ns/beta", "OpenAI-Organization: b"}, 429},
		{"/v1", []string{"x-api-key: " + betaKey}, 200},
		{"/v1", []string{"x-api-key: " + betaKey, "X-Request-Id: 2"}, 429},
		{"/open", nil, 200},
		{"/open", []string{"x-api-key: " + alphaKey}, 429},
		{"/open", []string{"x-api-key: other", "X-Forwarded-For: 192.0.2.10", "Cookie: a=b"}, 429},
	} {
		ex := f.ask(c.path+"/chat/completions", c.fields...)
		if ex.Response.Status != c.status {
			t.Errorf("%d: %s with %q: %d, want %d", i, c.path, c.fields, ex.Response.Status, c.status)
		}
	}
}

func TestLimits_OutliveConfiguration(t *testing.T) {
	m, _ := newLimited(t, to("a"), ir.Limit{Name: "rpd", Unit: ir.LimitRequests, Per: ir.PerDay, Amount: 2})
	m.ask("m")
	m.apply(ir.Update{Upserts: limited(ir.Limit{Name: "rpd", Unit: ir.LimitRequests, Per: ir.PerDay, Amount: 3})})
	r := *m.routes["r"].ir
	r.Created = 5
	m.apply(ir.Update{Upserts: []ir.Resource{&r}})
	ex, _, _ := m.ask("m")
	if v, _ := ex.Response.Header.Get("X-Ratelimit-Remaining-Requests"); v != "1" {
		t.Errorf("%q are left, want 1 of 3", v)
	}
	m.apply(ir.Update{Removed: []ir.Ref{{Type: ir.TypePolicy, Name: "limits"}}})
	ex, body, asked := m.ask("m")
	if ex.Response.Status != 500 || asked != "" {
		t.Errorf("a policy that is not there: %d %s", ex.Response.Status, body)
	}
	m.apply(ir.Update{Upserts: []ir.Resource{routeOf("r", ir.Rule{LLM: &ir.LLMAction{}, Backends: to("a")})}})
	if ex, _, _ = m.ask("m"); ex.Response.Status != 200 || len(fieldsOf(ex, "X-Ratelimit")) != 0 {
		t.Errorf("without limits: %d %v", ex.Response.Status, ex.Response.Header)
	}
}
