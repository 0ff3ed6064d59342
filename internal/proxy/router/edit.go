package router

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/citoroute/citoroute/internal/ir"
)

// Route is a compiled route, ready to be put into tables.
type Route[V any] struct {
	route  *ir.Route
	leaves []*Leaf[V]
}

// Compile compiles the matches of a route; value gives what its rules stand
// for, by index. The error names the rule.
func Compile[V any](route *ir.Route, value func(rule int) V) (*Route[V], error) {
	out := &Route[V]{route: route}
	for i := range route.Rules {
		rule := &route.Rules[i]
		add := func(match int, m ir.Match) error {
			l, err := newLeaf[V](m)
			if err != nil {
				return fmt.Errorf("rule %d: match %d: %w", i, max(match, 0), err)
			}
			l.Value, l.Route, l.Rule, l.Match = value(i), route, i, match
			out.leaves = append(out.leaves, l)
			return nil
		}
		if len(rule.Matches) == 0 {
			if err := add(-1, ir.Match{}); err != nil {
				return nil, err
			}
		}
		for j, m := range rule.Matches {
			if err := add(j, m); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// Edit is a Table being changed. It belongs to one goroutine.
type Edit[V any] struct {
	hosts *HostsEdit[tiers[V]]
	open  map[place]*pathsEdit[V]
}

// place is where a table keeps a route: under a hostname, in the tier of the
// hostname that the route asked for.
type place struct{ hostname, declared string }

// Edit begins a change; t itself stays as it is.
func (t *Table[V]) Edit() *Edit[V] {
	return &Edit[V]{hosts: t.hosts.Edit(), open: make(map[place]*pathsEdit[V])}
}

// Add puts a route in.
func (e *Edit[V]) Add(r *Route[V]) {
	for _, at := range places(r.route) {
		p := e.at(at)
		for _, l := range r.leaves {
			p.add(l)
		}
	}
}

// Remove takes a route out that Add has put in.
func (e *Edit[V]) Remove(r *Route[V]) {
	for _, at := range places(r.route) {
		p := e.at(at)
		for _, l := range r.leaves {
			p.remove(l)
		}
	}
}

// Done returns the changed table. The edit must not be used afterwards.
func (e *Edit[V]) Done() *Table[V] {
	for at, p := range e.open {
		old, _ := e.hosts.Get(at.hostname)
		if list := old.with(at.declared, p.done()); len(list) == 0 {
			e.hosts.Delete(at.hostname)
		} else {
			e.hosts.Set(at.hostname, list)
		}
	}
	return &Table[V]{hosts: e.hosts.Done()}
}

func (e *Edit[V]) at(at place) *pathsEdit[V] {
	p := e.open[at]
	if p == nil {
		list, _ := e.hosts.Get(at.hostname)
		p = &pathsEdit[V]{}
		if i := list.index(at.declared); i >= 0 {
			p.p = *list[i].paths
		}
		e.open[at] = p
	}
	return p
}

// places returns where a route is kept.
func places(r *ir.Route) []place {
	if len(r.Hostnames) == 0 {
		return []place{{}}
	}
	out := make([]place, 0, len(r.Hostnames))
	for i, h := range r.Hostnames {
		at := place{hostname: strings.ToLower(h)}
		at.declared = at.hostname
		if i < len(r.Declared) {
			at.declared = strings.ToLower(r.Declared[i])
		}
		if !slices.ContainsFunc(out, func(o place) bool { return o.hostname == at.hostname }) {
			out = append(out, at)
		}
	}
	return out
}

func (t tiers[V]) index(declared string) int {
	return slices.IndexFunc(t, func(o tier[V]) bool { return o.declared == declared })
}

// with returns a new list in which p is the tier of a hostname; an empty p
// takes the tier away.
func (t tiers[V]) with(declared string, p *paths[V]) tiers[V] {
	out := slices.DeleteFunc(slices.Clone(t), func(o tier[V]) bool { return o.declared == declared })
	if p.empty() {
		return out
	}
	out = append(out, tier[V]{declared, p})
	slices.SortFunc(out, func(a, b tier[V]) int {
		return cmp.Or(
			cmp.Compare(btoi(isWildcard(a.declared)), btoi(isWildcard(b.declared))),
			cmp.Compare(len(b.declared), len(a.declared)),
			strings.Compare(a.declared, b.declared),
		)
	})
	return out
}

// isWildcard says that a hostname is of more than one host.
func isWildcard(hostname string) bool { return hostname == "" || hostname[0] == '*' }

// pathsEdit is a paths being changed.
type pathsEdit[V any] struct {
	p             paths[V]
	exact, prefix *mapEdit[[]*Leaf[V]] // nil: unchanged
}

func (e *pathsEdit[V]) add(l *Leaf[V]) {
	e.change(l, func(list []*Leaf[V]) []*Leaf[V] { return insert(list, l) })
	if l.kind == pathPrefix && l.path != "" {
		n := min(len(l.path), 255)
		e.p.lengths[n>>6] |= 1 << (n & 63)
		e.p.longest = max(e.p.longest, len(l.path))
	}
}

func (e *pathsEdit[V]) remove(l *Leaf[V]) {
	e.change(l, func(list []*Leaf[V]) []*Leaf[V] { return without(list, l.Route) })
}

// change replaces the list that l belongs to.
func (e *pathsEdit[V]) change(l *Leaf[V], f func([]*Leaf[V]) []*Leaf[V]) {
	switch {
	case l.kind == pathRegex:
		e.p.regex = f(e.p.regex)
	case l.kind == pathPrefix && l.path == "":
		e.p.root = f(e.p.root)
	case l.kind == pathPrefix:
		if e.prefix == nil {
			e.prefix = e.p.prefix.edit()
		}
		changeList(e.prefix, l.path, f)
	default:
		if e.exact == nil {
			e.exact = e.p.exact.edit()
		}
		changeList(e.exact, l.path, f)
	}
}

func changeList[V any](m *mapEdit[[]*Leaf[V]], key string, f func([]*Leaf[V]) []*Leaf[V]) {
	list, _ := m.get(key)
	if list = f(list); len(list) == 0 {
		m.del(key)
	} else {
		m.set(key, list)
	}
}

func (e *pathsEdit[V]) done() *paths[V] {
	if e.exact != nil {
		e.p.exact = e.exact.done()
	}
	if e.prefix != nil {
		e.p.prefix = e.prefix.done()
	}
	return &e.p
}
