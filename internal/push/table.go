package push

import (
	"iter"
	"maps"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
)

// table holds the resources of a node by their wire names. One of many that are
// nearly alike holds only what differs from the common one.
type table struct {
	// common is what a table differs from; nil: it holds everything itself.
	common *table
	// own are the resources that differ; nil for one of the common that is not there.
	own map[string]*discoveryv3.Resource
}

func newTable() *table { return &table{own: map[string]*discoveryv3.Resource{}} }

// get returns the resource of that name, or nil.
func (t *table) get(name string) *discoveryv3.Resource {
	own, differs := t.own[name]
	if differs || t.common == nil {
		return own
	}
	return t.common.own[name]
}

// set replaces the resource of that name; nil removes it.
func (t *table) set(name string, r *discoveryv3.Resource) {
	switch {
	case t.common != nil && !same(t.common.own[name], r), t.common == nil && r != nil:
		t.own[name] = r
	default:
		delete(t.own, name)
		if len(t.own) == 0 {
			t.own = map[string]*discoveryv3.Resource{} // an emptied map keeps its size
		}
	}
}

// pin makes sure that a resource stays what it is when that of the common table
// changes.
func (t *table) pin(name string) {
	if _, differs := t.own[name]; !differs {
		t.own[name] = t.common.own[name]
	}
}

// all returns the resources that there are.
func (t *table) all() iter.Seq2[string, *discoveryv3.Resource] {
	return func(yield func(string, *discoveryv3.Resource) bool) {
		for name, r := range t.own {
			if r != nil && !yield(name, r) {
				return
			}
		}
		if t.common == nil {
			return
		}
		for name, r := range t.common.own {
			if _, differs := t.own[name]; !differs && !yield(name, r) {
				return
			}
		}
	}
}

// against returns the same table, held as its difference from common; nil: held
// as a whole.
func (t *table) against(common *table) *table {
	out := newTable()
	if common == nil {
		out.own = maps.Collect(t.all())
		return out
	}
	out.common = common
	for name := range common.own {
		out.set(name, t.get(name))
	}
	for name, r := range t.all() {
		out.set(name, r)
	}
	return out
}

// same says that two resources are equal; nil is none.
func same(a, b *discoveryv3.Resource) bool { return a.GetVersion() == b.GetVersion() }
