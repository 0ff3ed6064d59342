package runtime

import (
	"errors"
	"slices"
	"strings"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/auth"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/llm"
	"github.com/citoroute/citoroute/internal/proxy/router"
)

// take makes the rule of a leaf the one that the request goes through.
func (st *state) take(l *router.Leaf[*rule]) {
	st.rule, st.prefix = l.Value, l.Prefix()
	st.Route, st.Rule, st.Series = l.Route, st.rule.ir, st.rule.series
	clear(st.callers)
	st.callers, st.Consumer = st.callers[:0], ""
}

// runLLM takes a request through the first LLM rule for its path that lets the
// caller in and serves the model. leaf is the first of them.
func (st *state) runLLM(ex *exchange.Exchange, leaf *router.Leaf[*rule]) error {
	if id, ok := llm.AsksForModels(ex.Request.Path, st.prefix); ok {
		return st.answerModels(ex, leaf, id)
	}
	err := st.run(ex)
	if !st.passesOn(err) {
		return err
	}
	for _, other := range st.others(ex, leaf) {
		st.take(other)
		next := st.run(ex)
		if !st.passesOn(next) {
			return next
		}
		if errors.Is(next, llm.ErrNoModel) {
			err = next
		}
	}
	st.take(leaf)
	return err
}

// others are the LLM rules for the path of leaf that come after it.
func (st *state) others(ex *exchange.Exchange, leaf *router.Leaf[*rule]) []*router.Leaf[*rule] {
	return slices.DeleteFunc(st.listener.table.Others(&ex.Request, leaf), func(l *router.Leaf[*rule]) bool {
		return !l.Value.isLLM() || l.Value.ir.Direct != nil
	})
}

// passesOn says that a rule refused a request in a way that another one may not.
func (st *state) passesOn(err error) bool {
	_, noToken := errors.AsType[*auth.Refusal](err)
	own, ok := errors.AsType[*refusal](err)
	return noToken || ok && (own == st.rt.refuse.unauthorized || own == st.rt.refuse.forbidden) || errors.Is(err, llm.ErrNoModel)
}

// answerModels answers with the models that the caller may ask for at this
// path, or with the one of them that is called id.
func (st *state) answerModels(ex *exchange.Exchange, leaf *router.Leaf[*rule], id string) error {
	st.protocol = llm.ModelsProtocol(&ex.Request)
	if ex.Request.Method != "GET" {
		return llm.WrongMethod("GET")
	}
	open, err := st.mayEnter(ex, leaf)
	if err != nil {
		return err
	}
	var body []byte
	if id == "" {
		body = ai.EncodeModels(st.protocol, modelsOf(open))
	} else if m, ok := modelOf(open, id); ok {
		body = ai.EncodeModel(st.protocol, m)
	} else {
		return llm.ErrNoModel
	}
	ex.Response.Status = 200
	ex.Response.Header.Add("Content-Type", "application/json")
	st.write(ex, string(body))
	return nil
}

// mayEnter returns the rules for the path of leaf that let the caller in. Where
// none does the error is that of the first.
func (st *state) mayEnter(ex *exchange.Exchange, leaf *router.Leaf[*rule]) (open []*router.Leaf[*rule], refused error) {
	for _, l := range append([]*router.Leaf[*rule]{leaf}, st.others(ex, leaf)...) {
		st.take(l)
		if err := st.mayUse(ex); err == nil {
			open = append(open, l)
		} else if refused == nil {
			refused = err
		}
	}
	st.take(leaf)
	if len(open) > 0 {
		return open, nil
	}
	return nil, refused
}

// modelsOf returns the models of rules, each once.
func modelsOf(open []*router.Leaf[*rule]) (out []ai.Model) {
	seen := map[string]bool{}
	for _, l := range open {
		for m := range l.Value.models {
			if !seen[m.ID] {
				seen[m.ID], m.Created = true, l.Route.Created
				out = append(out, m)
			}
		}
	}
	return out
}

// modelOf returns the model that is called id by the first rule that serves it;
// ok is false where a request for it would find none.
func modelOf(open []*router.Leaf[*rule], id string) (m ai.Model, ok bool) {
	for _, l := range open {
		if m, ok := l.Value.model(id); ok {
			m.Created = l.Route.Created
			return m, true
		}
	}
	return ai.Model{}, false
}

// mayUse says whether the caller may use the rule.
func (st *state) mayUse(ex *exchange.Exchange) error {
	if st.rule.err != nil {
		return st.rule.err
	}
	if err := st.identify(ex, st.rule); err != nil {
		return err
	}
	return st.admit(st.rule)
}

// models yields the models of an LLM rule by the names that clients use. Names
// with a "*" are left out: nobody could ask for one. A backend that serves any
// model is known by the one that it asks for.
func (r *rule) models(yield func(ai.Model) bool) {
	for i := range r.targets {
		b, provider := &r.ir.Backends[i], r.provider(i)
		if provider == nil || b.Weight == 0 {
			continue
		}
		names := []string{provider.Model}
		if b.LLM != nil && b.LLM.Model != "" {
			names[0] = b.LLM.Model
		}
		if b.LLM != nil && len(b.LLM.Models) > 0 {
			names = b.LLM.Models
		}
		for _, name := range names {
			if name != "" && !strings.Contains(name, "*") && !yield(ai.Model{ID: name, Owner: provider.Provider}) {
				return
			}
		}
	}
}

// model returns the model that a request for id would be put to, whatever entry
// it fits: one with a "*" or one for every model, too.
func (r *rule) model(id string) (m ai.Model, ok bool) {
	serving, _ := r.plan.serving(id)
	for i := range r.targets {
		if provider := r.provider(i); serving.has(i) && provider != nil {
			return ai.Model{ID: id, Owner: provider.Provider}, true
		}
	}
	return ai.Model{}, false
}

// provider is that of a target that can be asked, else nil.
func (r *rule) provider(i int) *ir.LLMProvider {
	config := r.targets[i].config()
	if config == nil {
		return nil
	}
	return config.Backend.LLM
}
