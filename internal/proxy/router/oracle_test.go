package router

import (
	"cmp"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// naive is the specification read word by word: it looks at every match of
// every route and keeps the best.
type naive []*ir.Route

type candidate struct {
	route       *ir.Route
	rule, match int
	rank        []int // lower is better, compared from the first
}

func (n naive) find(req *exchange.Request) (best *candidate) {
	for _, r := range n {
		hosts, ok := bestHost(r, req.Authority)
		if !ok {
			continue
		}
		for i, rule := range r.Rules {
			matches, first := rule.Matches, 0
			if len(matches) == 0 {
				matches, first = []ir.Match{{}}, -1
			}
			for j, m := range matches {
				rank, ok := rankOf(m, req)
				if !ok {
					continue
				}
				c := &candidate{r, i, j + first, append(append(slices.Clone(hosts), rank...), int(r.Created))}
				if best == nil || c.before(best) {
					best = c
				}
			}
		}
	}
	return best
}

func (c *candidate) before(o *candidate) bool {
	return cmp.Or(
		slices.Compare(c.rank, o.rank),
		strings.Compare(c.route.Source.Namespace+"/"+c.route.Source.Name, o.route.Source.Namespace+"/"+o.route.Source.Name),
		cmp.Compare(c.rule, o.rule), cmp.Compare(c.match, o.match),
	) < 0
}

// bestHost ranks: characters of a name without wildcard, then of any; then the
// same of the hostname that the route asked for.
func bestHost(r *ir.Route, host string) (rank []int, ok bool) {
	if len(r.Hostnames) == 0 {
		return []int{0, 0, 0, 0}, true
	}
	for i, h := range r.Hostnames {
		if suffix, wild := strings.CutPrefix(h, "*"); h != host && (!wild || !strings.HasSuffix(host, suffix) || len(host) == len(suffix)) {
			continue
		}
		declared := h
		if r.Declared != nil {
			declared = r.Declared[i]
		}
		if found := append(hostRank(h), hostRank(declared)...); rank == nil || slices.Compare(found, rank) < 0 {
			rank = found
		}
	}
	return rank, rank != nil
}

func hostRank(hostname string) []int {
	if strings.HasPrefix(hostname, "*") {
		return []int{0, -len(hostname)}
	}
	return []int{-len(hostname), -len(hostname)}
}

func rankOf(m ir.Match, req *exchange.Request) (rank []int, ok bool) {
	kind := map[ir.MatchType]int{ir.MatchExact: 0, ir.MatchPrefix: 1, ir.MatchRegex: 2}[m.Path.Type]
	p := m.Path.Value
	switch m.Path.Type {
	case ir.MatchExact:
		ok = req.Path == p
	case ir.MatchRegex:
		ok = regexp.MustCompile("^(?:" + p + ")$").MatchString(req.Path)
	default:
		if p == "" {
			p = "/"
		}
		bare := strings.TrimSuffix(p, "/")
		ok = req.Path == bare || strings.HasPrefix(req.Path, bare+"/")
		kind = 1
		if bare == "" {
			kind = 3 // after regular expressions
		}
	}
	if !ok || m.Method != "" && m.Method != req.Method {
		return nil, false
	}
	for _, h := range m.Headers {
		values := slices.Collect(req.Header.Values(h.Name))
		if len(values) == 0 || !valueFits(h, strings.Join(values, ",")) {
			return nil, false
		}
	}
	for _, q := range m.Query {
		v, found := firstParameter(req.Query, q.Name)
		if !found || !valueFits(q, v) {
			return nil, false
		}
	}
	method := 0
	if m.Method == "" {
		method = 1
	}
	// Of prefixes that differ in a trailing slash only, the segments are what
	// is compared first; then the characters.
	bare := len(strings.TrimSuffix(p, "/"))
	if kind == 2 {
		bare = len(p)
	}
	return []int{kind, -bare, -len(m.Path.Value), method, -len(m.Headers), -len(m.Query)}, true
}

func valueFits(m ir.ValueMatch, v string) bool {
	if m.Type == ir.MatchRegex {
		return regexp.MustCompile("^(?:" + m.Value + ")$").MatchString(v)
	}
	return v == m.Value
}

func firstParameter(query, name string) (string, bool) {
	for pair := range strings.SplitSeq(query, "&") {
		if n, v, _ := strings.Cut(pair, "="); n == name {
			return v, true
		}
	}
	return "", false
}

// dice makes routes and requests out of few words, so that they often meet.
type dice struct{ *rand.Rand }

func (d dice) one(of ...string) string { return of[d.IntN(len(of))] }

func (d dice) path() string {
	n := d.IntN(4)
	if n == 0 {
		return "/"
	}
	var b strings.Builder
	for range n {
		b.WriteString("/" + d.one("a", "b", "aa", "a-b"))
	}
	if d.IntN(5) == 0 {
		b.WriteString("/")
	}
	return b.String()
}

func (d dice) values(names ...string) (out []ir.ValueMatch) {
	for _, name := range names {
		switch d.IntN(6) {
		case 0:
			out = append(out, ir.ValueMatch{Name: name, Type: ir.MatchExact, Value: d.one("1", "2", "1,2")})
		case 1:
			out = append(out, ir.ValueMatch{Name: name, Type: ir.MatchRegex, Value: d.one("1|2", "[0-9,]+", "2")})
		}
	}
	return out
}

func (d dice) match() ir.Match {
	m := ir.Match{Headers: d.values("x", "y"), Query: d.values("p", "q")}
	if d.IntN(4) == 0 {
		m.Method = d.one("GET", "POST")
	}
	switch d.IntN(8) {
	case 0:
	case 1:
		m.Path = ir.PathMatch{Type: ir.MatchRegex, Value: d.one("/a.*", "/[ab]", "/a/b|/b/a", ".*", "/a{1,2}/.*")}
	case 2, 3, 4:
		m.Path = ir.PathMatch{Type: ir.MatchExact, Value: d.path()}
	default:
		m.Path = ir.PathMatch{Type: ir.MatchPrefix, Value: d.path()}
	}
	return m
}

func (d dice) route(name string) *ir.Route {
	r := &ir.Route{
		Name: name, Created: int64(d.IntN(3)),
		Source: ir.Source{Kind: "HTTPRoute", Namespace: d.one("n1", "n2"), Name: name},
	}
	for range d.IntN(3) {
		r.Hostnames = append(r.Hostnames, d.one("a.example", "b.a.example", "*.example", "*.a.example", "c.b.a.example"))
	}
	if len(r.Hostnames) == 1 && d.IntN(2) == 0 {
		// What a route asked for that shares this hostname with its listener.
		r.Declared = []string{d.one("", "*.example", "*.a.example", "b.a.example")}
	}
	for range 1 + d.IntN(3) {
		var rule ir.Rule
		for range d.IntN(3) {
			rule.Matches = append(rule.Matches, d.match())
		}
		r.Rules = append(r.Rules, rule)
	}
	return r
}

func (d dice) request() *exchange.Request {
	req := &exchange.Request{
		Method: d.one("GET", "POST", "PUT"), Path: d.path(),
		Authority: d.one("a.example", "b.a.example", "c.b.a.example", "d.example", "example", "other"),
		Query:     d.one("", "p=1", "p=2&q=1", "q=2&q=1", "p=1&p=2"),
	}
	for range d.IntN(3) {
		req.Header.Add(d.one("x", "X", "y"), d.one("1", "2", "3"))
	}
	return req
}

// checkPrecedence changes a table route by route and compares every lookup
// with the oracle.
func checkPrecedence(t *testing.T, d dice) {
	t.Helper()
	table := &Table[string]{}
	compiled := map[string]*Route[string]{}
	var routes naive
	for range 12 {
		edit := table.Edit()
		name := d.one("r1", "r2", "r3", "r4", "r5", "r6", "r7")
		if old := compiled[name]; old != nil {
			edit.Remove(old)
			delete(compiled, name)
			routes = slices.DeleteFunc(slices.Clone(routes), func(r *ir.Route) bool { return r.Name == name })
		}
		if d.IntN(4) > 0 {
			r := d.route(name)
			c, err := Compile(r, func(int) string { return name })
			if err != nil {
				t.Fatal(err)
			}
			edit.Add(c)
			compiled[name] = c
			routes = append(slices.Clone(routes), r)
		}
		table = edit.Done()
		compare(t, d, table, routes)
	}
}

func compare(t *testing.T, d dice, table *Table[string], routes naive) {
	t.Helper()
	for range 20 {
		req := d.request()
		got, want := table.Match(req), routes.find(req)
		switch {
		case got == nil && want == nil:
		case got == nil || want == nil:
			t.Fatalf("%+v: found %v, want %v", req, got, want)
		case got.Route != want.route || got.Rule != want.rule || got.Match != want.match:
			t.Fatalf("%+v:\nfound %s rule %d match %d: %+v\nwant  %s rule %d match %d: %+v", req,
				got.Route.Name, got.Rule, got.Match, got.Route, want.route.Name, want.rule, want.match, want.route)
		}
	}
}

func TestMatch_IsWhatTheSpecificationSays(t *testing.T) {
	for seed := range uint64(300) {
		checkPrecedence(t, dice{rand.New(rand.NewPCG(seed, 1))})
	}
}

func FuzzMatch(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		checkPrecedence(t, dice{rand.New(rand.NewPCG(a, b))})
	})
}

func TestEdit_LeavesTheOldTableAsItWas(t *testing.T) {
	d := dice{rand.New(rand.NewPCG(7, 7))}
	var routes naive
	var all []*Route[string]
	edit := (&Table[string]{}).Edit()
	for i := range 200 {
		r := d.route(strings.Repeat("r", i+1))
		c, err := Compile(r, func(int) string { return r.Name })
		if err != nil {
			t.Fatal(err)
		}
		edit.Add(c)
		routes, all = append(routes, r), append(all, c)
	}
	table := edit.Done()
	next := table.Edit()
	for _, c := range all[:150] {
		next.Remove(c)
	}
	rest := next.Done()
	compare(t, d, table, routes)
	compare(t, d, rest, routes[150:])
}
