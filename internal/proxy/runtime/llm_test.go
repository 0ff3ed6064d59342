package runtime

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// models is a runtime with LLM backends a, b, c at 10.0.0.1, .2, .3, each with
// a credential of its own, whose answers are said by name.
type models struct {
	*fixture
	answers map[string]string
	// asked are the backends in order, keys the credentials that they got.
	asked []string
	keys  []string
}

const fine = `200 {"id":"1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}`

// fineMessage is the same from Anthropic, which is b.
const fineMessage = `200 {"id":"1","type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":1}}`

func newModels(t *testing.T, rule ir.Rule) *models {
	t.Helper()
	var resources []ir.Resource
	for i, name := range []string{"a", "b", "c"} {
		resources = append(resources,
			&ir.Secret{Name: "key-" + name, Values: map[string]ir.Bytes{"apiKey": ir.Bytes("sk-" + name)}},
			&ir.Endpoints{Name: name, Addresses: []ir.Endpoint{{Host: fmt.Sprintf("10.0.0.%d", i+1), Port: 80}}},
			&ir.Backend{Name: name, Protocol: ir.ProtocolHTTP, Endpoints: name, LLM: &ir.LLMProvider{
				Provider: map[string]string{"a": "openai", "b": "anthropic", "c": "openai"}[name], Host: name, Credentials: "key-" + name,
			}})
	}
	if rule.LLM == nil {
		rule.LLM = &ir.LLMAction{}
	}
	m := &models{answers: map[string]string{}}
	m.fixture = newFixture(t, append(resources, routeOf("r", rule))...)
	m.to.answer = m.answer
	return m
}

// answer plays "STATUS BODY", with fields before it, each followed by "|", or
// one of the words connect, reset and timeout.
func (m *models) answer(ex *exchange.Exchange, to *exchange.Target) error {
	name := map[string]string{"10.0.0.1:80": "a", "10.0.0.2:80": "b", "10.0.0.3:80": "c"}[to.Addr]
	m.asked = append(m.asked, name)
	for _, field := range []string{"Authorization", "X-Api-Key"} {
		for v := range ex.Request.Header.Values(field) {
			m.keys = append(m.keys, strings.Clone(v))
		}
	}
	said := m.answers[name]
	switch {
	case said != "":
	case name == "b":
		said = fineMessage
	default:
		said = fine
	}
	if stage, ok := map[string]exchange.Stage{
		"connect": exchange.StageConnect, "reset": exchange.StageAwait, "timeout": exchange.StageTimeout, "client": exchange.StageClient,
	}[said]; ok {
		return &exchange.Failure{Stage: stage, Err: fmt.Errorf("said %s", said)}
	}
	fields := strings.Split(said, "|")
	for _, field := range fields[:len(fields)-1] {
		k, v, _ := strings.Cut(field, ": ")
		ex.Response.Header.Add(k, v)
	}
	status, body, _ := strings.Cut(fields[len(fields)-1], " ")
	if _, err := fmt.Sscan(status, &ex.Response.Status); err != nil {
		m.t.Fatal(err)
	}
	if !ex.Response.Header.Has("Content-Type") {
		ex.Response.Header.Add("Content-Type", "application/json")
	}
	ex.Response.Body, ex.Response.ContentLength = upstream.NewBody([]byte(body)), int64(len(body))
	return nil
}

// ask asks for a model and returns status, body and who was asked.
func (m *models) ask(model string, fields ...string) (*exchange.Exchange, string, string) {
	m.asked, m.keys = nil, nil
	ex := withBody(request80("POST /v1/chat/completions", fields...), `{"model":"`+model+`","messages":[{"role":"user","content":"hello"}]}`)
	h := m.Handler(80, "")
	h.Serve(ex)
	body := text(ex)
	h.Finish(ex, exchange.End{})
	return ex, body, strings.Join(m.asked, "")
}

func priority(n int, backend string, models ...string) ir.WeightedBackend {
	return ir.WeightedBackend{Backend: backend, Weight: 1, LLM: &ir.LLMTarget{Priority: n, Models: models}}
}

