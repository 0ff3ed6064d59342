package runtime

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/auth"
	"github.com/citoroute/citoroute/internal/proxy/router"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// store is every resource that is live.
type store map[ir.Ref]ir.Resource

func (s store) secret(name string) *ir.Secret {
	secret, _ := s[ir.Ref{Type: ir.TypeSecret, Name: name}].(*ir.Secret)
	return secret
}

func (s store) endpoints(name string) *ir.Endpoints {
	e, _ := s[ir.Ref{Type: ir.TypeEndpoints, Name: name}].(*ir.Endpoints)
	return e
}

// policy returns the policy of that name as it is after c, or nil.
func (s store) policy(c change, name string) *ir.Policy {
	ref := ir.Ref{Type: ir.TypePolicy, Name: name}
	r, changed := c[ref]
	if !changed {
		r = s[ref]
	}
	p, _ := r.(*ir.Policy)
	return p
}

// change is what an update really changes: new values by what they replace;
// nil where a resource is gone.
type change map[ir.Ref]ir.Resource

// policies returns the names of the policies that are in c.
func (c change) policies() map[string]bool {
	out := make(map[string]bool)
	for ref := range c {
		if ref.Type == ir.TypePolicy {
			out[ref.Name] = true
		}
	}
	return out
}

// Apply makes u live: wholly, or not at all. The error is an [ir.ResourceError]
// of the resource that is at fault; what served before keeps serving then.
//
// References to resources that are not there are no error: a rule without its
// backend answers 500, a backend without endpoints 503. Resources of u must not
// be changed afterwards.
func (rt *Runtime) Apply(u ir.Update) error {
	err := rt.apply(u)
	if err == nil && rt.opts.Applied != nil {
		rt.opts.Applied()
	}
	return err
}

func (rt *Runtime) apply(u ir.Update) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	c := rt.store.diff(u)
	for ref, r := range c {
		if err := rt.holding(ref, func() error { return check(ref, r) }); err != nil {
			return err
		}
	}
	routes, err := rt.compile(c)
	if err != nil {
		return err
	}
	rt.commit(c, routes)
	return nil
}

// holding makes a panic of f the error of a resource, so that it is left out: a
// proxy that ended would get it again when it is back.
func (rt *Runtime) holding(ref ir.Ref, f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			rt.opts.Panicked(v)
			err = &ir.ResourceError{Resource: ref, Err: fmt.Errorf("the proxy panics over it: %v", v)}
		}
	}()
	return f()
}

// compile compiles the routes that c brings or whose policies it changes; a
// route that is gone is nil.
func (rt *Runtime) compile(c change) (map[string]*route, error) {
	routes := make(map[string]*route)
	find := func(name string) *ir.Policy { return rt.store.policy(c, name) }
	add := func(r *ir.Route) error {
		var compiled *route
		err := rt.holding(ir.RefOf(r), func() (err error) {
			compiled, err = rt.compileRoute(r, find)
			return err
		})
		if err != nil {
			for _, other := range routes {
				rt.discard(other)
			}
			return err
		}
		routes[r.Name] = compiled
		return nil
	}
	for ref, r := range c {
		if ref.Type != ir.TypeRoute {
			continue
		}
		if r == nil {
			routes[ref.Name] = nil
		} else if err := add(r.(*ir.Route)); err != nil { //nolint:forcetypeassert // check has seen to it.
			return nil, err
		}
	}
	changed := c.policies()
	if len(changed) == 0 {
		return routes, nil
	}
	for name, old := range rt.routes {
		if _, done := routes[name]; !done && namesAny(old.ir, changed) {
			if err := add(old.ir); err != nil {
				return nil, err
			}
		}
	}
	return routes, nil
}

// diff returns what u changes. Resources that are sent again unchanged are not
// in it, so a reconnected stream costs nothing.
func (s store) diff(u ir.Update) change {
	c := make(change)
	sent := make(map[ir.Ref]bool, len(u.Upserts))
	for _, r := range u.Upserts {
		ref := ir.RefOf(r)
		sent[ref] = true
		old, ok := s[ref]
		r = settleClients(r, old)
		if ok && (old == r || reflect.DeepEqual(old, r)) {
			delete(c, ref)
		} else {
			c[ref] = r
		}
	}
	for _, ref := range u.Removed {
		if _, ok := s[ref]; ok && !sent[ref] {
			c[ref] = nil
		}
	}
	if u.Complete {
		for ref := range s {
			if !sent[ref] {
				c[ref] = nil
			}
		}
	}
	return c
}

// check finds what makes a resource unusable as a whole.
func check(ref ir.Ref, r ir.Resource) error {
	fault := func(text string) error { return &ir.ResourceError{Resource: ref, Err: errors.New(text)} }
	if ref.Name == "" {
		return fault("it has no name")
	}
	switch r := r.(type) {
	case nil, *ir.Secret, *ir.Policy, *ir.Endpoints:
	case *ir.Listener:
		if r.Port == 0 {
			return fault("it has no port")
		}
	case *ir.Backend:
		if r.LLM != nil && r.LLM.Provider == "" {
			return fault("it has no LLM provider")
		}
	case *ir.Route:
		if r.Listener == "" {
			return fault("it has no listener")
		}
	default:
		return fault("its type is not known")
	}
	return nil
}

