package engine

import (
	"iter"
	"maps"
	"slices"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/translate"
)

// common is what the nodes of the mesh have in common: a node for
// [translate.WholeMesh], which no proxy asks for. The node of a namespace holds
// only what differs from it, so that neither memory nor the work for a change
// grows with namespaces times routes.
type common struct {
	*node
	// routes are the names of the routes that are bound to a listener.
	routes map[string]map[ir.Ref]struct{}
	// changed and whole are made at most once in an Apply, for all nodes that
	// have nothing else.
	changed, whole *ir.Update
}

func newCommon() *common {
	return &common{node: newNode(translate.WholeMesh()), routes: map[string]map[ir.Ref]struct{}{}}
}

// bind moves a resource that changed from the routes of one listener to those of
// another, if it is a route; nil is none.
func (c *common) bind(old, now ir.Resource) {
	if r, ok := old.(*ir.Route); ok {
		delete(c.routes[r.Listener], ir.RefOf(r))
		if len(c.routes[r.Listener]) == 0 {
			delete(c.routes, r.Listener)
		}
	}
	if r, ok := now.(*ir.Route); ok {
		if c.routes[r.Listener] == nil {
			c.routes[r.Listener] = map[ir.Ref]struct{}{}
		}
		c.routes[r.Listener][ir.RefOf(r)] = struct{}{}
	}
}

// changes returns what changed in this Apply.
func (c *common) changes() ir.Update {
	if c.changed == nil {
		c.changed = new(c.difference(nil))
	}
	return *c.changed
}

// everything returns the whole, as a complete update.
func (c *common) everything() ir.Update {
	if c.whole == nil {
		c.whole = new(c.snapshot())
	}
	return *c.whole
}

// settle ends an Apply.
func (c *common) settle() {
	c.before, c.changed, c.whole = nil, nil, nil
}

// touchMesh has every node of the mesh looked at.
func (e *Engine) touchMesh() {
	touched := make(map[*node]struct{}, len(e.nodes))
	maps.Copy(touched, e.touched)
	e.touched = touched
	for _, n := range e.nodes {
		if n.common != nil {
			e.touched[n] = struct{}{}
		}
	}
}

// plain says that the node has what is common, all of it and nothing else.
func (n *node) plain() bool { return n.common != nil && len(n.resources)+len(n.hidden) == 0 }

// hides returns what of the common resources the node goes without: the routes
// of listeners that it has routes of its own for, and what only those refer to.
func (n *node) hides() map[ir.Ref]bool {
	if n.common == nil || len(n.resources) == 0 {
		return nil
	}
	hidden := map[ir.Ref]bool{}
	for _, resource := range n.resources {
		own, ok := resource.(*ir.Route)
		if !ok {
			continue
		}
		for ref := range n.common.routes[own.Listener] {
			hidden[ref] = true
		}
	}
	n.common.unused(hidden)
	return hidden
}

// unused adds to the hidden resources those that nothing else refers to.
func (c *common) unused(hidden map[ir.Ref]bool) {
	queue := slices.Collect(maps.Keys(hidden))
	lost := map[ir.Ref]int{}
	for len(queue) > 0 {
		for _, ref := range references(c.resources[queue[0]]) {
			lost[ref]++
			if lost[ref] == c.uses[ref] {
				hidden[ref] = true
				queue = append(queue, ref)
			}
		}
		queue = queue[1:]
	}
}

// get returns the resource at ref, or nil.
func (n *node) get(ref ir.Ref) ir.Resource {
	own := n.resources[ref]
	if own != nil || n.common == nil || n.hidden[ref] {
		return own
	}
	return n.common.resources[ref]
}

// had returns what was at ref before this Apply, when other resources were
// hidden.
func (n *node) had(ref ir.Ref, hidden map[ir.Ref]bool) ir.Resource {
	own, noted := n.before[ref]
	if !noted {
		own = n.resources[ref]
	}
	if own != nil || n.common == nil || hidden[ref] {
		return own
	}
	return n.common.had(ref, nil)
}

// suspects returns where the node may have something else than before this
// Apply, when other resources were hidden.
func (n *node) suspects(hidden map[ir.Ref]bool) map[ir.Ref]struct{} {
	out := map[ir.Ref]struct{}{}
	add := func(refs iter.Seq[ir.Ref]) {
		for ref := range refs {
			out[ref] = struct{}{}
		}
	}
	add(maps.Keys(n.before))
	if n.common != nil {
		add(maps.Keys(n.common.before))
		add(maps.Keys(hidden))
		add(maps.Keys(n.hidden))
	}
	return out
}

// all returns the resources of the node.
func (n *node) all() iter.Seq[ir.Resource] {
	return func(yield func(ir.Resource) bool) {
		for _, resource := range n.resources {
			if !yield(resource) {
				return
			}
		}
		if n.common == nil {
			return
		}
		for ref, resource := range n.common.resources {
			if n.resources[ref] == nil && !n.hidden[ref] && !yield(resource) {
				return
			}
		}
	}
}