func TestT57_FailsOverByTheClassOfTheFailure(t *testing.T) {
	for name, test := range map[string]struct {
		a, b   string
		asked  string
		status int
		body   string
	}{
		"Fine":              {fine, "", "a", 200, "hi"},
		"Unreachable":       {"connect", "", "ab", 502, ""},
		"Reset":             {"reset", `200 {"content":[{"type":"text","text":"yes"}],"usage":{}}`, "ab", 200, "yes"},
		"Timeout":           {"timeout", `200 {"content":[{"type":"text","text":"yes"}],"usage":{}}`, "ab", 200, "yes"},
		"Throttled":         {`429 {}`, `200 {"content":[{"type":"text","text":"yes"}],"usage":{}}`, "ab", 200, "yes"},
		"Overloaded":        {`529 {}`, `200 {"content":[{"type":"text","text":"yes"}],"usage":{}}`, "ab", 200, "yes"},
		"RefusedCredential": {`401 {}`, `200 {"content":[{"type":"text","text":"yes"}],"usage":{}}`, "ab", 200, "yes"},
		"ModelFailed":       {`424 {}`, `200 {"content":[{"type":"text","text":"yes"}],"usage":{}}`, "ab", 200, "yes"},
		"NotJSON":           {`200 <html>`, `503 {}`, "ab", 503, ""},
		"BadRequest":        {`400 {"error":{"message":"no such thing"}}`, "", "a", 400, "no such thing"},
		"Forbidden":         {`403 {}`, "", "a", 403, ""},
		"NotFound":          {`404 {}`, "", "a", 404, ""},
		"TooLarge":          {`413 {}`, "", "a", 413, ""},
		"Unprocessable":     {`422 {}`, "", "a", 422, ""},
		"ClientLeft":        {"client", "", "a", 400, ""},
		"BothThrottled":     {`Retry-After: 3|429 {"error":{"message":"first"}}`, `Retry-After: 9|429 {}`, "ab", 429, "first"},
		"BothThrottledLess": {`Retry-After: 9|429 {}`, `Retry-After: 3|429 {"error":{"message":"second"}}`, "ab", 429, "second"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModels(t, ir.Rule{Backends: []ir.WeightedBackend{priority(1, "b"), priority(0, "a")}})
			m.answers["a"], m.answers["b"] = test.a, test.b
			if test.b == "" {
				m.answers["b"] = "200 nonsense"
			}
			ex, body, asked := m.ask("m")
			if asked != test.asked || ex.Response.Status != test.status || !strings.Contains(body, test.body) {
				t.Errorf("asked %s, want %s; %d, want %d: %s", asked, test.asked, ex.Response.Status, test.status, body)
			}
			if n, _ := ex.Response.Header.Get("X-Llm-Attempts"); n != fmt.Sprint(len(asked)) {
				t.Errorf("attempts: %q", n)
			}
			if strings.HasPrefix(name, "BothThrottled") {
				if v, _ := ex.Response.Header.Get("Retry-After"); v != "3" {
					t.Errorf("Retry-After: %q", v)
				}
			}
			rec := m.done[0].LLM
			if len(rec.Attempts) != len(asked) || asked == "ab" && rec.Attempts[0].Err == nil {
				t.Errorf("attempts noted: %+v", rec.Attempts)
			}
		})
	}
}

func TestLM002_TheNextProviderGetsItsOwnCredentialOnly(t *testing.T) {
	m := newModels(t, ir.Rule{Backends: []ir.WeightedBackend{priority(0, "a"), priority(1, "b"), priority(2, "c")}})
	m.answers["a"], m.answers["b"] = `500 {}`, `500 {}`
	ex, _, asked := m.ask("m")
	m.wantStatus(ex, 200)
	if want := []string{"Bearer sk-a", "sk-b", "Bearer sk-c"}; asked != "abc" || !slices.Equal(m.keys, want) {
		t.Errorf("%s got %q, want %q", asked, m.keys, want)
	}
	if v, _ := ex.Response.Header.Get("X-Llm-Backend"); v != "c" {
		t.Errorf("served by %q", v)
	}
}

