package translate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// filters translates the filters of a rule or a backendRef.
func (b *ruleBuilder) filters(filters []gatewayv1.HTTPRouteFilter, field string) []ir.Filter {
	var out []ir.Filter
	var redirect, rewrite bool
	for i, f := range filters {
		filter, ok := b.filter(f, fmt.Sprintf("%s[%d]", field, i))
		if !ok {
			continue
		}
		redirect = redirect || filter.Redirect != nil
		rewrite = rewrite || filter.Rewrite != nil
		out = append(out, filter)
	}
	if redirect && rewrite {
		b.invalid = append(b.invalid, &problem{
			string(gatewayv1.RouteReasonIncompatibleFilters), b.field + field + ": RequestRedirect and URLRewrite cannot be used together; remove one",
		})
	}
	return out
}

// filter translates one filter; it is not ok if it must be left out.
func (b *ruleBuilder) filter(f gatewayv1.HTTPRouteFilter, field string) (ir.Filter, bool) {
	switch f.Type {
	case gatewayv1.HTTPRouteFilterRequestHeaderModifier:
		if f.RequestHeaderModifier != nil {
			return ir.Filter{RequestHeaders: b.headers(f.RequestHeaderModifier, field+".requestHeaderModifier")}, true
		}
	case gatewayv1.HTTPRouteFilterResponseHeaderModifier:
		if f.ResponseHeaderModifier != nil {
			return ir.Filter{ResponseHeaders: b.headers(f.ResponseHeaderModifier, field+".responseHeaderModifier")}, true
		}
	case gatewayv1.HTTPRouteFilterRequestRedirect:
		if f.RequestRedirect != nil {
			return ir.Filter{Redirect: b.redirect(f.RequestRedirect, field+".requestRedirect")}, true
		}
	case gatewayv1.HTTPRouteFilterURLRewrite:
		if f.URLRewrite != nil {
			return ir.Filter{Rewrite: &ir.Rewrite{
				Hostname: b.hostname(f.URLRewrite.Hostname, field+".urlRewrite"),
				Path:     b.pathModifier(f.URLRewrite.Path, field+".urlRewrite"),
			}}, true
		}
	case gatewayv1.HTTPRouteFilterRequestMirror:
		if f.RequestMirror != nil {
			return b.mirror(f.RequestMirror, field+".requestMirror")
		}
	case gatewayv1.HTTPRouteFilterCORS:
		if f.CORS != nil {
			return ir.Filter{CORS: b.cors(f.CORS, field+".cors")}, true
		}
	default:
		b.unsupported("%s.type: %q is not supported", field, short(string(f.Type)))
		return ir.Filter{}, false
	}
	b.unsupported("%s: the field that belongs to type %q is missing", field, f.Type)
	return ir.Filter{}, false
}

