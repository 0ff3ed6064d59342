package controller

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/workqueue"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/push"
	"github.com/citoroute/citoroute/internal/translate"
)

// queue holds the keys that a reconciler has to look at, each once.
type queue = workqueue.TypedRateLimitingInterface[translate.Key]

// World is what the cluster holds, as far as translation cares, and what
// follows from it. One goroutine feeds it; any may ask.
type World struct {
	options engine.Options
	log     logr.Logger
	metrics *metrics
	server  *push.Server
	// infra, mesh and status are drained by the leader's reconcilers.
	infra, mesh, status queue

	mu     sync.Mutex
	engine *engine.Engine
	// dependants maps a Gateway to the ListenerSets that name it as parent, and
	// a GatewayClass to its Gateways.
	dependants map[translate.Key]map[translate.Key]bool
	// meshed has the namespaces of the mesh.
	meshed map[translate.Key]bool
	// unprovided is why the cluster refuses a part of a Gateway's infrastructure.
	unprovided map[translate.Key]string

	pendingMu sync.Mutex
	pending   map[translate.Key]translate.Object
	wake      chan struct{}
	// primed is closed once everything that was there at the start is applied.
	primed chan struct{}
}

func newWorld(options engine.Options, log logr.Logger, m *metrics) *World {
	return &World{
		options:    options,
		log:        log.WithName("world"),
		metrics:    m,
		infra:      newQueue("infra"),
		mesh:       newQueue("mesh"),
		status:     newQueue("status"),
		engine:     engine.New(options),
		dependants: map[translate.Key]map[translate.Key]bool{},
		meshed:     map[translate.Key]bool{},
		unprovided: map[translate.Key]string{},
		pending:    map[translate.Key]translate.Object{},
		wake:       make(chan struct{}, 1),
		primed:     make(chan struct{}),
	}
}

func newQueue(name string) queue {
	limit := workqueue.NewTypedItemExponentialFailureRateLimiter[translate.Key](5*time.Millisecond, 30*time.Second)
	return workqueue.NewTypedRateLimitingQueueWithConfig(limit, workqueue.TypedRateLimitingQueueConfig[translate.Key]{Name: name})
}

// note takes one object in as it is now, nil for gone. What is noted before it
// is applied replaces what was noted earlier.
func (w *World) note(key translate.Key, o translate.Object) {
	w.pendingMu.Lock()
	w.pending[key] = o
	w.pendingMu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// noteNone takes in that there is no object of a kind any more.
func (w *World) noteNone(kind translate.Kind) {
	for _, key := range w.keys(kind) {
		w.note(key, nil)
	}
}

// keys returns the keys of the objects of a kind, those that are noted included.
func (w *World) keys(kind translate.Kind) []translate.Key {
	w.mu.Lock()
	keys := w.engine.Keys(kind)
	w.mu.Unlock()
	w.pendingMu.Lock()
	defer w.pendingMu.Unlock()
	for key := range w.pending {
		if key.Kind == kind {
			keys = append(keys, key)
		}
	}
	return keys
}

// run applies what is noted until ctx is done. The caller has made sure that
// everything that was there at the start is noted.
func (w *World) run(ctx context.Context) {
	w.apply()
	close(w.primed)
	w.log.Info("Translated everything that was there", "nodes", len(w.nodes()))
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
			w.apply()
		}
	}
}

// apply takes what is pending through the engine and hands out what follows:
// first to the proxies, then to the reconcilers.
func (w *World) apply() {
	changes := w.take()
	if len(changes) == 0 {
		return
	}
	result := w.translate(changes)
	w.push(result)
	for _, key := range result.Infra {
		w.infra.Add(key)
	}
	for _, key := range result.Status {
		w.status.Add(key)
	}
}

// translate takes changes through the engine.
func (w *World) translate(changes []engine.Change) engine.Result {
	began := time.Now()
	defer func() { w.metrics.translated(len(changes), time.Since(began)) }()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range changes {
		w.relate(c)
	}
	return w.engine.Apply(changes...)
}

