package translate

import (
	"strings"
	"unicode"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// The ranges of an LLMRoute's fields.
const (
	maxLLMPriority = 100
	maxLLMAttempts = 16
)

// llmBackend adds an LLMBackend. One that cannot be used keeps its place: it
// answers 500 where no other backend serves the request.
func (b *ruleBuilder) llmBackend(ref v1alpha1.LLMBackendReference, field string) {
	weight := deref(ref.Weight, 1)
	if weight < 0 || weight > maxWeight {
		b.unsupported("%s.weight: %d is not in the range 0 to %d", field, weight, maxWeight)
		return
	}
	target, ok := b.llmTarget(ref, field)
	if !ok {
		return
	}
	key := Key{KindLLMBackend, string(deref(ref.Namespace, gatewayv1.Namespace(b.from.Namespace))), string(ref.Name)}
	out := ir.WeightedBackend{Backend: objectName(prefixLLM, key), Weight: uint32(weight), LLM: target}
	if p := b.checkLLMBackend(key, b.field+field); p != nil {
		b.refs = append(b.refs, p)
		out.Backend, out.Status = "", 500
	}
	if weight > 0 {
		b.rule.Backends = append(b.rule.Backends, out)
	}
}

// llmTarget translates what a backend is asked for; nil where all is default.
func (b *ruleBuilder) llmTarget(ref v1alpha1.LLMBackendReference, field string) (t *ir.LLMTarget, ok bool) {
	priority := deref(ref.Priority, 0)
	if priority < 0 || priority > maxLLMPriority {
		b.unsupported("%s.priority: %d is not in the range 0 to %d", field, priority, maxLLMPriority)
		return nil, false
	}
	for i, name := range ref.Models {
		switch {
		case !isModelName(name):
			b.unsupported("%s.models[%d]: %q is not the name of a model with at most one * in it", field, i, short(name))
			return nil, false
		case strings.Contains(ref.Model, "*") && !strings.Contains(name, "*"):
			b.unsupported("%s.model: %q has a * for which nothing in models[%d] stands", field, short(ref.Model), i)
			return nil, false
		}
	}
	if ref.Model != "" && !isModelName(ref.Model) {
		b.unsupported("%s.model: %q is not the name of a model with at most one * in it", field, short(ref.Model))
		return nil, false
	}
	if priority == 0 && len(ref.Models) == 0 && ref.Model == "" {
		return nil, true
	}
	return &ir.LLMTarget{Priority: int(priority), Models: ref.Models, Model: ref.Model}, true
}

func isModelName(s string) bool {
	return s != "" && strings.Count(s, "*") <= 1 && !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

// llmFailover translates when another backend is asked.
func (b *ruleBuilder) llmFailover(f *v1alpha1.LLMFailover) {
	if f == nil {
		return
	}
	out := &b.rule.LLM.Failover
	if n := f.MaxAttempts; n != nil {
		if *n < 1 || *n > maxLLMAttempts {
			b.unsupported(".failover.maxAttempts: %d is not in the range 1 to %d", *n, maxLLMAttempts)
		}
		out.Attempts = int(*n)
	}
	for i, cause := range f.Causes {
		fault, ok := map[v1alpha1.FailoverCause]ir.LLMFault{
			v1alpha1.FailoverUnreachable: ir.LLMFaultConnect, v1alpha1.FailoverRateLimited: ir.LLMFaultThrottled,
			v1alpha1.FailoverServerError: ir.LLMFaultServer, v1alpha1.FailoverTimeout: ir.LLMFaultTimeout,
		}[cause]
		if !ok {
			b.unsupported(".failover.causes[%d]: %q is none of Unreachable, RateLimited, ServerError and Timeout", i, short(string(cause)))
		}
		out.Causes = append(out.Causes, fault)
	}
	out.FirstToken = b.duration(f.FirstTokenTimeout, ".failover.firstTokenTimeout")
	out.Idle = b.duration(f.IdleTimeout, ".failover.idleTimeout")
}
