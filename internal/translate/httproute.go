package translate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

func httpRoute(r Reader, key Key, object *gatewayv1.HTTPRoute, over transport) *route {
	t := &route{key: key, object: object, hostnames: over.hostnames(object.Spec.Hostnames)}
	t.checkHostnames()
	rules := &ruleSet{route: t}
	for i, rule := range object.Spec.Rules {
		b := ruleBuilder{reader: r, from: key, field: fmt.Sprintf("spec.rules[%d]", i), over: over, program: &rules.program}
		b.rule.Name = string(deref(rule.Name, gatewayv1.SectionName(strconv.Itoa(i))))
		b.matches(rule.Matches)
		b.rule.Filters = b.filters(rule.Filters, ".filters")
		b.backends(rule.BackendRefs)
		b.timeouts(rule.Timeouts)
		b.retry(rule.Retry)
		if rule.SessionPersistence != nil { //nolint:staticcheck // deprecated, but who sets it must learn that it has no effect
			b.unsupported(".sessionPersistence: not supported; remove the field")
		}
		rules.add(&b)
	}
	rules.done()
	return t
}

// ruleSet collects the rules of a route and decides whether it can be accepted.
type ruleSet struct {
	route   *route
	invalid []*problem
	valid   int
	program int // instructions of all regular expressions
}

func (s *ruleSet) add(b *ruleBuilder) {
	if !b.unmatchable {
		s.route.rules = append(s.route.rules, b.finish())
	}
	for _, p := range b.refs {
		s.route.unresolved(p)
	}
	s.invalid = append(s.invalid, b.invalid...)
	if len(b.invalid) == 0 {
		s.valid++
	}
}

// done refuses the route if no rule is valid, and notes the rules that are not.
func (s *ruleSet) done() {
	if len(s.invalid) == 0 || s.route.refused {
		return
	}
	messages := make([]string, 0, len(s.invalid))
	for _, p := range s.invalid {
		messages = append(messages, p.message)
	}
	if len(messages) > maxMessages {
		messages = append(messages[:maxMessages], fmt.Sprintf("and %d more", len(s.invalid)-maxMessages))
	}
	message := strings.Join(messages, "; ")
	if s.valid == 0 {
		s.route.refuse(s.invalid[0].reason, message)
		return
	}
	s.route.find(gatewayv1.RouteConditionPartiallyInvalid, metav1.ConditionTrue, string(gatewayv1.RouteReasonUnsupportedValue), "Dropped Rule: "+message)
}

// maxMessages is how many problems of a route one condition tells.
const maxMessages = 8

// ruleBuilder translates one rule. Problems are collected, so that a user sees
// all of them at once.
type ruleBuilder struct {
	reader Reader
	from   Key
	field  string // where the rule is, for messages
	rule   ir.Rule
	// over is how the backends are spoken to.
	over transport
	// program is that of the route's ruleSet.
	program *int
	// invalid are values that are not supported: the rule answers 500. refs are
	// references that cannot be used.
	invalid, refs []*problem
	// unmatchable says that no request can be said to match the rule.
	unmatchable bool
}

// finish returns the rule.
func (b *ruleBuilder) finish() ir.Rule {
	if len(b.invalid) > 0 {
		return ir.Rule{Name: b.rule.Name, Matches: b.rule.Matches, Direct: &ir.Direct{Status: 500}}
	}
	return b.rule
}

func (b *ruleBuilder) unsupported(format string, args ...any) {
	b.invalid = append(b.invalid, &problem{string(gatewayv1.RouteReasonUnsupportedValue), b.field + fmt.Sprintf(format, args...)})
}

// matches translates the matches of an HTTPRoute rule. A match that is invalid
// matches nothing.
func (b *ruleBuilder) matches(matches []gatewayv1.HTTPRouteMatch) {
	if len(matches) == 0 {
		matches = []gatewayv1.HTTPRouteMatch{{}}
	}
	for i, m := range matches {
		before := len(b.invalid)
		field := fmt.Sprintf(".matches[%d]", i)
		match := ir.Match{Path: b.path(m.Path, field), Method: string(deref(m.Method, ""))}
		for j, h := range m.Headers {
			kind := string(deref(h.Type, gatewayv1.HeaderMatchExact))
			match.Headers = b.value(match.Headers, ir.ValueMatch{Name: strings.ToLower(string(h.Name)), Type: ir.MatchType(kind), Value: h.Value}, fmt.Sprintf("%s.headers[%d]", field, j))
		}
		for j, q := range m.QueryParams {
			kind := string(deref(q.Type, gatewayv1.QueryParamMatchExact))
			match.Query = b.value(match.Query, ir.ValueMatch{Name: string(q.Name), Type: ir.MatchType(kind), Value: q.Value}, fmt.Sprintf("%s.queryParams[%d]", field, j))
		}
		if match.Method != "" && !isToken(match.Method) {
			b.unsupported("%s.method: %q is not a method", field, short(match.Method))
		}
		if len(b.invalid) == before {
			b.rule.Matches = append(b.rule.Matches, match)
		}
	}
	b.unmatchable = len(b.rule.Matches) == 0
}

