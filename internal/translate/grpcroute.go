package translate

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// grpcRoute translates a GRPCRoute: gRPC methods are paths, and backends are
// spoken to in HTTP/2.
func grpcRoute(r Reader, key Key, object *gatewayv1.GRPCRoute, over transport) *route {
	over.h2c = true
	t := &route{key: key, object: object, hostnames: over.hostnames(object.Spec.Hostnames)}
	t.checkHostnames()
	rules := &ruleSet{route: t}
	for i, rule := range object.Spec.Rules {
		b := ruleBuilder{reader: r, from: key, field: fmt.Sprintf("spec.rules[%d]", i), over: over, program: &rules.program}
		b.rule.Name = string(deref(rule.Name, gatewayv1.SectionName(strconv.Itoa(i))))
		b.grpcMatches(rule.Matches)
		b.rule.Filters = b.filters(httpFilters(rule.Filters), ".filters")
		for j, ref := range rule.BackendRefs {
			field := fmt.Sprintf(".backendRefs[%d]", j)
			b.backend(ref.BackendRef, field, func() []ir.Filter { return b.filters(httpFilters(ref.Filters), field+".filters") })
		}
		if rule.SessionPersistence != nil { //nolint:staticcheck // deprecated, but who sets it must learn that it has no effect
			b.unsupported(".sessionPersistence: not supported; remove the field")
		}
		rules.add(&b)
	}
	rules.done()
	return t
}

// httpFilters returns the same filters as those of an HTTPRoute.
func httpFilters(filters []gatewayv1.GRPCRouteFilter) []gatewayv1.HTTPRouteFilter {
	out := make([]gatewayv1.HTTPRouteFilter, 0, len(filters))
	for _, f := range filters {
		out = append(out, gatewayv1.HTTPRouteFilter{
			Type:                   gatewayv1.HTTPRouteFilterType(f.Type),
			RequestHeaderModifier:  f.RequestHeaderModifier,
			ResponseHeaderModifier: f.ResponseHeaderModifier,
			RequestMirror:          f.RequestMirror,
			ExtensionRef:           f.ExtensionRef,
		})
	}
	return out
}

// grpcMatches translates the matches of a GRPCRoute rule.
func (b *ruleBuilder) grpcMatches(matches []gatewayv1.GRPCRouteMatch) {
	if len(matches) == 0 {
		matches = []gatewayv1.GRPCRouteMatch{{}}
	}
	for i, m := range matches {
		before := len(b.invalid)
		field := fmt.Sprintf(".matches[%d]", i)
		match := ir.Match{Path: b.grpcPath(m.Method, field+".method")}
		for j, h := range m.Headers {
			kind := string(deref(h.Type, gatewayv1.GRPCHeaderMatchExact))
			match.Headers = b.value(match.Headers, ir.ValueMatch{Name: strings.ToLower(string(h.Name)), Type: ir.MatchType(kind), Value: h.Value}, fmt.Sprintf("%s.headers[%d]", field, j))
		}
		if len(b.invalid) == before {
			b.rule.Matches = append(b.rule.Matches, match)
		}
	}
	b.unmatchable = len(b.rule.Matches) == 0
}

// grpcPath translates a method match to a match of the path
// /<service>/<method>.
func (b *ruleBuilder) grpcPath(m *gatewayv1.GRPCMethodMatch, field string) ir.PathMatch {
	if m == nil {
		return ir.PathMatch{Type: ir.MatchPrefix, Value: "/"}
	}
	service, method := deref(m.Service, ""), deref(m.Method, "")
	out := ir.PathMatch{Type: ir.MatchExact, Value: "/" + service + "/" + method}
	switch kind := deref(m.Type, gatewayv1.GRPCMethodMatchExact); {
	case service == "" && method == "":
		b.unsupported("%s: neither service nor method is set", field)
	case kind == gatewayv1.GRPCMethodMatchRegularExpression:
		for _, part := range [...]string{service, method} { // each alone, too: see checkRegex
			if _, wrong := checkRegex(part); wrong != "" {
				b.unsupported("%s: %s", field, wrong)
			}
		}
		out = ir.PathMatch{Type: ir.MatchRegex, Value: "/" + group(service) + "/" + group(method)}
	case kind != gatewayv1.GRPCMethodMatchExact:
		b.unsupported("%s.type: %q is not supported", field, short(string(kind)))
	case method == "":
		out = ir.PathMatch{Type: ir.MatchPrefix, Value: "/" + service}
	case service == "":
		out = ir.PathMatch{Type: ir.MatchRegex, Value: "/[^/]+/" + regexp.QuoteMeta(method)}
	}
	if out.Type == ir.MatchRegex {
		b.regex(out.Value, field)
	} else if p := invalidPath(out.Value); p != "" {
		b.unsupported("%s: %q %s", field, short(out.Value), p)
	}
	return out
}

// regex checks a regular expression. A request may meet all of a route's, so that
// they are bounded together.
func (b *ruleBuilder) regex(expr, field string) {
	size, wrong := checkRegex(expr)
	if *b.program += size; wrong == "" && *b.program > maxProgram {
		wrong = fmt.Sprintf("%q and the regular expressions before it are too costly together; repeat less in them", short(expr))
	}
	if wrong != "" {
		b.unsupported("%s: %s", field, wrong)
	}
}

// group wraps a regular expression so that it stays one part of a larger one;
// empty is any segment.
func group(expr string) string {
	if expr == "" {
		return "[^/]+"
	}
	return "(?:" + expr + ")"
}
