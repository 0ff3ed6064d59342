package runtime

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// askedFor are the models that the providers were asked for, in order.
func (m *models) record() *[]string {
	out := &[]string{}
	m.to.answer = func(ex *exchange.Exchange, to *exchange.Target) error {
		err := m.answer(ex, to)
		b := make([]byte, ex.Request.ContentLength)
		n, _ := ex.Request.Body.Read(b)
		_, after, _ := strings.Cut(string(b[:n]), `"model":"`)
		name, _, _ := strings.Cut(after, `"`)
		*out = append(*out, strings.Clone(name))
		return err
	}
	return out
}

func named(b ir.WeightedBackend, model string) ir.WeightedBackend {
	b.LLM.Model = model
	return b
}

func TestLLM_TheModelChoosesTheBackend(t *testing.T) {
	m := newModels(t, ir.Rule{Backends: []ir.WeightedBackend{
		named(priority(0, "a", "gpt-*", "fast"), "openai/*"),
		named(priority(0, "c", "gpt-5", "gpt-5-*-max"), "five"),
		named(priority(0, "c", "*"), "rest-*"),
	}})
	models := m.record()
	for ask, want := range map[string][2]string{
		"gpt-4":       {"a", "openai/4"},
		"fast":        {"a", "openai/fast"},
		"gpt-5":       {"c", "five"},
		"gpt-5-x":     {"a", "openai/5-x"},
		"gpt-5-x-max": {"c", "five"},
		"gpt-5-max":   {"a", "openai/5-max"}, // the * stands for nothing less than nothing
		"claude":      {"c", "rest-claude"},
	} {
		*models = nil
		ex, _, asked := m.ask(ask)
		m.wantStatus(ex, 200)
		if asked != want[0] || len(*models) != 1 || (*models)[0] != want[1] {
			t.Errorf("%s: %s is asked for %q, want %s for %q", ask, asked, *models, want[0], want[1])
		}
	}
}

func TestLLM_AModelThatNobodyServesIsNotFound(t *testing.T) {
	m := newModels(t, ir.Rule{Backends: []ir.WeightedBackend{priority(0, "a", "gpt-5")}})
	ex, body, asked := m.ask("<script>")
	if ex.Response.Status != 404 || asked != "" || !strings.Contains(body, `"code":"model_not_found"`) || strings.Contains(body, "script") {
		t.Errorf("%d %s; asked %s", ex.Response.Status, body, asked)
	}
}

// openTo is a route with default paths for one model of a backend.
func openTo(name string, created int64, action *ir.LLMAction, policies []string, backends ...ir.WeightedBackend) *ir.Route {
	r := routeOf(name, ir.Rule{
		Matches: append(prefix("/v1/chat/completions"), prefix("/v1/models")...), LLM: action, Policies: policies, Backends: backends,
	})
	r.Created = created
	return r
}

func TestLLM_RoutesShareAPathByModelAndConsumer(t *testing.T) {
	k := newTokens(t)
	team := func(name string) *ir.Policy {
		return &ir.Policy{Name: name, Source: ir.Source{Namespace: "ns", Name: name}, Consumer: &ir.Consumer{Claim: "team", Value: name}}
	}
	m := newModels(t, ir.Rule{Matches: prefix("/elsewhere")})
	m.apply(ir.Update{Upserts: []ir.Resource{
		k.policy("p"), team("red"), team("blue"),
		openTo("one", 1, &ir.LLMAction{Consumers: []string{"red"}}, []string{"p"}, priority(0, "a", "gpt", "gpt-*")),
		openTo("two", 2, &ir.LLMAction{Consumers: []string{"blue"}}, []string{"p"}, priority(0, "b", "claude")),
		openTo("three", 3, &ir.LLMAction{}, nil, priority(0, "c", "free", "gpt")),
		openTo("elsewhere", 0, &ir.LLMAction{}, nil, named(priority(0, "c"), "one-of-another-path")),
	}})
	elsewhere := m.store[ir.Ref{Type: ir.TypeRoute, Name: "elsewhere"}].(*ir.Route)
	moved := *elsewhere
	moved.Rules = []ir.Rule{elsewhere.Rules[0]}
	moved.Rules[0].Matches = prefix("/v1")
	m.apply(ir.Update{Upserts: []ir.Resource{&moved}})
	m.answers["b"] = `200 {"content":[{"type":"text","text":"yes"}],"usage":{}}`
	for _, test := range []struct {
		team, model string
		status      int
		asked       string
		consumer    string
	}{
		{"red", "gpt", 200, "a", "ns/red"},
		{"blue", "claude", 200, "b", "ns/blue"},
		{"blue", "gpt", 200, "c", ""},
		{"", "gpt", 200, "c", ""},
		{"red", "claude", 404, "", ""},
		{"", "claude", 404, "", ""},
		{"green", "free", 200, "c", ""},
	} {
		var fields []string
		if test.team != "" {
			fields = []string{k.field("p", test.team)}
		}
		ex, _, asked := m.ask(test.model, fields...)
		if rec := m.done[len(m.done)-1]; ex.Response.Status != test.status || asked != test.asked || rec.Consumer != test.consumer {
			t.Errorf("%s asks for %s: %d by %q as %q, want %+v", test.team, test.model, ex.Response.Status, asked, rec.Consumer, test)
		}
	}
	for team, want := range map[string]string{"red": "gpt free", "blue": "claude free gpt", "": "free gpt"} {
		ex := request80("/v1/models")
		if team != "" {
			ex.Request.Header.Add("Authorization", strings.TrimPrefix(k.field("p", team), "Authorization: "))
		}
		m.Handler(80, "").Serve(ex)
		body := text(ex)
		var got []string
		for _, part := range strings.Split(body, `"id":"`)[1:] {
			id, _, _ := strings.Cut(part, `"`)
			got = append(got, id)
		}
		if strings.Join(got, " ") != want || !strings.Contains(body, `"object":"list"`) {
			t.Errorf("%s sees %q, want %s: %s", team, got, want, body)
		}
	}
}

