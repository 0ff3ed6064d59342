package runtime

import (
	"errors"
	"reflect"

	"github.com/citoroute/citoroute/internal/ir"
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

// change is what an update really changes: new values by what they replace;
// nil where a resource is gone.
type change map[ir.Ref]ir.Resource

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
	routes := make(map[string]*route) // a nil one is gone
	for ref, r := range c {
		if err := check(ref, r); err != nil {
			return err
		}
		if ref.Type != ir.TypeRoute {
			continue
		}
		if r == nil {
			routes[ref.Name] = nil
			continue
		}
		compiled, err := rt.compileRoute(r.(*ir.Route)) //nolint:forcetypeassert // check has seen to it.
		if err != nil {
			rt.discard(routes)
			return err
		}
		routes[ref.Name] = compiled
	}
	rt.commit(c, routes)
	return nil
}

// diff returns what u changes. Resources that are sent again unchanged are not
// in it, so a reconnected stream costs nothing.
func (s store) diff(u ir.Update) change {
	c := make(change)
	sent := make(map[ir.Ref]bool, len(u.Upserts))
	for _, r := range u.Upserts {
		ref := ir.RefOf(r)
		sent[ref] = true
		if old, ok := s[ref]; ok && (old == r || reflect.DeepEqual(old, r)) {
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

// discard forgets what compiled routes have made and nobody will use.
func (rt *Runtime) discard(routes map[string]*route) {
	for _, r := range routes {
		if r != nil {
			rt.registry.Sweep(r.clusters)
		}
	}
}

// commit makes a change live: what is new first, then the routes, then what is
// gone, so that no request meets a backend that is already away.
func (rt *Runtime) commit(c change, routes map[string]*route) {
	listeners := make(map[string]*ir.Listener)
	for ref, r := range c {
		if r == nil {
			delete(rt.store, ref)
		} else {
			rt.store[ref] = r
		}
		if ref.Type == ir.TypeListener {
			listeners[ref.Name], _ = r.(*ir.Listener)
		}
	}
	rt.upsertBackends(c)
	for _, old := range rt.swapRoutes(routes, listeners) {
		for _, cluster := range old.clusters {
			rt.registry.Release(cluster)
		}
	}
	rt.removeBackends(c)
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
func (rt *Runtime) swapRoutes(routes map[string]*route, listeners map[string]*ir.Listener) (old []*route) {
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
	if len(routed)+len(listeners) > 0 {
		rt.snap.Store(rt.snap.Load().next(listeners, routed, rt.tables))
	}
	return old
}

func (rt *Runtime) retain(clusters []*upstream.Cluster) {
	for _, cluster := range clusters {
		rt.registry.Retain(cluster)
	}
}