// push hands the configuration of nodes to the stream's server.
func (w *World) push(result engine.Result) {
	mesh := make(map[string]ir.Update, len(result.Nodes))
	for node, update := range result.Nodes {
		owner := engine.OwnerOf(node)
		if owner.Kind == translate.KindNamespace {
			mesh[node] = update
			continue
		}
		w.send(node, update)
		if touchesListeners(update) {
			w.reconsider(owner)
		}
	}
	if err := w.server.UpdateAlike(result.Mesh, mesh); err != nil {
		w.log.Error(err, "Configuration was not sent to the mesh")
	}
	for _, node := range result.RemovedNodes {
		w.retire(node)
	}
}

func (w *World) send(node string, update ir.Update) {
	if err := w.server.Update(node, update); err != nil {
		w.log.Error(err, "Configuration was not sent", "node", node)
	}
}

// retire ends a node. A Gateway's proxies keep what they have until they go. The
// sidecars of a namespace that left the mesh may stay for long: they get nothing
// to route by, and pass everything through.
func (w *World) retire(node string) {
	if owner := engine.OwnerOf(node); owner.Kind == translate.KindNamespace {
		if namespace, _ := w.object(owner); namespace != nil {
			w.send(node, ir.Update{Complete: true})
			return
		}
	}
	w.server.RemoveNode(node)
}

// take returns what is pending, sorted by key.
func (w *World) take() []engine.Change {
	w.pendingMu.Lock()
	pending := w.pending
	w.pending = map[translate.Key]translate.Object{}
	w.pendingMu.Unlock()
	changes := make([]engine.Change, 0, len(pending))
	for key, o := range pending {
		changes = append(changes, engine.Change{Key: key, Object: o})
	}
	slices.SortFunc(changes, func(a, b engine.Change) int { return a.Key.Compare(b.Key) })
	return changes
}

// relate keeps dependants, and asks for a look at the Gateways of a class that
// changed, or at the mesh in a namespace that did. w.mu is held.
func (w *World) relate(c engine.Change) {
	w.part(c.Key, w.engine.Object(c.Key))
	w.attach(c.Key, c.Object)
	switch c.Key.Kind {
	case translate.KindGatewayClass:
		for key := range w.dependants[c.Key] {
			w.infra.Add(key)
		}
	case translate.KindNamespace:
		w.enmesh(c)
	}
}

// enmesh notes whether a namespace is of the mesh. w.mu is held.
func (w *World) enmesh(c engine.Change) {
	if w.options.Mesh && c.Object != nil && c.Object.GetLabels()[v1alpha1.LabelInjection] == v1alpha1.InjectionEnabled {
		w.meshed[c.Key] = true
	} else {
		delete(w.meshed, c.Key)
	}
	w.mesh.Add(c.Key)
}

// part takes an object from the dependants of its parent, if it has one.
func (w *World) part(key translate.Key, o translate.Object) {
	if parent, ok := parentOf(o); ok {
		delete(w.dependants[parent], key)
		if len(w.dependants[parent]) == 0 {
			delete(w.dependants, parent)
		}
	}
}

// attach adds an object to the dependants of its parent, if it has one.
func (w *World) attach(key translate.Key, o translate.Object) {
	if parent, ok := parentOf(o); ok {
		if w.dependants[parent] == nil {
			w.dependants[parent] = map[translate.Key]bool{}
		}
		w.dependants[parent][key] = true
	}
}

// parentOf returns the key of the Gateway that a ListenerSet names, or of the
// class of a Gateway, and false for other kinds.
func parentOf(o translate.Object) (translate.Key, bool) {
	switch o := o.(type) {
	case *gatewayv1.Gateway:
		return translate.Key{Kind: translate.KindGatewayClass, Name: string(o.Spec.GatewayClassName)}, true
	case *gatewayv1.ListenerSet:
		return translate.GatewayOf(o), true
	}
	return translate.Key{}, false
}

// reconsider asks for a look at a Gateway's infrastructure and at the status of
// all that depends on whether it serves.
func (w *World) reconsider(gateway translate.Key) {
	w.infra.Add(gateway)
	w.restate(gateway)
}

// restate asks for a look at the status of a Gateway and its ListenerSets.
func (w *World) restate(gateway translate.Key) {
	w.status.Add(gateway)
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.dependants[gateway] {
		w.status.Add(key)
	}
}

// restateNode asks for a look at the status of the Gateway that a node is, if it
// is one's.
func (w *World) restateNode(node string) {
	if owner := engine.OwnerOf(node); owner.Kind == translate.KindGateway {
		w.restate(owner)
	}
}

