package router

import (
	"strings"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Table is the routes of one listener. The zero value is empty. It is
// immutable and safe for concurrent use.
type Table[V any] struct {
	hosts Hosts[tiers[V]]
}

// tiers are what one hostname routes, by the hostnames that its routes asked
// for ([ir.Route.Declared]), the most specific first. Nearly always there is one.
type tiers[V any] []tier[V]

type tier[V any] struct {
	declared string
	*paths[V]
}

// paths is what the routes of one tier say.
type paths[V any] struct {
	exact  hashMap[[]*Leaf[V]]
	prefix hashMap[[]*Leaf[V]] // by clean prefix without trailing slash; never ""
	regex  []*Leaf[V]
	root   []*Leaf[V] // of prefix "/"
	// lengths has a bit for every length of a key of prefix, the last one for
	// all longer ones: most prefixes of a path need no lookup.
	lengths [4]uint64
	// longest is the length of the longest key of prefix. Neither shrinks when
	// routes go: both only save lookups.
	longest int
}

// Empty says that the table has no route.
func (t *Table[V]) Empty() bool {
	return t.hosts.exact.size+t.hosts.suffix.size == 0 && !t.hosts.hasAny
}

func (p *paths[V]) empty() bool {
	return p.exact.size+p.prefix.size+len(p.regex)+len(p.root) == 0
}

// Match returns the leaf that req takes, or nil. req.Path must be clean.
func (t *Table[V]) Match(req *exchange.Request) *Leaf[V] {
	var found *Leaf[V]
	t.hosts.Find(req.Authority, func(list tiers[V]) bool {
		for i := range list {
			if found = list[i].match(req); found != nil {
				return true
			}
		}
		return false
	})
	return found
}

func (p *paths[V]) match(req *exchange.Request) *Leaf[V] {
	if p.exact.size > 0 {
		if list, ok := p.exact.get(req.Path); ok {
			if l := firstFit(list, req); l != nil {
				return l
			}
		}
	}
	if l := p.matchPrefix(req); l != nil {
		return l
	}
	for _, l := range p.regex {
		if l.regex.MatchString(req.Path) && l.fits(req) {
			return l
		}
	}
	if strings.HasPrefix(req.Path, "/") {
		return firstFit(p.root, req)
	}
	return nil
}

// Others returns the leaves that would take req if it were not for l, which
// Match has returned, and that match the same path: those of the same host
// first, in the order of precedence.
func (t *Table[V]) Others(req *exchange.Request, l *Leaf[V]) (out []*Leaf[V]) {
	t.hosts.Find(req.Authority, func(list tiers[V]) bool {
		for _, o := range list.onPath(req) {
			if o != l && o.kind == l.kind && o.path == l.path && o.fits(req) {
				out = append(out, o)
			}
		}
		return false
	})
	return out
}

// matchPrefix tries the prefixes of the path that end at a segment, the
// longest first.
func (p *paths[V]) matchPrefix(req *exchange.Request) *Leaf[V] {
	if p.prefix.size == 0 {
		return nil
	}
	cut := len(req.Path)
	if cut > p.longest {
		// The longest prefix that can be a key ends at a slash at or before longest.
		cut = strings.LastIndexByte(req.Path[:p.longest+1], '/')
	}
	for ; cut > 0; cut = strings.LastIndexByte(req.Path[:cut], '/') {
		if !p.hasLength(cut) {
			continue
		}
		if list, ok := p.prefix.get(req.Path[:cut]); ok {
			if l := firstFit(list, req); l != nil {
				return l
			}
		}
	}
	return nil
}

func (p *paths[V]) hasLength(n int) bool {
	n = min(n, 255)
	return p.lengths[n>>6]&(1<<(n&63)) != 0
}

func firstFit[V any](list []*Leaf[V], req *exchange.Request) *Leaf[V] {
	for _, l := range list {
		if l.fits(req) {
			return l
		}
	}
	return nil
}
