package runtime

import (
	"context"
	"errors"
	"slices"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/auth"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/jwks"
)

// gate is what a listener or a rule demands before its filters run. A nil
// gate demands nothing; one without auth lets nobody in.
type gate struct{ auth *auth.Gate }

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
	return &gate{g}
}

// close gives up what the gate holds.
func (g *gate) close() {
	if g != nil && g.auth != nil {
		g.auth.Close()
	}
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
	*ir.Consumer
	name string // <namespace>/<name>
}

// admit lets in those who may use an LLM rule, and notes which of them it is:
// the first in the rule's order that one of the request's tokens fits. A rule
// that names nobody is open, and nobody is looked for.
func (st *state) admit(r *rule) error {
	if len(r.ir.LLM.Consumers) == 0 {
		return nil
	}
	if len(st.callers) == 0 {
		return st.rt.refuse.unauthorized
	}
	for _, one := range r.consumers {
		if slices.ContainsFunc(st.callers, func(c auth.Caller) bool { return c.Is(one.Consumer) }) {
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
			out = append(out, consumer{p.Consumer, p.Source.Namespace + "/" + p.Source.Name})
		}
	}
	return out
}

// noKeys is the key store of a Runtime that was given none.
func noKeys() *jwks.Store {
	return jwks.NewStore(jwks.Options{Fetch: func(context.Context, string) ([]byte, error) {
		return nil, errors.New("this proxy fetches no keys")
	}})
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