// reconsiderAll asks for a look at every Gateway, every namespace of the mesh and
// its webhook.
func (w *World) reconsiderAll() {
	for _, node := range w.nodes() {
		if owner := engine.OwnerOf(node); owner.Kind == translate.KindGateway {
			w.reconsider(owner)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for namespace := range w.meshed {
		w.mesh.Add(namespace)
	}
	w.mesh.Add(webhookKey())
}

func (w *World) nodes() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.engine.Nodes()
}

// object returns an object and what translation says of it; nil where there is
// none.
func (w *World) object(key translate.Key) (translate.Object, translate.Report) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.engine.Object(key), w.engine.Report(key)
}

// gateway returns a Gateway and whether it is ours; nil where there is none.
func (w *World) gateway(key translate.Key) (gateway *gatewayv1.Gateway, managed bool) {
	o, report := w.object(key)
	gateway, _ = o.(*gatewayv1.Gateway)
	return gateway, gateway != nil && report.Managed
}

// parameters returns how a Gateway's infrastructure is to look; nil: it must stay
// as it is.
func (w *World) parameters(key translate.Key) *v1alpha1.GatewayParametersSpec {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.engine.Parameters(key)
}

// noteProvided notes why the cluster refuses a part of a Gateway's infrastructure;
// empty: it does not, or there is no such Gateway.
func (w *World) noteProvided(gateway translate.Key, refusal string) {
	w.mu.Lock()
	before := w.unprovided[gateway]
	if refusal == "" {
		delete(w.unprovided, gateway)
	} else {
		w.unprovided[gateway] = refusal
	}
	w.mu.Unlock()
	if before != refusal {
		w.status.Add(gateway)
	}
}

// unprovidedOf returns what noteProvided noted last.
func (w *World) unprovidedOf(gateway translate.Key) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unprovided[gateway]
}

// inMesh says that a namespace is of the mesh.
func (w *World) inMesh(namespace string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.meshed[namespaceKey(namespace)]
}

func namespaceKey(name string) translate.Key {
	return translate.Key{Kind: translate.KindNamespace, Name: name}
}

// ports returns what a Gateway's Service opens: the ports that the proxies
// bind, and those that spec.listeners asks for, so that a listener which is
// invalid for a while does not change the Service.
func (w *World) ports(gateway *gatewayv1.Gateway) []infra.Port {
	return append(askedPorts(gateway), w.boundPorts(gateway)...)
}

func askedPorts(gateway *gatewayv1.Gateway) []infra.Port {
	var out []infra.Port
	for _, l := range gateway.Spec.Listeners {
		switch l.Protocol {
		case gatewayv1.HTTPProtocolType, gatewayv1.HTTPSProtocolType, gatewayv1.TLSProtocolType, gatewayv1.TCPProtocolType:
			out = append(out, infra.Port{Number: l.Port, Protocol: corev1.ProtocolTCP})
		case gatewayv1.UDPProtocolType:
			out = append(out, infra.Port{Number: l.Port, Protocol: corev1.ProtocolUDP})
		}
	}
	return out
}

func (w *World) boundPorts(gateway *gatewayv1.Gateway) []infra.Port {
	var out []infra.Port
	for _, r := range w.snapshot(gateway).Upserts {
		if l, ok := r.(*ir.Listener); ok {
			protocol := corev1.ProtocolTCP
			if l.Protocol == ir.ProtocolUDP {
				protocol = corev1.ProtocolUDP
			}
			out = append(out, infra.Port{Number: int32(l.Port), Protocol: protocol})
		}
	}
	return out
}

// snapshot returns the whole configuration of a Gateway's proxies.
func (w *World) snapshot(gateway *gatewayv1.Gateway) ir.Update {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.engine.Snapshot(engine.NodeOf(keyOf(gateway)))
}

func keyOf(gateway *gatewayv1.Gateway) translate.Key {
	return translate.Key{Kind: translate.KindGateway, Namespace: gateway.Namespace, Name: gateway.Name}
}

// touchesListeners says that an update may change which ports are bound.
func touchesListeners(u ir.Update) bool {
	isListener := func(t ir.Type) bool { return t == ir.TypeListener }
	return u.Complete ||
		slices.ContainsFunc(u.Upserts, func(r ir.Resource) bool { return isListener(r.ResourceType()) }) ||
		slices.ContainsFunc(u.Removed, func(ref ir.Ref) bool { return isListener(ref.Type) })
}