// path translates a path match; none is the prefix "/".
func (b *ruleBuilder) path(m *gatewayv1.HTTPPathMatch, field string) ir.PathMatch {
	if m == nil {
		return ir.PathMatch{Type: ir.MatchPrefix, Value: "/"}
	}
	value := deref(m.Value, "/")
	switch kind := deref(m.Type, gatewayv1.PathMatchPathPrefix); kind {
	case gatewayv1.PathMatchExact, gatewayv1.PathMatchPathPrefix:
		if p := invalidPath(value); p != "" {
			b.unsupported("%s.path.value: %q %s", field, short(value), p)
		}
		if kind == gatewayv1.PathMatchExact {
			return ir.PathMatch{Type: ir.MatchExact, Value: value}
		}
		return ir.PathMatch{Type: ir.MatchPrefix, Value: value}
	case gatewayv1.PathMatchRegularExpression:
		b.regex(value, field+".path.value")
		return ir.PathMatch{Type: ir.MatchRegex, Value: value}
	default:
		b.unsupported("%s.path.type: %q is not supported", field, short(string(kind)))
		return ir.PathMatch{}
	}
}

// value appends a header or query match. Of two with the same name the first
// counts.
func (b *ruleBuilder) value(matches []ir.ValueMatch, m ir.ValueMatch, field string) []ir.ValueMatch {
	if slices.ContainsFunc(matches, func(o ir.ValueMatch) bool { return o.Name == m.Name }) {
		return matches
	}
	switch gatewayv1.HeaderMatchType(m.Type) {
	case gatewayv1.HeaderMatchExact:
		m.Type = ir.MatchExact
	case gatewayv1.HeaderMatchRegularExpression:
		m.Type = ir.MatchRegex
		b.regex(m.Value, field+".value")
	default:
		b.unsupported("%s.type: %q is not supported", field, short(string(m.Type)))
	}
	if !isToken(m.Name) || len(m.Name) > maxName {
		b.unsupported("%s.name: %q is not a name of 1 to %d letters, digits and the like", field, short(m.Name), maxName)
	}
	if !isFieldValue(m.Value) {
		b.unsupported("%s.value: has more than %d bytes or control characters", field, maxValue)
	}
	return append(matches, m)
}

// backends translates the backendRefs of an HTTPRoute rule. References that
// cannot be used keep their weight and answer 500.
func (b *ruleBuilder) backends(refs []gatewayv1.HTTPBackendRef) {
	for i, ref := range refs {
		field := fmt.Sprintf(".backendRefs[%d]", i)
		b.backend(ref.BackendRef, field, func() []ir.Filter { return b.filters(ref.Filters, field+".filters") })
	}
}

// maxWeight is the greatest weight of a backendRef.
const maxWeight = 1_000_000

// backend adds a backendRef; filters translates those that it has of its own.
func (b *ruleBuilder) backend(ref gatewayv1.BackendRef, field string, filters func() []ir.Filter) {
	weight := deref(ref.Weight, 1)
	name, p := resolveBackend(b.reader, b.from, ref.BackendObjectReference, b.field+field, b.over)
	if p != nil {
		b.refs = append(b.refs, p)
	}
	before := len(b.invalid)
	own := filters()
	for _, f := range own {
		if f.Redirect != nil {
			b.unsupported("%s.filters: RequestRedirect can be used on rules only", field)
		}
	}
	switch {
	case weight < 0 || weight > maxWeight:
		b.unsupported("%s.weight: %d is not in the range 0 to %d", field, weight, maxWeight)
	case weight == 0:
	case p != nil || len(b.invalid) > before:
		b.rule.Backends = append(b.rule.Backends, ir.WeightedBackend{Weight: uint32(weight), Status: 500})
	default:
		b.rule.Backends = append(b.rule.Backends, ir.WeightedBackend{Backend: name, Weight: uint32(weight), Filters: own})
	}
}
