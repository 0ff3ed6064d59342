package runtime

import (
	"fmt"

	"github.com/citoroute/citoroute/internal/ai/transcript"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/balance"
	"github.com/citoroute/citoroute/internal/proxy/router"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// rule is a compiled rule: all that a request needs once it is found.
type rule struct {
	ir   *ir.Rule
	err  error // why the rule can not be run; nil where it can
	gate *gate
	// consumers are those of LLM.Consumers that are there.
	consumers []consumer
	keys      bool // one of them may have API keys
	chain     chain
	targets   []target
	weights   *balance.Weighted
	plan      *plan              // of an LLM rule, instead of weights
	scribe    *transcript.Scribe // of an LLM rule; nil: nothing of what is said is logged
	retry     *retry             // nil: only failures to connect are tried again
	series    any                // of exchanges that reach no backend
}

func (r *rule) isLLM() bool { return r.ir.LLM != nil }

// target is one choice among the backends of a rule.
type target struct {
	cluster *upstream.Cluster // nil: status is the answer
	status  *refusal
	chain   chain
	series  any
}

// retry is a compiled ir.Retry.
type retry struct {
	*ir.Retry
	codes  [600]bool
	budget balance.Budget
}

// route is a compiled route.
type route struct {
	ir       *ir.Route
	rules    []*rule
	entries  *router.Route[*rule]
	clusters []*upstream.Cluster // every cluster that its rules point at
}

// compiler compiles one route.
type compiler struct {
	rt       *Runtime
	find     policies
	clusters []*upstream.Cluster
}

// compileRoute compiles r. What is wrong with a filter makes its rule answer
// 500, so that a mistake in one namespace stops no other one's changes; what
// is wrong with a match is an error, because leaving it out would let another
// rule take its requests.
func (rt *Runtime) compileRoute(r *ir.Route, find policies) (*route, error) {
	c := &compiler{rt: rt, find: find}
	rules := make([]*rule, len(r.Rules))
	for i := range r.Rules {
		rules[i] = c.rule(r, &r.Rules[i])
	}
	entries, err := router.Compile(r, func(i int) *rule { return rules[i] })
	if err != nil {
		rt.discard(&route{rules: rules, clusters: c.clusters})
		return nil, &ir.ResourceError{Resource: ir.RefOf(r), Err: fmt.Errorf("%s: %w", r.Source, err)}
	}
	return &route{ir: r, rules: rules, entries: entries, clusters: c.clusters}, nil
}

func (c *compiler) rule(r *ir.Route, in *ir.Rule) *rule {
	out := &rule{ir: in, gate: c.rt.newGate(in.Policies, c.find), series: c.series(r, in, "")}
	if in.LLM != nil {
		out.consumers = consumersOf(in.LLM.Consumers, c.find)
		out.keys = takeKeys(out.consumers)
		var err error
		if out.scribe, err = c.scribe(in.LLM.Content); err != nil {
			out.err = fmt.Errorf("%w: %w", c.rt.refuse.brokenRule, err)
			return out
		}
	}
	if in.Retry != nil {
		out.retry = &retry{Retry: in.Retry}
		for _, code := range in.Retry.Codes {
			if code >= 0 && code < len(out.retry.codes) {
				out.retry.codes[code] = true
			}
		}
	}
	var err error
	if out.chain, err = c.newChain(in.Filters); err != nil {
		out.err = fmt.Errorf("%w: %w", c.rt.refuse.brokenRule, err)
		return out
	}
	weights := make([]uint32, 0, len(in.Backends))
	for i := range in.Backends {
		b := &in.Backends[i]
		t := target{series: c.series(r, in, b.Backend)}
		switch {
		case b.Status != 0:
			t.status = newRefusal(b.Status, c.rt.refuse.noAction.text)
		case b.Backend == "":
			t.status = c.rt.refuse.noAction
		default:
			t.cluster = c.cluster(b.Backend)
		}
		if t.chain, err = c.newChain(b.Filters); err != nil {
			out.err = fmt.Errorf("%w: backend %d: %w", c.rt.refuse.brokenRule, i, err)
			return out
		}
		out.targets, weights = append(out.targets, t), append(weights, b.Weight)
	}
	out.weights = balance.NewWeighted(weights, c.rt.opts.Rand())
	if in.LLM != nil {
		out.plan = newPlan(in, out.targets, c.rt.opts.Rand())
	}
	return out
}

// scribe compiles what is logged of conversations; nil: nothing.
func (c *compiler) scribe(in *ir.LLMContent) (*transcript.Scribe, error) {
	if in == nil || !c.rt.opts.LogContent {
		return nil, nil
	}
	o := transcript.Options{Prompts: in.Prompts, Answers: in.Answers, MaxText: in.MaxText}
	for _, r := range in.Redact {
		o.Patterns = append(o.Patterns, transcript.Pattern{Name: r.Name, Expr: r.Pattern})
	}
	return transcript.New(o)
}

func (c *compiler) cluster(backend string) *upstream.Cluster {
	cluster := c.rt.registry.Get(backend)
	c.clusters = append(c.clusters, cluster)
	return cluster
}

func (c *compiler) series(r *ir.Route, in *ir.Rule, backend string) any {
	if c.rt.opts.Observer == nil {
		return nil
	}
	return c.rt.opts.Observer.Series(r, in, backend)
}