// TestLLM_WhoSomebodyIsEndsWithTheRoute: a token that one route's policy has
// taken says nothing on the next route of the same path, which has none.
func TestLLM_WhoSomebodyIsEndsWithTheRoute(t *testing.T) {
	k := newTokens(t)
	m := newModels(t, ir.Rule{Matches: prefix("/elsewhere")})
	m.apply(ir.Update{Upserts: []ir.Resource{
		k.policy("p"),
		&ir.Policy{Name: "red", Consumer: &ir.Consumer{Claim: "team", Value: "red"}}, &ir.Policy{Name: "blue", Consumer: &ir.Consumer{Claim: "team", Value: "blue"}},
		openTo("one", 1, &ir.LLMAction{Consumers: []string{"red"}}, []string{"p"}, priority(0, "a", "gpt")),
		openTo("two", 2, &ir.LLMAction{Consumers: []string{"blue"}}, nil, priority(0, "c", "gpt")),
	}})
	if ex, _, asked := m.ask("gpt", k.field("p", "blue")); asked != "" || ex.Response.Status != 403 {
		t.Errorf("%d by %q", ex.Response.Status, asked)
	}
}

func TestLLM_ModelsAreGuardedAndSpeakTheClientsProtocol(t *testing.T) {
	k := newTokens(t)
	m := newModels(t, ir.Rule{Matches: prefix("/elsewhere")})
	m.apply(ir.Update{Upserts: []ir.Resource{
		k.policy("p"), &ir.Policy{Name: "red", Consumer: &ir.Consumer{Claim: "team", Value: "red"}},
		openTo("one", 1, &ir.LLMAction{Consumers: []string{"red"}}, []string{"p"}, priority(0, "a", "gpt", "meta/llama")),
	}})
	red := k.field("p", "red")
	for name, test := range map[string]struct {
		request string
		fields  []string
		status  int
		body    string
	}{
		"NoToken":      {"/v1/models", nil, 401, `"type":"authentication_error"`},
		"NoAccess":     {"/v1/models", []string{k.field("p", "blue")}, 403, `"error"`},
		"List":         {"/v1/models", []string{red}, 200, `{"object":"list","data":[{"id":"gpt","object":"model","created":1,"owned_by":"openai"},`},
		"One":          {"/v1/models/meta/llama", []string{red}, 200, `{"id":"meta/llama","object":"model"`},
		"Escaped":      {"/v1/models/meta%2Fllama", []string{red}, 200, `{"id":"meta/llama"`},
		"Unknown":      {"/v1/models/gone", []string{red}, 404, `model_not_found`},
		"Anthropic":    {"/v1/models", []string{red, "anthropic-version: 2023-06-01"}, 200, `{"data":[{"type":"model","id":"gpt","display_name":"gpt","created_at":"1970-01-01T00:00:01Z"},`},
		"AnthropicOne": {"/v1/models/gpt", []string{red, "anthropic-version: 2023-06-01"}, 200, `{"type":"model","id":"gpt"`},
		"Post":         {"POST /v1/models", []string{red}, 405, `"error"`},
	} {
		t.Run(name, func(t *testing.T) {
			ex := request80(test.request, test.fields...)
			h := m.Handler(80, "")
			h.Serve(ex)
			body := text(ex)
			h.Finish(ex, exchange.End{})
			if ex.Response.Status != test.status || !strings.Contains(body, test.body) {
				t.Errorf("%d, want %d: %s", ex.Response.Status, test.status, body)
			}
		})
	}
}

