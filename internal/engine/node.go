package engine

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/translate"
)

// node is the configuration of a Gateway's proxies, or of the sidecars of a
// namespace: the listeners, the routes bound to them and, by reference, all that
// those need.
type node struct {
	owner  translate.Key // the Gateway or namespace
	name   string        // what [NodeOf] calls it
	exists bool          // the Gateway is ours, the namespace in the mesh
	// resources are the node's own.
	resources map[ir.Ref]ir.Resource
	// uses counts the references of own resources to a resource.
	uses map[ir.Ref]int
	// before holds the own resources that changed in this Apply, as they were.
	before map[ir.Ref]ir.Resource
	// isNew says that no update was made for the node yet.
	isNew bool
	// common is what a node of the mesh has besides, but for what is hidden; nil
	// for others.
	common *common
	hidden map[ir.Ref]bool
}

func newNode(owner translate.Key) *node {
	return &node{owner: owner, name: NodeOf(owner), resources: map[ir.Ref]ir.Resource{}, uses: map[ir.Ref]int{}, isNew: true}
}

func (e *Engine) node(owner translate.Key) *node {
	if owner == translate.WholeMesh() {
		return e.mesh.node
	}
	n := e.nodes[owner]
	if n == nil {
		n = newNode(owner)
		if owner.Kind == translate.KindNamespace {
			n.common = e.mesh
		}
		e.nodes[owner] = n
	}
	e.touched[n] = struct{}{}
	return n
}

// put makes resource what is at ref, nil for nothing, and moves references
// along. New ones are counted first, so that what stays in use stays.
func (e *Engine) put(n *node, ref ir.Ref, resource ir.Resource) {
	old := n.set(ref, resource)
	if n == e.mesh.node {
		e.mesh.bind(old, resource)
	}
	for _, target := range references(resource) {
		e.use(n, target)
	}
	for _, target := range references(old) {
		e.release(n, target)
	}
}

// set stores a resource, nil for none, and returns what was there before.
func (n *node) set(ref ir.Ref, resource ir.Resource) ir.Resource {
	old := n.resources[ref]
	if _, noted := n.before[ref]; !noted {
		if n.before == nil {
			n.before = map[ir.Ref]ir.Resource{}
		}
		n.before[ref] = old
	}
	if resource == nil {
		delete(n.resources, ref)
	} else {
		n.resources[ref] = resource
	}
	return old
}

// references returns what a resource refers to; nil refers to nothing.
func references(resource ir.Resource) []ir.Ref {
	if resource == nil {
		return nil
	}
	return translate.References(resource)
}

// use counts a reference, and brings its target to life with the first.
func (e *Engine) use(n *node, ref ir.Ref) {
	n.uses[ref]++
	if n.uses[ref] > 1 {
		return
	}
	stage := stageLeaf
	if ref.Type == ir.TypeBackend || ref.Type == ir.TypePolicy {
		stage = stageBackend
	}
	e.enqueue(e.unit(unitID{key: n.owner, ref: ref}, stage))
}

// release drops a reference; what is left without is collected at the end.
func (e *Engine) release(n *node, ref ir.Ref) {
	n.uses[ref]--
	if n.uses[ref] == 0 {
		delete(n.uses, ref)
		e.unused = append(e.unused, unitID{key: n.owner, ref: ref})
	}
}

// collect removes the resources that nothing refers to any more.
func (e *Engine) collect() {
	for len(e.unused) > 0 {
		id := e.unused[0]
		e.unused = e.unused[1:]
		u := e.units[id]
		if u == nil || e.node(id.key).uses[id.ref] > 0 {
			continue
		}
		e.settle(u, translate.Output{})
		e.drop(u)
	}
}

// update returns what changed of the node since the last call, and whether the
// node is gone.
func (n *node) update() (update ir.Update, gone bool) {
	defer func() { n.before = nil }()
	if !n.exists {
		return ir.Update{}, !n.isNew
	}
	was := n.hidden
	n.hidden = n.hides()
	if n.isNew {
		n.isNew = false
		return n.snapshot(), false
	}
	return n.difference(was), false
}

// difference returns what is another than before, when other resources of the
// mesh were hidden.
func (n *node) difference(hidden map[ir.Ref]bool) (update ir.Update) {
	if n.plain() && len(hidden)+len(n.before) == 0 {
		return n.common.changes()
	}
	for ref := range n.suspects(hidden) {
		old := n.had(ref, hidden)
		switch now := n.get(ref); {
		case now == nil && old != nil:
			update.Removed = append(update.Removed, ref)
		case now != nil && !reflect.DeepEqual(old, now):
			update.Upserts = append(update.Upserts, now)
		}
	}
	sortUpdate(&update)
	return update
}

// snapshot returns the whole configuration of the node.
func (n *node) snapshot() ir.Update {
	if n.plain() {
		return n.common.everything()
	}
	update := ir.Update{Complete: true, Upserts: slices.Collect(n.all())}
	sortUpdate(&update)
	return update
}

// sortUpdate puts additions in an order in which nothing comes before what it
// refers to, and removals in the reverse one.
func sortUpdate(update *ir.Update) {
	rank := map[ir.Type]int{}
	for i, t := range ir.Types() {
		rank[t] = i
	}
	compare := func(a, b ir.Ref) int {
		return cmp.Or(cmp.Compare(rank[a.Type], rank[b.Type]), cmp.Compare(a.Name, b.Name))
	}
	slices.SortFunc(update.Upserts, func(a, b ir.Resource) int { return compare(ir.RefOf(a), ir.RefOf(b)) })
	slices.SortFunc(update.Removed, func(a, b ir.Ref) int { return compare(b, a) })
}
