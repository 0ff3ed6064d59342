package router

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Passed is a match that was not taken.
type Passed[V any] struct {
	Leaf   *Leaf[V]
	Reason string
}

// Explain returns what Match returns, the hostname under which it was found,
// and the matches of the same hosts that come before it in the order of
// precedence and do not fit, or come after it and would have. Where nothing is
// found, those that the host alone or the path alone keeps it from come last.
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
	if found == nil {
		passed = append(passed, t.missed(req)...)
	}
	return found, hostname, passed
}

// missed returns the matches of other hosts that fit the path, and those of the
// host that do not, sorted by route.
func (t *Table[V]) missed(req *exchange.Request) (out []Passed[V]) {
	ofHost := map[*paths[V]]bool{}
	t.hosts.Find(req.Authority, func(list tiers[V]) bool {
		for i := range list {
			ofHost[list[i].paths] = true
		}
		return false
	})
	for _, list := range t.hosts.All {
		for i := range list {
			onPath := list[i].onPath(req)
			if ofHost[list[i].paths] {
				for l := range list[i].all {
					if !slices.Contains(onPath, l) {
						out = append(out, Passed[V]{l, "path is " + req.Path})
					}
				}
				continue
			}
			for _, l := range onPath {
				out = append(out, Passed[V]{l, fmt.Sprintf("host is not %s", strings.Join(l.Route.Hostnames, ", "))})
			}
		}
	}
	slices.SortFunc(out, Passed[V].compare)
	return slices.CompactFunc(out, func(a, b Passed[V]) bool { return a.compare(b) == 0 })
}

// compare sorts by route, rule and match: one that is there for several hosts
// is the same.
func (p Passed[V]) compare(o Passed[V]) int {
	a, b := p.Leaf, o.Leaf
	return cmp.Or(strings.Compare(a.Route.Name, b.Route.Name), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Match, b.Match))
}

// all yields every leaf.
func (p *paths[V]) all(yield func(*Leaf[V]) bool) {
	lists := [][]*Leaf[V]{p.regex, p.root}
	for _, m := range []*hashMap[[]*Leaf[V]]{&p.exact, &p.prefix} {
		for _, list := range m.all {
			lists = append(lists, list)
		}
	}
	for _, l := range slices.Concat(lists...) {
		if !yield(l) {
			return
		}
	}
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