// discard forgets what a compiled route holds and nobody will use; r may be nil.
func (rt *Runtime) discard(r *route) {
	if r == nil {
		return
	}
	rt.registry.Sweep(r.clusters)
	for _, rule := range r.rules {
		rule.gate.close()
	}
}

// commit makes a change live: what is new first, then the routes, then what is
// gone, so that no request meets a backend that is already away.
func (rt *Runtime) commit(c change, routes map[string]*route) {
	for ref, r := range c {
		if r == nil {
			delete(rt.store, ref)
		} else {
			rt.store[ref] = r
		}
	}
	rt.upsertBackends(c)
	before := rt.snap.Load()
	listeners := rt.changedListeners(c)
	for _, old := range rt.swapRoutes(routes, listeners, rt.changedKeys(c), rt.changedLimits(c)) {
		for _, cluster := range old.clusters {
			rt.registry.Release(cluster)
		}
		for _, rule := range old.rules {
			rule.gate.close()
		}
	}
	rt.removeBackends(c)
	for name := range listeners {
		if old := before.listeners[name]; old != nil {
			old.gate.close()
		}
	}
}

// changedListeners returns the listeners that c brings or whose policies it
// changes; one that is gone is nil.
func (rt *Runtime) changedListeners(c change) map[string]*listener {
	out := make(map[string]*listener)
	find := func(name string) *ir.Policy { return rt.store.policy(nil, name) }
	for ref := range c {
		if ref.Type != ir.TypeListener {
			continue
		}
		out[ref.Name] = nil
		if l, ok := rt.store[ref].(*ir.Listener); ok {
			out[ref.Name] = &listener{ir: l, gate: rt.newGate(l.Policies, find)}
		}
	}
	changed := c.policies()
	for name, l := range rt.snap.Load().listeners {
		_, done := out[name]
		if !done && slices.ContainsFunc(l.ir.Policies, func(p string) bool { return changed[p] }) {
			out[name] = &listener{ir: l.ir, gate: rt.newGate(l.ir.Policies, find)}
		}
	}
	return out
}

func (rt *Runtime) upsertBackends(c change) {
	for ref, r := range c {
		switch r := r.(type) {
		case *ir.Secret:
			rt.registry.Refresh(ref.Name, rt.store.secret)
		case *ir.Endpoints:
			rt.registry.SetEndpoints(ref.Name, r)
		}
	}
	for _, r := range c {
		if b, ok := r.(*ir.Backend); ok {
			rt.registry.Set(b, rt.store.endpoints(b.Endpoints), rt.store.secret)
		}
	}
}

// removeBackends takes away what is gone: backends before what they are made
// of, so that one that only old requests use keeps it.
func (rt *Runtime) removeBackends(c change) {
	for ref, r := range c {
		if r == nil && ref.Type == ir.TypeBackend {
			rt.registry.Delete(ref.Name)
		}
	}
	for ref, r := range c {
		switch {
		case r != nil:
		case ref.Type == ir.TypeSecret:
			rt.registry.Refresh(ref.Name, rt.store.secret)
		case ref.Type == ir.TypeEndpoints:
			rt.registry.SetEndpoints(ref.Name, nil)
		}
	}
}

// swapRoutes publishes the next snapshot and returns the routes that are gone
// or replaced.
func (rt *Runtime) swapRoutes(routes map[string]*route, listeners map[string]*listener, keys *auth.Keys, limits *limits) (old []*route) {
	edits := make(map[string]*router.Edit[*rule])
	edit := func(name string) *router.Edit[*rule] {
		if edits[name] == nil {
			t := rt.tables[name]
			if t == nil {
				t = &router.Table[*rule]{}
			}
			edits[name] = t.Edit()
		}
		return edits[name]
	}
	for name, next := range routes {
		if prev := rt.routes[name]; prev != nil {
			old = append(old, prev)
			edit(prev.ir.Listener).Remove(prev.entries)
			delete(rt.routes, name)
		}
		if next != nil {
			rt.retain(next.clusters)
			edit(next.ir.Listener).Add(next.entries)
			rt.routes[name] = next
		}
	}
	routed := make([]string, 0, len(edits))
	for name, e := range edits {
		rt.tables[name] = e.Done()
		if rt.tables[name].Empty() {
			delete(rt.tables, name)
		}
		routed = append(routed, name)
	}
	if before := rt.snap.Load(); len(routed)+len(listeners) > 0 || keys != before.keys || limits != before.limits {
		next := before.next(listeners, routed, rt.tables)
		next.keys, next.limits = keys, limits
		rt.snap.Store(next)
	}
	return old
}

func (rt *Runtime) retain(clusters []*upstream.Cluster) {
	for _, cluster := range clusters {
		rt.registry.Retain(cluster)
	}
}