// A model is there where a request for it would be put to a backend, whether its
// name is listed or fits what can not be listed.
func TestLLM_ModelsThatFitAWildcardAreThere(t *testing.T) {
	for name, test := range map[string]struct {
		backends []ir.WeightedBackend
		owner    map[string]string // of a model; "": it is not there
	}{
		"Wildcard": {
			[]ir.WeightedBackend{priority(0, "a", "gpt-*"), priority(0, "b", "gpt-best", "claude")},
			map[string]string{"gpt-5": "openai", "gpt-best": "anthropic", "claude": "anthropic", "claude-2": ""},
		},
		"Any":   {[]ir.WeightedBackend{priority(0, "b"), priority(0, "c", "x")}, map[string]string{"x": "openai", "whatever": "anthropic"}},
		"Never": {[]ir.WeightedBackend{{Backend: "a", LLM: &ir.LLMTarget{Models: []string{"*"}}}, priority(0, "c", "x")}, map[string]string{"x": "openai", "y": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newModels(t, ir.Rule{Matches: prefix("/elsewhere")})
			m.apply(ir.Update{Upserts: []ir.Resource{openTo("one", 1, &ir.LLMAction{}, nil, test.backends...)}})
			for model, owner := range test.owner {
				ex := request80("/v1/models/" + model)
				m.Handler(80, "").Serve(ex)
				status, want := 404, "model_not_found"
				if owner != "" {
					status, want = 200, fmt.Sprintf(`{"id":%q,"object":"model","created":1,"owned_by":%q}`, model, owner)
				}
				if body := text(ex); ex.Response.Status != status || !strings.Contains(body, want) {
					t.Errorf("%s: %d %s, want %d %s", model, ex.Response.Status, body, status, want)
				}
			}
		})
	}
}

func TestExplain_SaysWhatIsLimited(t *testing.T) {
	m, _ := newLimited(t, to("a"),
		ir.Limit{Name: "rpm", Unit: ir.LimitRequests, Per: ir.PerMinute, Amount: 60, Consumers: []string{"ns/red", "ns/blue"}},
		ir.Limit{Name: "budget", Unit: ir.LimitUSD, Per: ir.PerMonth, Amount: 49_500_000_000, Scope: ir.ScopeShared, Models: []string{"gpt-*"}})
	question := Question{Port: 80, Method: "POST", Target: "/v1/chat/completions"}
	want := []string{
		"ns/team: rpm, 60 Requests per Minute for each consumer, if it is one of ns/red, ns/blue, counted by each proxy itself",
		"ns/team: budget, 49.5 USD per Month for all together, for models gpt-*, counted by each proxy itself",
	}
	if got := m.Explain(question).Limits; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for open, want := range map[bool]string{true: "counted at redis:6379 while it answers", false: "counted at redis:6379, without which nobody is let in"} {
		m.count("redis:6379", open)
		if got := m.Explain(question).Limits; len(got) != 1 || !strings.HasSuffix(got[0], want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	m.apply(ir.Update{Removed: []ir.Ref{{Type: ir.TypePolicy, Name: "limits"}}})
	if got := m.Explain(question); got.Status != 500 || len(got.Backends) != 0 {
		t.Errorf("limits that are not there: %+v", got)
	}
}

func TestExplain_SaysWhichModelsABackendIsFor(t *testing.T) {
	m := newModels(t, ir.Rule{Backends: []ir.WeightedBackend{
		priority(0, "a", "gpt-*"), priority(0, "c", "gpt-*"), named(priority(1, "b", "gpt-*"), "claude"), priority(0, "c"),
	}})
	var got []string
	for _, b := range m.Explain(Question{Port: 80, Method: "POST", Target: "/v1/chat/completions"}).Backends {
		got = append(got, fmt.Sprint(b.Backend, " ", b.Share, " ", b.When))
	}
	want := []string{"a 0.5 for gpt-*; priority 0", "c 0.5 for gpt-*; priority 0", "b 1 for gpt-*; as claude; priority 1", "c 1 for every other model; priority 0"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestExplain_SaysWhereElseAModelMayBe(t *testing.T) {
	question := Question{Port: 80, Method: "POST", Target: "/v1/chat/completions"}
	alone := newModels(t, ir.Rule{Backends: []ir.WeightedBackend{priority(0, "a")}})
	e := alone.Explain(question)
	if e.Backends[0].When != "for every model; priority 0" || strings.Contains(strings.Join(e.Why, " "), "Other LLM routes") {
		t.Errorf("one route with one backend: %+v", e)
	}
	alone.apply(ir.Update{Upserts: []ir.Resource{routeOf("z", ir.Rule{LLM: &ir.LLMAction{}, Backends: []ir.WeightedBackend{priority(0, "b")}})}})
	if e := alone.Explain(question); !strings.Contains(strings.Join(e.Why, " "), "Other LLM routes") {
		t.Errorf("two routes of one path: %+v", e)
	}
}