// framingHeaders frame a message or belong to one connection, or route it; a
// filter that changed them would desynchronize proxy and backend.
func framingHeaders() []string {
	return []string{"connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
}

// headers translates a header modifier.
func (b *ruleBuilder) headers(f *gatewayv1.HTTPHeaderFilter, field string) *ir.HeaderModifier {
	out := &ir.HeaderModifier{Set: b.namesAndValues(f.Set, field+".set"), Add: b.namesAndValues(f.Add, field+".add")}
	for i, name := range f.Remove {
		b.headerName(name, fmt.Sprintf("%s.remove[%d]", field, i))
		out.Remove = append(out.Remove, name)
	}
	return out
}

func (b *ruleBuilder) namesAndValues(in []gatewayv1.HTTPHeader, field string) []ir.NameValue {
	var out []ir.NameValue
	for i, h := range in {
		b.headerName(string(h.Name), fmt.Sprintf("%s[%d].name", field, i))
		if !isFieldValue(h.Value) {
			b.unsupported("%s[%d].value: has more than %d bytes or control characters", field, i, maxValue)
		}
		out = append(out, ir.NameValue{Name: string(h.Name), Value: h.Value})
	}
	return out
}

func (b *ruleBuilder) headerName(name, field string) {
	switch {
	case !isToken(name):
		b.unsupported("%s: %q is not a header name", field, short(name))
	case slices.Contains(framingHeaders(), strings.ToLower(name)):
		b.unsupported("%s: %q frames or routes the message and cannot be changed by a filter", field, name)
	}
}

// redirect translates a redirect filter.
func (b *ruleBuilder) redirect(f *gatewayv1.HTTPRequestRedirectFilter, field string) *ir.Redirect {
	out := &ir.Redirect{
		Scheme:   deref(f.Scheme, ""),
		Hostname: b.hostname(f.Hostname, field),
		Path:     b.pathModifier(f.Path, field),
		Status:   deref(f.StatusCode, 302),
	}
	if out.Scheme != "" && out.Scheme != "http" && out.Scheme != "https" {
		b.unsupported("%s.scheme: %q is neither http nor https", field, short(out.Scheme))
	}
	if !slices.Contains([]int{301, 302, 303, 307, 308}, out.Status) {
		b.unsupported("%s.statusCode: %d is not one of 301, 302, 303, 307 and 308", field, out.Status)
	}
	if f.Port != nil {
		if out.Port = port(*f.Port); out.Port == 0 {
			b.unsupported("%s.port: %d is not in the range 1 to 65535", field, *f.Port)
		}
	}
	return out
}

func (b *ruleBuilder) hostname(h *gatewayv1.PreciseHostname, field string) string {
	if h == nil {
		return ""
	}
	host, ok := normalizeHost(string(*h))
	if !ok || strings.HasPrefix(host, "*") {
		b.unsupported("%s.hostname: %q is not a DNS name", field, short(host))
	}
	return host
}

// pathModifier translates a path modifier.
func (b *ruleBuilder) pathModifier(m *gatewayv1.HTTPPathModifier, field string) *ir.PathRewrite {
	switch {
	case m == nil:
		return nil
	case m.Type == gatewayv1.FullPathHTTPPathModifier && m.ReplaceFullPath != nil:
		b.replacement(*m.ReplaceFullPath, field+".path.replaceFullPath")
		return &ir.PathRewrite{Full: m.ReplaceFullPath}
	case m.Type == gatewayv1.PrefixMatchHTTPPathModifier && m.ReplacePrefixMatch != nil:
		b.replacement(*m.ReplacePrefixMatch, field+".path.replacePrefixMatch")
		b.needPrefixes(field + ".path.type")
		return &ir.PathRewrite{Prefix: m.ReplacePrefixMatch}
	}
	b.unsupported("%s.path.type: %q is not supported, or the field that belongs to it is missing", field, short(string(m.Type)))
	return nil
}

// needPrefixes refuses to replace a prefix in a rule that matches anything else.
func (b *ruleBuilder) needPrefixes(field string) {
	if slices.ContainsFunc(b.rule.Matches, func(m ir.Match) bool { return m.Path.Type != ir.MatchPrefix }) {
		b.unsupported("%s: ReplacePrefixMatch needs matches of path type PathPrefix only", field)
	}
}

func (b *ruleBuilder) replacement(path, field string) {
	if len(path) > maxPath || hasControl(path) || strings.HasPrefix(path, "//") {
		b.unsupported("%s: %q is not a path of at most %d bytes", field, short(path), maxPath)
	}
}

// mirror translates a mirror filter. One whose backend cannot be used is left
// out, and the request itself goes on.
func (b *ruleBuilder) mirror(f *gatewayv1.HTTPRequestMirrorFilter, field string) (ir.Filter, bool) {
	numerator, denominator := b.mirrorShare(f, field)
	name, p := resolveBackend(b.reader, b.from, f.BackendRef, b.field+field+".backendRef", b.over)
	if p != nil {
		b.refs = append(b.refs, p)
		return ir.Filter{}, false
	}
	return ir.Filter{Mirror: &ir.Mirror{Backend: name, Numerator: numerator, Denominator: denominator}}, true
}

// mirrorShare returns which part of the requests is mirrored: all by default.
func (b *ruleBuilder) mirrorShare(f *gatewayv1.HTTPRequestMirrorFilter, field string) (numerator, denominator uint32) {
	switch {
	case f.Percent != nil && f.Fraction != nil:
		b.unsupported("%s: percent and fraction cannot be used together", field)
	case f.Percent != nil:
		if *f.Percent < 0 || *f.Percent > 100 {
			b.unsupported("%s.percent: %d is not in the range 0 to 100", field, *f.Percent)
		}
		return uint32(max(*f.Percent, 0)), 100
	case f.Fraction != nil:
		n, d := f.Fraction.Numerator, deref(f.Fraction.Denominator, 100)
		if n < 0 || d < 1 || n > d {
			b.unsupported("%s.fraction: %d/%d is not in the range 0 to 1", field, n, d)
		}
		return uint32(max(n, 0)), uint32(max(d, 1))
	}
	return 100, 100
}

// defaultCORSMaxAge is the default of HTTPCORSFilter.maxAge, in seconds.
const defaultCORSMaxAge = 5

// cors translates a CORS filter.
func (b *ruleBuilder) cors(f *gatewayv1.HTTPCORSFilter, field string) *ir.CORS {
	out := &ir.CORS{
		AllowCredentials: deref(f.AllowCredentials, false),
		MaxAgeSeconds:    cmp.Or(f.MaxAge, defaultCORSMaxAge),
		AllowOrigins:     b.origins(f.AllowOrigins, field+".allowOrigins"),
		AllowMethods:     tokens(b, f.AllowMethods, field+".allowMethods", "method"),
		AllowHeaders:     tokens(b, f.AllowHeaders, field+".allowHeaders", "header name"),
		ExposeHeaders:    tokens(b, f.ExposeHeaders, field+".exposeHeaders", "header name"),
	}
	if out.MaxAgeSeconds < 0 {
		b.unsupported("%s.maxAge: %d is negative", field, out.MaxAgeSeconds)
	}
	return out
}

func (b *ruleBuilder) origins(in []gatewayv1.CORSOrigin, field string) []string {
	var out []string
	for i, origin := range in {
		if hasControl(string(origin)) || len(origin) > maxValue {
			b.unsupported("%s[%d]: %q is not an origin", field, i, short(string(origin)))
		}
		out = append(out, string(origin))
	}
	return out
}

// tokens returns a list of tokens (RFC 9110 section 5.6.2), of which each is a
// what.
func tokens[T ~string](b *ruleBuilder, in []T, field, what string) []string {
	var out []string
	for i, token := range in {
		if !isToken(string(token)) {
			b.unsupported("%s[%d]: %q is not a %s", field, i, short(string(token)), what)
		}
		out = append(out, string(token))
	}
	return out
}
