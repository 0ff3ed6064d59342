package standalone

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/citoroute/citoroute/internal/ir"
)

// Try returns a curl command for each route that is being served, at most
// limit of them.
func (s *Standalone) Try(limit int) []string {
	var out []string
	seen := map[ir.Source]bool{}
	for _, key := range s.gateways() {
		g := s.fleet.of(key)
		if g == nil || g.server == nil {
			continue
		}
		for _, r := range g.runtime.Resources() {
			route, ok := r.(*ir.Route)
			if !ok || len(route.Rules) == 0 || seen[route.Source] || len(out) == limit {
				continue
			}
			if l, addr := g.serving(route); addr.IsValid() {
				seen[route.Source] = true
				out = append(out, curl(route, l, netip.AddrPortFrom(s.opts.Bind, addr.Port())))
			}
		}
	}
	return out
}

// serving returns a route's listener and where it is bound, if it is.
func (g *gateway) serving(route *ir.Route) (*ir.Listener, netip.AddrPort) {
	for _, l := range g.runtime.Listeners() {
		if l.Name == route.Listener {
			addr, _ := g.server.Addr(l.Port)
			return l, addr
		}
	}
	return nil, netip.AddrPort{}
}

// curl returns a command for the first match of a route's first rule.
func curl(route *ir.Route, l *ir.Listener, addr netip.AddrPort) string {
	rule := route.Rules[0]
	origin, command := reach(route, l, addr)
	if c := l.Clients; c != nil && slices.ContainsFunc(c.ProxyProtocol, func(p netip.Prefix) bool { return p.Contains(addr.Addr()) }) {
		command = append(command, "--haproxy-protocol")
	}
	path := "/"
	if len(rule.Matches) > 0 {
		m := rule.Matches[0]
		if m.Path.Type != ir.MatchRegex && m.Path.Value != "" {
			path = m.Path.Value
		}
		command = append(command, satisfy(m)...)
	}
	if rule.LLM != nil {
		return "curl " + strings.Join(append(command, askModel(&rule, origin, path)...), " ")
	}
	return "curl " + strings.Join(append(command, origin+path), " ")
}

// askModel returns the URL and the options of a request to an LLM rule, whose path
// is that of an API or the base of all.
func askModel(rule *ir.Rule, origin, path string) []string {
	body := `"stream":true,"messages":[{"role":"user","content":"Hello!"}]`
	switch {
	case strings.HasSuffix(path, "/chat/completions"):
	case strings.HasSuffix(path, "/embeddings"), strings.HasSuffix(path, "/responses"):
		body = `"input":"Hello!"`
	case strings.HasSuffix(path, "/messages"):
		body = `"max_tokens":100,` + body
	case rule.Matches[0].Path.Type == ir.MatchExact:
	case strings.HasSuffix(path, "/v1"):
		path += "/chat/completions"
	default:
		path = strings.TrimSuffix(path, "/") + "/v1/chat/completions"
	}
	options := []string{origin + path, "-H", "'Content-Type: application/json'"}
	if len(rule.LLM.Consumers) > 0 {
		options = append(options, "-H", "'Authorization: Bearer YOUR-KEY'")
	}
	return append(options, "-d", `'{"model":"`+model(rule)+`",`+body+`}'`)
}

// model returns one that an LLM rule serves.
func model(rule *ir.Rule) string {
	for _, b := range rule.Backends {
		if b.LLM != nil && len(b.LLM.Models) > 0 {
			return strings.Replace(b.LLM.Models[0], "*", "5", 1)
		}
	}
	return "fake-large"
}

// reach returns a URL without a path, and the options with which it leads to
// addr under the route's host name.
func reach(route *ir.Route, l *ir.Listener, addr netip.AddrPort) (origin string, options []string) {
	host := ""
	if len(route.Hostnames) > 0 {
		host = strings.Replace(route.Hostnames[0], "*", "www", 1)
	}
	switch {
	case l.TLS != nil:
		authority := fmt.Sprintf("%s:%d", cmp.Or(host, "localhost"), addr.Port())
		return "https://" + authority, []string{"-k", "--resolve", authority + ":" + addr.Addr().String()}
	case host != "":
		options = []string{"-H", "'Host: " + host + "'"}
	}
	return "http://" + addr.String(), options
}

// satisfy returns the options for a match's method and headers.
func satisfy(m ir.Match) []string {
	var options []string
	if m.Method != "" {
		options = append(options, "-X", m.Method)
	}
	for _, h := range m.Headers {
		options = append(options, "-H", "'"+h.Name+": "+h.Value+"'")
	}
	return options
}
