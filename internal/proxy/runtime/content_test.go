package runtime

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ir"
)

// After a failover what is put down is the answer that the client got, and once.
func TestContent_OfTheLastAttempt(t *testing.T) {
	both := &ir.LLMContent{Prompts: true, Answers: true, Redact: []ir.Redaction{{Name: "greeting", Pattern: "^(hi|hello)$"}}}
	const asked = `,"gen_ai.input.messages":[{"role":"user","parts":[{"type":"text","content":"[redacted: greeting]"}]}]`
	const answered = `,"gen_ai.output.messages":[{"role":"assistant","parts":[{"type":"text","content":"[redacted: greeting]"}],"finish_reason":"stop"}]`
	for name, c := range map[string]struct {
		logs    bool
		content *ir.LLMContent
		want    string
	}{
		"Both":          {true, both, asked + answered},
		"PromptsOnly":   {true, &ir.LLMContent{Prompts: true, Redact: both.Redact}, asked},
		"NotAskedFor":   {true, nil, ""},
		"NoLog":         {false, both, ""},
		"NoLogAndWrong": {false, &ir.LLMContent{Redact: []ir.Redaction{{Pattern: "("}}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rule := ir.Rule{LLM: &ir.LLMAction{Content: c.content}, Backends: []ir.WeightedBackend{priority(0, "a"), priority(1, "c")}}
			m := newModels(t, rule)
			m.opts.LogContent = c.logs
			m.apply(ir.Update{Upserts: []ir.Resource{routeOf("r", rule), routeOf("other", rule)}})
			m.answers["a"] = `500 {"error":{"message":"hi"}}`
			ex, _, _ := m.ask("m")
			m.wantStatus(ex, 200)
			if diff := cmp.Diff(c.want, string(m.done[0].LLM.Content)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// What can not be redacted is not served: it would be logged otherwise.
func TestContent_WrongPatternServesNothing(t *testing.T) {
	f := newFixture(t)
	f.opts.LogContent = true
	f.to.answer = answerUnary
	f.apply(ir.Update{Upserts: openAIOn(ir.LLMAction{Content: &ir.LLMContent{Redact: []ir.Redaction{{Name: "a", Pattern: "("}}}})})
	ex := withBody(request80("POST /chat/completions"), prompt(100))
	f.serve(f.Handler(80, ""), ex)
	f.wantStatus(ex, 500)
	if len(f.to.seen) != 0 {
		t.Error("the provider was asked")
	}
}
