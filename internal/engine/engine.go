package engine

import (
	"maps"
	"reflect"
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/translate"
)

// Options configure an Engine.
type Options = translate.Options

// Change is one object as it is now.
type Change struct {
	Key translate.Key
	// Object is nil for an object that is gone. It must not change afterwards.
	Object translate.Object
}

// Result says what an Apply changed.
type Result struct {
	// Nodes holds an update per node whose configuration changed. A node that
	// is new gets a complete update. Node names are gateway/<namespace>/<name> and
	// mesh/<namespace>.
	Nodes map[string]ir.Update
	// RemovedNodes are gone, sorted.
	RemovedNodes []string
	// Mesh is what changed of what the mesh/ nodes have in common. It is in Nodes
	// as well, as far as a node has it: resources there are the same pointers.
	Mesh ir.Update
	// Status lists the objects whose status may have to change, sorted.
	Status []translate.Key
	// Infra lists the Gateways whose infrastructure must be looked at again:
	// new, changed or gone; sorted.
	Infra []translate.Key
}

// Engine holds objects and the configuration that follows from them. It is not
// safe for concurrent use.
type Engine struct {
	options Options
	store   store
	units   map[unitID]*unit
	readers map[read]map[*unit]struct{}
	queue   [stages][]*unit
	// parents are what Gateways, ListenerSets and Services offer to routes.
	parents map[translate.Key]*translate.Parent
	nodes   map[translate.Key]*node
	mesh    *common
	// reports are what units have to say about objects.
	reports map[translate.Key]map[unitID]translate.Report
	// attached counts the routes of a listener.
	attached map[translate.ListenerKey]int32

	// What follows is empty between calls of Apply.
	touched map[*node]struct{}
	unused  []unitID
	status  map[translate.Key]struct{}
	infra   map[translate.Key]struct{}
}

// New returns an Engine that holds nothing.
func New(options Options) *Engine {
	e := &Engine{
		options:  options,
		store:    newStore(),
		units:    map[unitID]*unit{},
		readers:  map[read]map[*unit]struct{}{},
		parents:  map[translate.Key]*translate.Parent{},
		nodes:    map[translate.Key]*node{},
		mesh:     newCommon(),
		reports:  map[translate.Key]map[unitID]translate.Report{},
		attached: map[translate.ListenerKey]int32{},
	}
	e.forget()
	return e
}

// forget makes new maps for what an Apply changes. To clear one would cost as
// much as the largest Apply before.
func (e *Engine) forget() {
	e.touched = map[*node]struct{}{}
	e.status = map[translate.Key]struct{}{}
	e.infra = map[translate.Key]struct{}{}
}

// Apply takes changes in and returns what follows from them. Of two changes of
// one object the last counts.
func (e *Engine) Apply(changes ...Change) Result {
	for _, c := range changes {
		e.change(c)
	}
	for stage := range stages {
		e.runStage(stage)
	}
	e.collect()
	return e.result()
}

// runStage runs the units of a stage until none is left to run.
func (e *Engine) runStage(stage stage) {
	for len(e.queue[stage]) > 0 {
		u := e.queue[stage][0]
		e.queue[stage] = e.queue[stage][1:]
		u.dirty = false
		if e.units[u.id] == u {
			e.settle(u, e.run(u))
		}
	}
}

// change stores an object and marks the units that have read it.
func (e *Engine) change(c Change) {
	before := e.store.set(c.Key, c.Object)
	if c.Key.Kind == translate.KindGateway && infraChanged(before, c.Object) {
		e.infra[c.Key] = struct{}{}
	}
	if hasStatus(c.Key.Kind) {
		e.status[c.Key] = struct{}{}
		if sameSpec(before, c.Object) {
			return
		}
	}
	e.invalidate(read{key: c.Key})
	e.invalidateBuckets(before)
	e.invalidateBuckets(c.Object)
	if stage, ok := stageOf(c.Key.Kind); ok {
		e.enqueue(e.unit(unitID{key: c.Key}, stage))
	}
	if e.options.Mesh && c.Object != nil {
		e.enqueueServices(c.Object)
	}
}