func TestLM032_AProviderThatAsksForAPauseGetsIt(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	m := newModels(t, ir.Rule{Backends: []ir.WeightedBackend{priority(0, "a"), priority(1, "c")}})
	setClock(m.Runtime, func() time.Time { return now })
	m.answers["a"] = `Retry-After: 99999999|429 {}`
	for _, step := range []struct {
		after time.Duration
		asked string
	}{
		{0, "ac"}, {time.Second, "c"}, {5 * time.Minute, "c"}, {5 * time.Minute, "ac"}, {time.Second, "c"},
	} {
		now = now.Add(step.after)
		if ex, _, asked := m.ask("m"); asked != step.asked || ex.Response.Status != 200 {
			t.Errorf("at %v: asked %s, want %s; %d", now, asked, step.asked, ex.Response.Status)
		}
	}
	if _, _, asked := m.ask("another"); asked != "ac" {
		t.Errorf("another model: asked %s", asked)
	}
	now = now.Add(11 * time.Minute)
	m.answers["a"] = ""
	for range 2 {
		if _, _, asked := m.ask("m"); asked != "a" {
			t.Errorf("well again: asked %s", asked)
		}
	}
}

func TestLM032_FailuresOfEveryBackendDoNotMultiply(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	m := newModels(t, ir.Rule{Backends: []ir.WeightedBackend{priority(0, "a"), priority(0, "b"), priority(0, "c")}})
	setClock(m.Runtime, func() time.Time { return now })
	for _, name := range []string{"a", "b", "c"} {
		m.answers[name] = `500 {}`
	}
	const requests = 10_000
	sent := 0
	for range requests {
		ex, _, asked := m.ask("m")
		m.wantStatus(ex, 500)
		sent += len(asked)
		now = now.Add(time.Millisecond)
	}
	if extra := sent - requests; extra > requests/5+250 {
		t.Errorf("%d attempts beyond the first of %d requests", extra, requests)
	}
}

// TestLM032_AnUnreachableBackendTakesNothing of the budget, since nothing was
// sent: each request asks for another model, of which nothing is known yet.
func TestLM032_AnUnreachableBackendTakesNothing(t *testing.T) {
	m := newModels(t, ir.Rule{Backends: []ir.WeightedBackend{priority(0, "a"), priority(1, "c")}})
	m.answers["a"] = "connect"
	for i := range 1000 {
		if ex, _, asked := m.ask(fmt.Sprint("m", i)); asked != "ac" || ex.Response.Status != 200 {
			t.Fatalf("request %d: %d by %q", i, ex.Response.Status, asked)
		}
	}
}

// TestLLM_OnlyTheseCausesGoElsewhere: a rule may say after which failures
// another backend is asked.
func TestLLM_OnlyTheseCausesGoElsewhere(t *testing.T) {
	faults := map[ir.LLMFault][]string{
		ir.LLMFaultConnect: {"connect"}, ir.LLMFaultThrottled: {`429 {}`},
		ir.LLMFaultServer: {`500 {}`, `503 {}`, `424 {}`, "reset"}, ir.LLMFaultTimeout: {"timeout", `504 {}`},
	}
	for cause := range faults {
		for fault, answers := range faults {
			for _, answer := range answers {
				m := newModels(t, ir.Rule{LLM: &ir.LLMAction{Failover: ir.LLMFailover{Causes: []ir.LLMFault{cause}}}, Backends: []ir.WeightedBackend{priority(0, "a"), priority(1, "c")}})
				m.answers["a"] = answer
				if _, _, asked := m.ask("m"); (asked == "ac") != (cause == fault) {
					t.Errorf("for %s alone: after %q asked %s", cause, answer, asked)
				}
			}
		}
	}
}

func TestLLM_ConfigurationThatDoesNotTouchABackendKeepsWhatIsKnownOfIt(t *testing.T) {
	m := newModels(t, ir.Rule{Backends: []ir.WeightedBackend{priority(0, "a"), priority(1, "c")}})
	m.answers["a"] = `Retry-After: 60|429 {}`
	m.ask("m")
	m.apply(ir.Update{Upserts: []ir.Resource{routeOf("r", ir.Rule{LLM: &ir.LLMAction{HideBackend: true}, Backends: []ir.WeightedBackend{priority(0, "a"), priority(1, "c")}})}})
	if ex, _, asked := m.ask("m"); asked != "c" || ex.Response.Header.Has("X-Llm-Backend") {
		t.Errorf("after a change of the route: asked %s", asked)
	}
	m.apply(ir.Update{Upserts: []ir.Resource{&ir.Secret{Name: "key-a", Values: map[string]ir.Bytes{"apiKey": ir.Bytes("sk-new")}}}})
	if _, _, asked := m.ask("m"); asked != "ac" || m.keys[0] != "Bearer sk-new" {
		t.Errorf("after a change of the key: asked %s with %q", asked, m.keys)
	}
}

