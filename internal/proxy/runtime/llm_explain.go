package runtime

import (
	"fmt"
	"slices"
	"strings"

	"github.com/citoroute/citoroute/internal/ir"
)

// explainLLM adds the limits of an LLM rule, and its backends, each with its
// share among those that serve the same models with the same priority.
func (rt *Runtime) explainLLM(r *rule, l *listener, e *Explanation) error {
	policies, ok := rt.snap.Load().limits.of(l.ir.Limits, r.ir.LLM.Limits)
	if !ok {
		return rt.refuse.noLimits
	}
	for _, p := range policies {
		e.Limits = append(e.Limits, p.Describe()...)
	}
	named := slices.ContainsFunc(r.ir.Backends, func(b ir.WeightedBackend) bool { return len(llmTarget(&b).Models) > 0 })
	for i := range r.targets {
		of := llmTarget(&r.ir.Backends[i])
		var total float64
		for j := range r.ir.Backends {
			if o := llmTarget(&r.ir.Backends[j]); o.Priority == of.Priority && slices.Equal(o.Models, of.Models) {
				total += float64(r.ir.Backends[j].Weight)
			}
		}
		s := share(&r.targets[i], float64(r.ir.Backends[i].Weight)/max(total, 1))
		s.When = describeTarget(of, named)
		e.Backends = append(e.Backends, s)
	}
	e.because("The model in the request's body chooses among the backends; the next one is asked where one fails, %d at most.", r.plan.attempts)
	return nil
}

// llmTarget is what a backend of an LLM rule is asked for.
func llmTarget(b *ir.WeightedBackend) ir.LLMTarget {
	if b.LLM == nil {
		return ir.LLMTarget{}
	}
	return *b.LLM
}

// describeTarget says for which models a backend is asked, as what and when;
// named says that a backend of the rule is for certain models.
func describeTarget(t ir.LLMTarget, named bool) string {
	words := []string{"for every model"}
	switch {
	case len(t.Models) > 0:
		words[0] = "for " + strings.Join(t.Models, ", ")
	case named:
		words[0] = "for every other model"
	}
	if t.Model != "" {
		words = append(words, "as "+t.Model)
	}
	return strings.Join(append(words, fmt.Sprintf("priority %d", t.Priority)), "; ")
}