// enqueueServices marks the Services that a route names as parents. A Service
// has a unit only while there is such a route.
func (e *Engine) enqueueServices(o translate.Object) {
	for _, service := range translate.ServicesOf(o) {
		e.enqueue(e.unit(unitID{key: service}, stageParent))
	}
}

// unit returns the unit of that name, which it creates where needed.
func (e *Engine) unit(id unitID, stage stage) *unit {
	if e.units[id] == nil {
		e.units[id] = &unit{id: id, stage: stage}
	}
	return e.units[id]
}

// hasStatus says whether we may have to write a status of a kind: also to take
// back what an earlier configuration made us write.
func hasStatus(kind translate.Kind) bool {
	_, translated := stageOf(kind)
	return translated && kind != translate.KindNamespace || kind == translate.KindListenerSet || kind == translate.KindBackendTLSPolicy
}

// sameSpec says that two states of an object differ in nothing that translation
// reads: most often the status that we have just written comes back.
func sameSpec(before, after translate.Object) bool {
	if before == nil || after == nil || before.GetUID() != after.GetUID() {
		return false
	}
	if x, y := before.GetCreationTimestamp(), after.GetCreationTimestamp(); !x.Equal(&y) {
		return false
	}
	a := reflect.ValueOf(before).Elem().FieldByName("Spec")
	b := reflect.ValueOf(after).Elem().FieldByName("Spec")
	return a.IsValid() && b.IsValid() && reflect.DeepEqual(a.Interface(), b.Interface())
}

// infraChanged says whether a Gateway changed in what its infrastructure is
// made from. A change of the status alone is none.
func infraChanged(before, after translate.Object) bool {
	a, ok1 := before.(*gatewayv1.Gateway)
	b, ok2 := after.(*gatewayv1.Gateway)
	if !ok1 || !ok2 {
		return true
	}
	return a.UID != b.UID || !reflect.DeepEqual(a.Spec, b.Spec) || !maps.Equal(a.Labels, b.Labels) || !maps.Equal(a.Annotations, b.Annotations)
}

// settle replaces the outcome of u and passes on what differs.
func (e *Engine) settle(u *unit, out translate.Output) {
	old := u.output
	u.output = out
	e.settleParents(old.Parents, out.Parents)
	if u.id.ref == (ir.Ref{}) && (old.Node || out.Node) {
		e.settleNode(u, old)
	}
	e.settleReports(u.id, old.Reports, out.Reports)
	e.settleAttached(old.Attached, out.Attached)
	e.settleResources(old.Resources, out.Resources)
	if !e.wanted(u.id) {
		e.drop(u)
	}
}

// wanted says whether there is still something that a unit is for. Those for
// resources are collected once nothing refers to them.
func (e *Engine) wanted(id unitID) bool {
	switch {
	case id.ref != ir.Ref{}:
		return true
	case id.key.Kind == translate.KindService:
		return e.store.buckets[translate.RoutesOf(id.key)] != nil
	default:
		return e.store.objects[id.key] != nil
	}
}

// drop forgets a unit.
func (e *Engine) drop(u *unit) {
	e.subscribe(u, nil)
	delete(e.units, u.id)
}

// place is where a resource is.
type place struct {
	node translate.Key
	ref  ir.Ref
}

// settleResources puts what differs where it belongs, and removes what is no
// longer there.
func (e *Engine) settleResources(old, now []translate.NodeResource) {
	before := make(map[place]ir.Resource, len(old))
	for _, r := range old {
		before[place{r.Node, ir.RefOf(r.Resource)}] = r.Resource
	}
	for _, r := range now {
		at := place{r.Node, ir.RefOf(r.Resource)}
		was := before[at]
		delete(before, at)
		if !reflect.DeepEqual(was, r.Resource) {
			e.put(e.node(at.node), at.ref, r.Resource)
		}
	}
	for at := range before {
		e.put(e.node(at.node), at.ref, nil)
	}
}

