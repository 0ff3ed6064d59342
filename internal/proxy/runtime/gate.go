package runtime

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/auth"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/jwks"
)

// gate is what a listener or a rule demands before its filters run. A nil
// gate demands nothing; one without auth lets nobody in.
type gate struct {
	auth      *auth.Gate
	namespace string // of its policies
}

// policies finds Policy resources by name; nil where there is none.
type policies func(name string) *ir.Policy

// newGate compiles the policies of these names. What can not be compiled, or is
// not there, closes the gate, and only this one.
func (rt *Runtime) newGate(names []string, find policies) *gate {
	if len(names) == 0 {
		return nil
	}
	list := make([]*ir.Policy, 0, len(names))
	for _, name := range names {
		p := find(name)
		if p == nil {
			return &gate{}
		}
		list = append(list, p)
	}
	g, err := auth.New(list, rt.opts.Keys)
	if err != nil {
		return &gate{}
	}
	return &gate{g, list[0].Source.Namespace}
}

// close gives up what the gate holds.
func (g *gate) close() {
	if g != nil && g.auth != nil {
		g.auth.Close()
	}
}

// identify finds out who sent a request, as far as its listener or rule ask.
// An API key of one of the rule's consumers stands for a token.
func (st *state) identify(ex *exchange.Exchange, r *rule) error {
	gates := [...]*gate{st.listener.gate, r.gate}
	if r.keys {
		caller, known, err := st.keys.Find(&ex.Request.Header, gates[0] != nil || gates[1] != nil)
		if err != nil {
			return err
		}
		if known && slices.ContainsFunc(r.consumers, func(one consumer) bool { return caller.Is(one.policy) && st.listener.gate.takesKeyOf(one) }) {
			st.callers = append(st.callers, caller)
			return st.bypass(ex, gates[:])
		}
	}
	for _, g := range gates {
		if err := st.enter(ex, g); err != nil {
			return st.orForbidden(ex, r, err)
		}
	}
	if len(st.callers) == 0 {
		return st.orForbidden(ex, r, nil)
	}
	return nil
}

// takesKeyOf says that the API key of a consumer stands for the token that a
// listener's gate demands. It does where the consumer is of the same owner as the
// gate: whoever has a route must not open what the Gateway's owner has closed.
func (g *gate) takesKeyOf(c consumer) bool {
	return g == nil || g.namespace == c.policy.Source.Namespace
}

// orForbidden returns err, unless the caller has the API key of a consumer of
// another route: it is known, and may not use this one.
func (st *state) orForbidden(ex *exchange.Exchange, r *rule, err error) error {
	if len(r.consumers) == 0 {
		return err
	}
	if _, known, _ := st.keys.Find(&ex.Request.Header, false); known {
		return st.rt.refuse.forbidden
	}
	return err
}

// guarded says that the request had to show who sent it.
func (st *state) guarded() bool { return st.listener.gate != nil || st.rule.gate != nil }

// bypass lets a request with an API key past gates of tokens. What they would
// have taken out of it is taken out.
func (st *state) bypass(ex *exchange.Exchange, gates []*gate) error {
	for _, g := range gates {
		switch {
		case g == nil:
		case g.auth == nil:
			return st.rt.refuse.unauthorized
		default:
			g.auth.Strip(&ex.Request)
		}
	}
	return nil
}

// enter takes a request through a gate and notes who sent it.
func (st *state) enter(ex *exchange.Exchange, g *gate) error {
	if g == nil {
		return nil
	}
	if g.auth == nil {
		return st.rt.refuse.unauthorized
	}
	caller, err := g.auth.Enter(&ex.Request, st.Start)
	if err != nil {
		return err
	}
	st.callers = append(st.callers, caller)
	return nil
}

// consumer is one who may use a rule.
type consumer struct {
	policy *ir.Policy
	name   string // <namespace>/<name>
}

// admit lets in those who may use an LLM rule, and notes which of them it is:
// the first in the rule's order that the request's credential fits. A rule
// that names nobody is open, and nobody is looked for.
func (st *state) admit(r *rule) error {
	if len(r.ir.LLM.Consumers) == 0 {
		return nil
	}
	if len(st.callers) == 0 {
		return st.rt.refuse.unauthorized
	}
	for _, one := range r.consumers {
		if slices.ContainsFunc(st.callers, func(c auth.Caller) bool { return c.Is(one.policy) }) {
			st.Consumer = one.name
			return nil
		}
	}
	return st.rt.refuse.forbidden
}

// consumersOf returns the consumers of these names that are there.
func consumersOf(names []string, find policies) (out []consumer) {
	for _, name := range names {
		if p := find(name); p != nil && p.Consumer != nil {
			out = append(out, consumer{p, p.Source.Namespace + "/" + p.Source.Name})
		}
	}
	return out
}

// takeKeys says that one of the consumers may have API keys.
func takeKeys(consumers []consumer) bool {
	return slices.ContainsFunc(consumers, hasKeys)
}

func hasKeys(c consumer) bool { return c.policy.Consumer.APIKeys != "" }

// changedKeys returns the API keys of all consumers after c, which is in the
// store already: those that there were where c has to do with none.
func (rt *Runtime) changedKeys(c change) *auth.Keys {
	concerned := false
	for ref := range c {
		concerned = concerned || ref.Type == ir.TypePolicy || ref.Type == ir.TypeSecret
	}
	if !concerned {
		return rt.snap.Load().keys
	}
	var consumers []*ir.Policy
	for _, r := range rt.store {
		if p, ok := r.(*ir.Policy); ok {
			consumers = append(consumers, p)
		}
	}
	return auth.NewKeys(consumers, rt.store.secret)
}

// noKeys is the key store of a Runtime that was given none.
func noKeys() *jwks.Store {
	return jwks.NewStore(jwks.Options{
		Fetch: func(context.Context, string) ([]byte, error) { return nil, errors.New("this proxy fetches no keys") },
		Log:   slog.New(slog.DiscardHandler),
	})
}

// namesAny says that a route refers to one of these policies.
func namesAny(r *ir.Route, changed map[string]bool) bool {
	in := func(name string) bool { return changed[name] }
	for i := range r.Rules {
		rule := &r.Rules[i]
		if slices.ContainsFunc(rule.Policies, in) || rule.LLM != nil && slices.ContainsFunc(rule.LLM.Consumers, in) {
			return true
		}
	}
	return false
}