// TestLLM_WhatWouldBeLostGoesToOneThatCan: where a route asks for it, a backend
// that would change a request is as one that cannot take it.
func TestLLM_WhatWouldBeLostGoesToOneThatCan(t *testing.T) {
	for name, test := range map[string]struct {
		faithful bool
		second   string
		member   string
		asked    string
		status   int
		param    string
	}{
		"Drops":      {false, "c", `"temperature":1.5`, "b", 200, ""},
		"Nothing":    {true, "c", `"temperature":0.5`, "b", 200, ""},
		"Elsewhere":  {true, "c", `"temperature":1.5`, "c", 200, ""},
		"NobodyCan":  {true, "b", `"temperature":1.5`, "", 400, "temperature"},
		"Unknown":    {true, "b", `"seed":1`, "", 400, "seed"},
		"MeansEmpty": {true, "b", `"logprobs":false`, "b", 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			backends := []ir.WeightedBackend{priority(0, "b")}
			if test.second != "b" {
				backends = append(backends, priority(1, test.second))
			}
			m := newModels(t, ir.Rule{LLM: &ir.LLMAction{Faithful: test.faithful}, Backends: backends})
			ex := withBody(request80("POST /v1/chat/completions"), `{"model":"m","messages":[{"role":"user","content":"hello"}],`+test.member+`}`)
			h := m.Handler(80, "")
			h.Serve(ex)
			body := text(ex)
			h.Finish(ex, exchange.End{})
			if asked := strings.Join(m.asked, ""); asked != test.asked || ex.Response.Status != test.status {
				t.Errorf("asked %q, %d", asked, ex.Response.Status)
			}
			if test.param != "" && !strings.Contains(body, `"param":"`+test.param+`"`) {
				t.Error(body)
			}
		})
	}
}

// TestLM007: a backend that takes no URLs gets none; another one may.
func TestLM007_URLsGoToABackendThatTakesThem(t *testing.T) {
	m := newModels(t, ir.Rule{Backends: []ir.WeightedBackend{priority(0, "a"), priority(1, "c")}})
	ask := func(url string) (int, string) {
		m.asked = nil
		ex := withBody(request80("POST /v1/chat/completions"),
			`{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"`+url+`"}}]}]}`)
		m.serve(m.Handler(80, ""), ex)
		return ex.Response.Status, strings.Join(m.asked, "")
	}
	deny := func(names ...string) {
		for _, name := range names {
			m.apply(ir.Update{Upserts: []ir.Resource{&ir.Backend{Name: name, Protocol: ir.ProtocolHTTP, Endpoints: name, LLM: &ir.LLMProvider{
				Provider: "openai", Host: name, Credentials: "key-" + name, DenyURLs: true,
			}}}})
		}
	}
	for _, step := range []struct {
		deny   []string
		url    string
		status int
		asked  string
	}{
		{nil, "http://10.0.0.1/", 200, "a"},
		{[]string{"a"}, "http://10.0.0.1/", 200, "c"},
		{nil, "data:image/png;base64,AAAA", 200, "a"},
		{[]string{"c"}, "http://10.0.0.1/", 400, ""},
	} {
		deny(step.deny...)
		if status, asked := ask(step.url); status != step.status || asked != step.asked {
			t.Errorf("%+v: %d by %q", step, status, asked)
		}
	}
}

func TestLLM_WhatABackendCanNotExpressGoesToOneThatCan(t *testing.T) {
	m := newModels(t, ir.Rule{Backends: []ir.WeightedBackend{priority(0, "b"), priority(1, "c")}})
	ask := func() (int, string) {
		m.asked = nil
		ex := withBody(request80("POST /v1/chat/completions"), `{"model":"m","n":2,"messages":[{"role":"user","content":"hello"}]}`)
		m.serve(m.Handler(80, ""), ex)
		return ex.Response.Status, strings.Join(m.asked, "")
	}
	if status, asked := ask(); status != 200 || asked != "c" {
		t.Errorf("%d by %q", status, asked)
	}
	m.answers["c"] = `503 {}`
	if status, asked := ask(); status != 503 || asked != "c" {
		t.Errorf("%d by %q", status, asked)
	}
}
