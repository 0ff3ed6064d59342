package router

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Leaf is one match of one rule: what a lookup finds.
type Leaf[V any] struct {
	// Value is what the rule's compiler made of it.
	Value V
	Route *ir.Route
	// Rule and Match are indexes; Match is -1 for the match of a rule without any.
	Rule, Match int

	kind    pathKind
	path    string // clean; a prefix without its trailing slash
	length  int    // characters of the path as written, the first criterion
	regex   *regexp.Regexp
	method  string
	headers []valueMatch
	query   []valueMatch
}

type pathKind uint8

const (
	pathExact pathKind = iota
	pathPrefix
	pathRegex
)

type valueMatch struct {
	name, value string
	regex       *regexp.Regexp // nil: exact
}

// Prefix returns the part of the path that the match covers, which a prefix
// rewrite replaces: without a trailing slash where it is a prefix; "" for any
// path and for regular expressions.
func (l *Leaf[V]) Prefix() string {
	if l.kind == pathRegex {
		return ""
	}
	return l.path
}

// Describe returns the match in words, for people.
func (l *Leaf[V]) Describe() string {
	words := []string{[]string{"path is ", "path begins with ", "path matches "}[l.kind] + cmp.Or(l.path, "/")}
	if l.method != "" {
		words = append(words, "method is "+l.method)
	}
	for _, part := range []struct {
		kind string
		list []valueMatch
	}{{"header", l.headers}, {"query parameter", l.query}} {
		for _, m := range part.list {
			verb := "is"
			if m.regex != nil {
				verb = "matches"
			}
			words = append(words, fmt.Sprintf("%s %s %s %q", part.kind, m.name, verb, m.value))
		}
	}
	return strings.Join(words, ", ")
}

func newLeaf[V any](m ir.Match) (*Leaf[V], error) {
	l := &Leaf[V]{method: m.Method, length: len(m.Path.Value)}
	if err := l.setPath(m.Path); err != nil {
		return nil, err
	}
	var err error
	if l.headers, err = newValueMatches(true, m.Headers); err != nil {
		return nil, err
	}
	l.query, err = newValueMatches(false, m.Query)
	return l, err
}

func (l *Leaf[V]) setPath(m ir.PathMatch) error {
	if m.Type == "" && m.Value == "" {
		m = ir.PathMatch{Type: ir.MatchPrefix, Value: "/"}
	}
	switch m.Type {
	case ir.MatchRegex:
		re, err := anchored(m.Value)
		if err != nil {
			return fmt.Errorf("path: %w", err)
		}
		l.kind, l.path, l.regex = pathRegex, m.Value, re
		return nil
	case ir.MatchExact, ir.MatchPrefix:
	default:
		return fmt.Errorf("path: unknown match type %q", m.Type)
	}
	if !strings.HasPrefix(m.Value, "/") {
		return fmt.Errorf("path %q does not begin with /", m.Value)
	}
	clean, err := CleanPath(m.Value)
	if err != nil {
		return fmt.Errorf("path %q: %w", m.Value, err)
	}
	l.kind, l.path = pathExact, clean
	if m.Type == ir.MatchPrefix {
		l.kind, l.path = pathPrefix, strings.TrimSuffix(clean, "/")
	}
	return nil
}

func newValueMatches(header bool, in []ir.ValueMatch) ([]valueMatch, error) {
	kind := "query parameter"
	if header {
		kind = "header"
	}
	out := make([]valueMatch, 0, len(in))
	for i, m := range in {
		same := func(o ir.ValueMatch) bool { return o.Name == m.Name || header && strings.EqualFold(o.Name, m.Name) }
		if slices.ContainsFunc(in[:i], same) {
			continue // Gateway API: the first entry of a name counts
		}
		v := valueMatch{name: m.Name, value: m.Value}
		switch m.Type {
		case ir.MatchExact, "":
		case ir.MatchRegex:
			re, err := anchored(m.Value)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", kind, m.Name, err)
			}
			v.regex = re
		default:
			return nil, fmt.Errorf("%s %s: unknown match type %q", kind, m.Name, m.Type)
		}
		out = append(out, v)
	}
	return out, nil
}

// maxPattern bounds regular expressions, whose programs can be much larger
// than they are (1,000 nested repetitions of a character are 4 characters).
const maxPattern = 4096

func anchored(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("regular expression of %d characters; at most %d", len(pattern), maxPattern)
	}
	// Compiled alone first, so that an unbalanced parenthesis can not undo the anchors.
	if _, err := regexp.Compile(pattern); err != nil {
		return nil, err
	}
	return regexp.Compile(`^(?:` + pattern + `)$`)
}

// fits compares what the path did not decide.
func (l *Leaf[V]) fits(req *exchange.Request) bool {
	if l.method != "" && l.method != req.Method {
		return false
	}
	for i := range l.headers {
		if !l.headers[i].fitsHeader(req) {
			return false
		}
	}
	for i := range l.query {
		if !l.query[i].fitsQuery(req.Query) {
			return false
		}
	}
	return true
}

// order sorts leaves of one path by precedence.
func order[V any](a, b *Leaf[V]) int {
	return cmp.Or(
		cmp.Compare(b.length, a.length),
		cmp.Compare(btoi(b.method != ""), btoi(a.method != "")),
		cmp.Compare(len(b.headers), len(a.headers)),
		cmp.Compare(len(b.query), len(a.query)),
		cmp.Compare(a.Route.Created, b.Route.Created),
		strings.Compare(a.Route.Source.Namespace, b.Route.Source.Namespace),
		strings.Compare(a.Route.Source.Name, b.Route.Source.Name),
		strings.Compare(a.Route.Name, b.Route.Name),
		cmp.Compare(a.Rule, b.Rule),
		cmp.Compare(a.Match, b.Match),
	)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// insert returns a new sorted slice with l in its place.
func insert[V any](list []*Leaf[V], l *Leaf[V]) []*Leaf[V] {
	i, _ := slices.BinarySearchFunc(list, l, order)
	out := make([]*Leaf[V], 0, len(list)+1)
	return append(append(append(out, list[:i]...), l), list[i:]...)
}

// without returns a new slice without the leaves of a route.
func without[V any](list []*Leaf[V], route *ir.Route) []*Leaf[V] {
	out := make([]*Leaf[V], 0, len(list))
	for _, l := range list {
		if l.Route != route {
			out = append(out, l)
		}
	}
	return out
}
