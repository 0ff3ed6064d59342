package translate

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// Reasons of condition ResolvedRefs of an LLMRoute, next to those of the
// Gateway API.
const (
	// ReasonInvalidBackend says that an LLMBackend exists but cannot be used.
	ReasonInvalidBackend = "InvalidBackend"
	// ReasonConsumerNotFound says that a Consumer does not exist.
	ReasonConsumerNotFound = "ConsumerNotFound"
)

// llmRoute translates an LLMRoute to one rule.
func llmRoute(r Reader, key Key, object *v1alpha1.LLMRoute) *route {
	t := &route{key: key, object: object, hostnames: object.Spec.Hostnames}
	t.checkHostnames()
	b := ruleBuilder{reader: r, from: key, field: "spec"}
	b.rule.Name = "0"
	b.rule.LLM = &ir.LLMAction{Limits: limitsFor(r, key, ""), Prices: pricesFor(r, key, "")}
	b.llmPath(object.Spec.Path)
	b.llmBody(object.Spec.MaxRequestBody)
	b.llmFailover(object.Spec.Failover)
	b.rule.LLM.HideBackend = object.Spec.BackendHeader == v1alpha1.BackendHeaderOmit
	b.rule.LLM.Faithful = object.Spec.UnsupportedParameters == v1alpha1.UnsupportedParametersRefuse
	b.llmContent(object.Spec.ContentLog)
	for i, ref := range object.Spec.BackendRefs {
		b.llmBackend(ref, fmt.Sprintf(".backendRefs[%d]", i))
	}
	for i, ref := range object.Spec.ConsumerRefs {
		b.consumer(ref, fmt.Sprintf(".consumerRefs[%d]", i))
	}
	// Without a single consumer that is known the rule would let everyone in.
	if len(object.Spec.ConsumerRefs) > 0 && len(b.rule.LLM.Consumers) == 0 {
		b.rule.Direct = &ir.Direct{Status: 500}
	}
	rules := &ruleSet{route: t}
	rules.add(&b)
	rules.done()
	return t
}

func (b *ruleBuilder) llmPath(m v1alpha1.LLMPathMatch) {
	path := ir.PathMatch{Type: ir.MatchPrefix, Value: m.Value}
	if path.Value == "" {
		path.Value = v1alpha1.DefaultLLMPath
	}
	if m.Type == v1alpha1.PathMatchExact {
		path.Type = ir.MatchExact
	} else if m.Type != "" && m.Type != v1alpha1.PathMatchPathPrefix {
		b.unsupported(".path.type: %q is not supported", short(string(m.Type)))
	}
	if p := invalidPath(path.Value); p != "" {
		b.unsupported(".path.value: %q %s", short(path.Value), p)
	}
	if b.unmatchable = len(b.invalid) > 0; !b.unmatchable {
		b.rule.Matches = llmMatches(path)
	}
}

// chatCompletions ends the default path of an LLMRoute.
const chatCompletions = "/chat/completions"

// llmMatches returns the matches of an LLMRoute. A path prefix that ends in
// /chat/completions stands for the whole API that has this operation: its other
// operations are found beside it, as clients expect that know one base URL.
func llmMatches(path ir.PathMatch) []ir.Match {
	out := []ir.Match{{Path: path}}
	base, ok := strings.CutSuffix(strings.TrimSuffix(path.Value, "/"), chatCompletions)
	if path.Type != ir.MatchPrefix || !ok {
		return out
	}
	for _, operation := range []string{"/embeddings", "/messages", "/models", "/responses"} {
		out = append(out, ir.Match{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: base + operation}})
	}
	return out
}

// The range of LLMRoute spec.maxRequestBody, in bytes.
const (
	minLLMBody = 1 << 10
	maxLLMBody = 256 << 20
)

func (b *ruleBuilder) llmBody(limit *resource.Quantity) {
	if limit == nil {
		return
	}
	n := limit.Value()
	if n < minLLMBody || n > maxLLMBody {
		b.unsupported(".maxRequestBody: %s is not in the range 1Ki to 256Mi", short(limit.String()))
		return
	}
	b.rule.LLM.MaxBody = n
}

func (b *ruleBuilder) checkLLMBackend(key Key, field string) *problem {
	if !permitted(b.reader, b.from, key) {
		return &problem{string(gatewayv1.RouteReasonRefNotPermitted), notPermitted(field, b.from, key)}
	}
	backend := get[v1alpha1.LLMBackend](b.reader, key)
	if backend == nil {
		return &problem{string(gatewayv1.RouteReasonBackendNotFound), fmt.Sprintf("%s: LLMBackend %s/%s does not exist", field, key.Namespace, key.Name)}
	}
	if provider := resolveLLM(b.reader, key, backend); len(provider.findings) > 0 {
		return &problem{ReasonInvalidBackend, fmt.Sprintf("%s: LLMBackend %s/%s cannot be used: %s", field, key.Namespace, key.Name, provider.findings[0].Message)}
	}
	return nil
}

// consumer adds a Consumer to those who may use the route.
func (b *ruleBuilder) consumer(ref v1alpha1.ConsumerReference, field string) {
	key := Key{KindConsumer, string(deref(ref.Namespace, gatewayv1.Namespace(b.from.Namespace))), string(ref.Name)}
	switch {
	case !permitted(b.reader, b.from, key):
		b.refs = append(b.refs, &problem{string(gatewayv1.RouteReasonRefNotPermitted), notPermitted(b.field+field, b.from, key)})
	case get[v1alpha1.Consumer](b.reader, key) == nil:
		b.refs = append(b.refs, &problem{ReasonConsumerNotFound, fmt.Sprintf("%s%s: Consumer %s/%s does not exist", b.field, field, key.Namespace, key.Name)})
	default:
		b.rule.LLM.Consumers = append(b.rule.LLM.Consumers, objectName(prefixConsumer, key))
	}
}