// settleNode creates or removes the node of a Gateway or a namespace. For a
// Gateway it asks for a look at the infrastructure if the ports that it needs
// may have changed, or how it is to look.
func (e *Engine) settleNode(u *unit, old translate.Output) {
	changed := old.Node != u.output.Node || !reflect.DeepEqual(old.Resources, u.output.Resources) ||
		!reflect.DeepEqual(old.Parameters, u.output.Parameters)
	if changed && u.id.key.Kind == translate.KindGateway {
		e.infra[u.id.key] = struct{}{}
	}
	e.node(u.id.key).exists = u.output.Node
}

func (e *Engine) settleParents(old, now []*translate.Parent) {
	kept := map[translate.Key]bool{}
	for _, p := range now {
		kept[p.Key] = true
		if !reflect.DeepEqual(e.parents[p.Key], p) {
			e.invalidate(read{parent: p.Key})
		}
		e.parents[p.Key] = p
	}
	for _, p := range old {
		// A ListenerSet may have moved to another Gateway in the meantime.
		if !kept[p.Key] && e.parents[p.Key] == p {
			delete(e.parents, p.Key)
			e.invalidate(read{parent: p.Key})
		}
	}
}

func (e *Engine) settleReports(id unitID, old, now []translate.ObjectReport) {
	kept := map[translate.Key]bool{}
	for _, r := range now {
		kept[r.Key] = true
		e.report(id, r)
	}
	for _, r := range old {
		if !kept[r.Key] {
			e.unreport(id, r.Key)
		}
	}
}

// report notes what a unit says about an object.
func (e *Engine) report(id unitID, r translate.ObjectReport) {
	if e.reports[r.Key] == nil {
		e.reports[r.Key] = map[unitID]translate.Report{}
	}
	if before, ok := e.reports[r.Key][id]; !ok || !reflect.DeepEqual(before, r.Report) {
		e.reports[r.Key][id] = r.Report
		e.status[r.Key] = struct{}{}
	}
}

// unreport takes back what a unit said about an object.
func (e *Engine) unreport(id unitID, key translate.Key) {
	delete(e.reports[key], id)
	if len(e.reports[key]) == 0 {
		delete(e.reports, key)
	}
	e.status[key] = struct{}{}
}

func (e *Engine) settleAttached(old, now []translate.ListenerKey) {
	if slices.Equal(old, now) {
		return
	}
	for _, l := range old {
		e.attached[l]--
		if e.attached[l] == 0 {
			delete(e.attached, l)
		}
		e.status[l.Owner] = struct{}{}
	}
	for _, l := range now {
		e.attached[l]++
		e.status[l.Owner] = struct{}{}
	}
}

// result collects what the Apply changed, and forgets it.
func (e *Engine) result() Result {
	r := Result{Nodes: map[string]ir.Update{}, Infra: slices.SortedFunc(maps.Keys(e.infra), translate.Key.Compare)}
	r.Mesh = e.mesh.changes()
	if !r.Mesh.Empty() {
		r.Nodes = make(map[string]ir.Update, len(e.nodes))
		e.touchMesh()
	}
	for n := range e.touched {
		e.collectNode(n, &r)
	}
	e.mesh.settle()
	slices.Sort(r.RemovedNodes)
	for key := range e.status {
		if e.store.objects[key] != nil {
			r.Status = append(r.Status, key)
		}
	}
	slices.SortFunc(r.Status, translate.Key.Compare)
	e.forget()
	return r
}

// collectNode adds what changed of a node, and forgets one that is gone.
func (e *Engine) collectNode(n *node, r *Result) {
	update, gone := n.update()
	if gone {
		r.RemovedNodes = append(r.RemovedNodes, n.name)
	}
	if !n.exists {
		delete(e.nodes, n.owner)
	} else if !update.Empty() {
		r.Nodes[n.name] = update
	}
}
