package runtime

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// readLimit is a limit for reads of a stream; Until is counted from the beginning.
type readLimit struct{ Idle, Until time.Duration }

// limitedStream notes how long reads of it may take.
type limitedStream struct {
	exchange.Body
	began  time.Time
	limits *[]readLimit
}

func (s limitedStream) LimitReads(idle time.Duration, until time.Time) {
	l := readLimit{Idle: idle}
	if !until.IsZero() {
		l.Until = until.Sub(s.began)
	}
	*s.limits = append(*s.limits, l)
}

// TestT65_HowLongAProviderMayTake: the first token has a limit of its own only
// where another backend could still be asked.
func TestT65_HowLongAProviderMayTake(t *testing.T) {
	const (
		second  = time.Second
		refused = `503 {}`
		stream  = "Content-Type: text/event-stream|200 data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\n"
	)
	for name, test := range map[string]struct {
		timeout  time.Duration // the backend's
		failover ir.LLMFailover
		backends string
		first    string // what a answers
		before   string // asked before, and cooling since
		whole    bool
		heads    []time.Duration // until when each may take to begin
		limits   []readLimit
	}{
		"First":       {0, ir.LLMFailover{FirstToken: 2 * second, Idle: 7 * second}, "ac", stream, "", false, []time.Duration{2 * second}, []readLimit{{7 * second, 2 * second}, {7 * second, 0}}},
		"Last":        {9 * second, ir.LLMFailover{FirstToken: 2 * second}, "ac", refused, "", false, []time.Duration{2 * second, 9 * second}, []readLimit{{9 * second, 0}, {9 * second, 0}}},
		"Alone":       {9 * second, ir.LLMFailover{FirstToken: 2 * second}, "a", stream, "", false, []time.Duration{9 * second}, []readLimit{{9 * second, 0}, {9 * second, 0}}},
		"OneAttempt":  {9 * second, ir.LLMFailover{FirstToken: 2 * second, Attempts: 1}, "ac", stream, "", false, []time.Duration{9 * second}, []readLimit{{9 * second, 0}, {9 * second, 0}}},
		"OtherCools":  {9 * second, ir.LLMFailover{FirstToken: 2 * second}, "ac", stream, "c", false, []time.Duration{9 * second}, []readLimit{{9 * second, 0}, {9 * second, 0}}},
		"BackendLess": {1 * second, ir.LLMFailover{FirstToken: 2 * second}, "ac", stream, "", false, []time.Duration{1 * second}, []readLimit{{second, 2 * second}, {second, 0}}},
		"Whole":       {9 * second, ir.LLMFailover{FirstToken: 2 * second}, "ac", fine, "", true, []time.Duration{9 * second}, []readLimit{{9 * second, 0}}},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Unix(1_800_000_000, 0)
			rule := ir.Rule{LLM: &ir.LLMAction{Failover: test.failover}}
			for i, backend := range test.backends {
				rule.Backends = append(rule.Backends, priority(i, string(backend)))
			}
			m := newModels(t, rule)
			setClock(m.Runtime, func() time.Time { return now })
			for _, backend := range []string{"a", "c"} {
				m.apply(ir.Update{Upserts: []ir.Resource{&ir.Backend{Name: backend, Protocol: ir.ProtocolHTTP, Endpoints: backend, LLM: &ir.LLMProvider{
					Provider: "openai", Host: backend, Timeout: test.timeout,
				}}}})
			}
			if test.before != "" {
				m.answers["a"], m.answers["c"] = refused, `Retry-After: 60|429 {}`
				m.ask("m")
			}
			m.answers["a"], m.answers["c"] = test.first, stream
			var heads []time.Duration
			var limits []readLimit
			m.to.answer = func(ex *exchange.Exchange, to *exchange.Target) error {
				heads = append(heads, to.Deadline.Sub(now))
				err := m.answer(ex, to)
				if ex.Response.Status == 200 {
					ex.Response.Body = limitedStream{ex.Response.Body, now, &limits}
				}
				return err
			}
			ex := withBody(request80("POST /v1/chat/completions"), map[bool]string{
				true: `{"model":"m","messages":[{"role":"user","content":"x"}]}`, false: `{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}`,
			}[test.whole])
			m.serve(m.Handler(80, ""), ex)
			if diff := cmp.Diff(test.heads, heads); diff != "" {
				t.Errorf("to begin (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.limits, limits); diff != "" {
				t.Errorf("to read (-want +got):\n%s", diff)
			}
		})
	}
}

var _ exchange.ReadLimiter = limitedStream{upstream.NewBody(nil), time.Time{}, nil}
