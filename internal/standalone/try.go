package standalone

import (
	"fmt"
	"net/netip"
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
		listeners := map[string]*ir.Listener{}
		for _, l := range g.runtime.Listeners() {
			listeners[l.Name] = l
		}
		for _, r := range g.runtime.Resources() {
			route, ok := r.(*ir.Route)
			if !ok || len(route.Rules) == 0 || seen[route.Source] || len(out) == limit {
				continue
			}
			if l := listeners[route.Listener]; l != nil {
				if addr, bound := g.server.Addr(l.Port); bound {
					seen[route.Source] = true
					out = append(out, curl(route, l, netip.AddrPortFrom(s.opts.Bind, addr.Port())))
				}
			}
		}
	}
	return out
}

// curl returns a command for the first match of a route's first rule.
func curl(route *ir.Route, l *ir.Listener, addr netip.AddrPort) string {
	rule := route.Rules[0]
	command := []string{"curl"}
	host := ""
	if len(route.Hostnames) > 0 {
		host = strings.Replace(route.Hostnames[0], "*", "www", 1)
	}
	authority := addr.String()
	scheme := "http"
	switch {
	case l.TLS != nil:
		scheme = "https"
		if host == "" {
			host = "localhost"
		}
		authority = fmt.Sprintf("%s:%d", host, addr.Port())
		command = append(command, "-k", "--resolve", authority+":"+addr.Addr().String())
	case host != "":
		command = append(command, "-H", "'Host: "+host+"'")
	}
	path := "/"
	if len(rule.Matches) > 0 {
		m := rule.Matches[0]
		if m.Path.Type != ir.MatchRegex && m.Path.Value != "" {
			path = m.Path.Value
		}
		if m.Method != "" {
			command = append(command, "-X", m.Method)
		}
		for _, h := range m.Headers {
			command = append(command, "-H", "'"+h.Name+": "+h.Value+"'")
		}
	}
	command = append(command, scheme+"://"+authority+path)
	if rule.LLM != nil {
		command = append(command, "-H", "'Content-Type: application/json'", "-d",
			`'{"model":"fake-large","stream":true,"messages":[{"role":"user","content":"Hello!"}]}'`)
	}
	return strings.Join(command, " ")
}
