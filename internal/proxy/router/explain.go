package router

import (
	"fmt"
	"slices"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Passed is a match that a request's path fits and that was not taken.
type Passed[V any] struct {
	Leaf   *Leaf[V]
	Reason string
}

// Explain returns what Match returns, the hostname under which it was found,
// and the matches of the same hosts that come before it in the order of
// precedence and do not fit, or come after it and would have.
func (t *Table[V]) Explain(req *exchange.Request) (found *Leaf[V], hostname string, passed []Passed[V]) {
	t.hosts.Find(req.Authority, func(list tiers[V]) bool {
		for _, l := range list.onPath(req) {
			switch reason := l.misfit(req); {
			case reason != "":
				if found == nil {
					passed = append(passed, Passed[V]{l, reason})
				}
			case found == nil:
				found, hostname = l, t.hostnameOf(list)
			default:
				passed = append(passed, Passed[V]{l, "it fits too, but comes later in the order of precedence"})
			}
		}
		return found != nil
	})
	return found, hostname, passed
}

// onPath returns the leaves whose path fits, in the order of precedence.
func (t tiers[V]) onPath(req *exchange.Request) (out []*Leaf[V]) {
	for i := range t {
		out = append(out, t[i].onPath(req)...)
	}
	return out
}

// onPath returns the leaves of one tier whose path fits, in the order of precedence.
func (p *paths[V]) onPath(req *exchange.Request) []*Leaf[V] {
	exact, _ := p.exact.get(req.Path)
	out := slices.Clone(exact)
	for cut := len(req.Path); cut > 0; cut-- {
		if cut < len(req.Path) && req.Path[cut] != '/' {
			continue
		}
		list, _ := p.prefix.get(req.Path[:cut])
		out = append(out, list...)
	}
	for _, l := range p.regex {
		if l.regex.MatchString(req.Path) {
			out = append(out, l)
		}
	}
	return append(out, p.root...)
}

// misfit says what of a leaf's conditions, path apart, req does not meet; ""
// where it meets all.
func (l *Leaf[V]) misfit(req *exchange.Request) string {
	if l.method != "" && l.method != req.Method {
		return "method is " + req.Method
	}
	for i := range l.headers {
		if !l.headers[i].fitsHeader(req) {
			return fmt.Sprintf("header %s does not fit", l.headers[i].name)
		}
	}
	for i := range l.query {
		if !l.query[i].fitsQuery(req.Query) {
			return fmt.Sprintf("query parameter %s does not fit", l.query[i].name)
		}
	}
	return ""
}

// hostnameOf returns the hostname that has a list, which is not empty.
func (t *Table[V]) hostnameOf(list tiers[V]) string {
	for hostname, other := range t.hosts.All {
		if other[0].paths == list[0].paths {
			return hostname
		}
	}
	return ""
}
