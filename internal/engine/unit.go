package engine

import (
	"cmp"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/translate"
)

// stage orders the functions: a function reads only what functions of earlier
// stages made, so that running the stages once in order is enough.
type stage int

const (
	stageParent  stage = iota // what routes attach to, with classes; and whether a namespace has a node
	stageObject               // routes and policies
	stageBackend              // what routes and listeners refer to
	stageLeaf                 // what those refer to
	stages
)

// unitID names one run of a translation function: for an object, or for a
// resource of a node.
type unitID struct {
	key translate.Key // the object, or whom the node serves
	ref ir.Ref        // zero: the function for the object
}

func (id unitID) compare(o unitID) int {
	return cmp.Or(id.key.Compare(o.key), cmp.Compare(id.ref.Type, o.ref.Type), cmp.Compare(id.ref.Name, o.ref.Name))
}

// unit is a translation function with its latest outcome and what it read.
type unit struct {
	id     unitID
	stage  stage
	dirty  bool
	reads  map[read]struct{}
	output translate.Output
}

// read is something that a unit has asked for. One of the fields is set.
type read struct {
	key    translate.Key    // an object
	bucket translate.Bucket // a list of objects
	parent translate.Key    // what a Gateway, ListenerSet or Service offers to routes
}

// recorder is the world as one unit sees it.
type recorder struct {
	engine *Engine
	reads  map[read]struct{}
}

// Get implements [translate.Reader].
func (r *recorder) Get(key translate.Key) translate.Object {
	r.reads[read{key: key}] = struct{}{}
	return r.engine.store.objects[key]
}

// List implements [translate.Reader].
func (r *recorder) List(b translate.Bucket) []translate.Object {
	r.reads[read{bucket: b}] = struct{}{}
	return r.engine.store.list(b)
}

// Parent implements [translate.Reader].
func (r *recorder) Parent(key translate.Key) *translate.Parent {
	r.reads[read{parent: key}] = struct{}{}
	return r.engine.parents[key]
}

// LocalBackends implements [translate.Reader].
func (r *recorder) LocalBackends() bool { return r.engine.options.LocalBackends }

// stageOf returns when the function for objects of a kind runs, and false if
// there is none.
func stageOf(kind translate.Kind) (stage, bool) {
	switch kind {
	case translate.KindGatewayClass, translate.KindXMesh, translate.KindGateway, translate.KindNamespace:
		return stageParent, true
	case translate.KindHTTPRoute, translate.KindGRPCRoute, translate.KindTLSRoute, translate.KindTCPRoute, translate.KindUDPRoute, translate.KindLLMRoute:
		return stageObject, true
	default:
		return stageObject, isPolicy(kind)
	}
}

// isPolicy says that [translate.Policy] is the function for objects of a kind.
func isPolicy(kind translate.Kind) bool {
	switch kind {
	case translate.KindLLMBackend, translate.KindConsumer, translate.KindJWTPolicy, translate.KindLLMLimitPolicy, translate.KindLLMPriceTable:
		return true
	default:
		return false
	}
}

// run calls the translation function of u and notes what it reads.
func (e *Engine) run(u *unit) translate.Output {
	r := &recorder{engine: e, reads: map[read]struct{}{}}
	defer func() { e.subscribe(u, r.reads) }()
	switch {
	case u.id.ref != ir.Ref{}:
		return translate.Resource(r, u.id.ref, u.id.key, e.options)
	case u.id.key.Kind == translate.KindGatewayClass:
		return translate.GatewayClass(r, u.id.key, e.options)
	case u.id.key.Kind == translate.KindXMesh:
		return translate.XMesh(r, u.id.key, e.options)
	case u.id.key.Kind == translate.KindGateway:
		return translate.Gateway(r, u.id.key, e.options)
	case u.id.key.Kind == translate.KindNamespace:
		return translate.Namespace(r, u.id.key, e.options)
	case u.id.key.Kind == translate.KindService:
		return translate.Service(r, u.id.key, e.options)
	case isPolicy(u.id.key.Kind):
		return translate.Policy(r, u.id.key, e.options)
	}
	return translate.Route(r, u.id.key, e.options)
}

// subscribe makes reads what u depends on.
func (e *Engine) subscribe(u *unit, reads map[read]struct{}) {
	for old := range u.reads {
		if _, still := reads[old]; !still {
			e.unsubscribe(u, old)
		}
	}
	for now := range reads {
		if e.readers[now] == nil {
			e.readers[now] = map[*unit]struct{}{}
		}
		e.readers[now][u] = struct{}{}
	}
	u.reads = reads
}

func (e *Engine) unsubscribe(u *unit, what read) {
	delete(e.readers[what], u)
	if len(e.readers[what]) == 0 {
		delete(e.readers, what)
	}
}

// invalidate marks the units that depend on what was read.
func (e *Engine) invalidate(what read) {
	for u := range e.readers[what] {
		e.enqueue(u)
	}
}

// invalidateBuckets marks the units that have listed an object; nil is none.
func (e *Engine) invalidateBuckets(o translate.Object) {
	if o == nil {
		return
	}
	for _, b := range translate.Buckets(o) {
		e.invalidate(read{bucket: b})
	}
}

func (e *Engine) enqueue(u *unit) {
	if !u.dirty {
		u.dirty = true
		e.queue[u.stage] = append(e.queue[u.stage], u)
	}
}
