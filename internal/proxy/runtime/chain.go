package runtime

import (
	"fmt"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/filter/cors"
	"github.com/citoroute/citoroute/internal/proxy/filter/headers"
	"github.com/citoroute/citoroute/internal/proxy/filter/mirror"
	"github.com/citoroute/citoroute/internal/proxy/filter/redirect"
	"github.com/citoroute/citoroute/internal/proxy/filter/rewrite"
)

// chain is a compiled list of filters.
type chain struct {
	first     steps // those that come before authentication
	requests  steps
	responses []onResponse
}

// steps are filters of requests, in order.
type steps []onRequest

type (
	// onRequest changes a request; answered says that it made the response.
	onRequest func(st *state, ex *exchange.Exchange) (answered bool, err error)
	// onResponse changes a response.
	onResponse func(st *state, ex *exchange.Exchange)
)

func (s steps) run(st *state, ex *exchange.Exchange) (answered bool, err error) {
	for _, f := range s {
		if answered, err = f(st, ex); answered || err != nil {
			return answered, err
		}
	}
	return false, nil
}

// onRequest runs all of the chain.
func (c *chain) onRequest(st *state, ex *exchange.Exchange) (answered bool, err error) {
	if answered, err = c.first.run(st, ex); answered || err != nil {
		return answered, err
	}
	return c.requests.run(st, ex)
}

func (c *chain) onResponse(st *state, ex *exchange.Exchange) {
	for _, f := range c.responses {
		f(st, ex)
	}
}

// newChain compiles filters. They run in this order, whatever the order they
// are written in: CORS first, since a preflight request must not be changed or
// redirected, and browsers send it without credentials; redirects; changes of the request as written; mirrors last,
// since they send what the backend gets.
func (c *compiler) newChain(filters []ir.Filter) (chain, error) {
	var out chain
	for stage := range stages {
		for i := range filters {
			if stageOf(&filters[i]) != stage {
				continue
			}
			if err := c.add(&out, &filters[i]); err != nil {
				return chain{}, fmt.Errorf("filter %d: %w", i, err)
			}
		}
	}
	return out, nil
}

// Stages of a chain, in order.
const (
	stageCORS = iota
	stageRedirect
	stageChange
	stageMirror
	stages
)

func stageOf(f *ir.Filter) int {
	switch {
	case f.CORS != nil:
		return stageCORS
	case f.Redirect != nil:
		return stageRedirect
	case f.Mirror != nil:
		return stageMirror
	}
	return stageChange
}

// add is the one place that knows every filter.
func (c *compiler) add(out *chain, f *ir.Filter) error {
	switch {
	case f.RequestHeaders != nil:
		h, err := headers.New(*f.RequestHeaders)
		if err != nil {
			return fmt.Errorf("request headers: %w", err)
		}
		out.requests = append(out.requests, func(_ *state, ex *exchange.Exchange) (bool, error) {
			h.Apply(&ex.Request.Header)
			return false, nil
		})
	case f.ResponseHeaders != nil:
		h, err := headers.New(*f.ResponseHeaders)
		if err != nil {
			return fmt.Errorf("response headers: %w", err)
		}
		out.responses = append(out.responses, func(_ *state, ex *exchange.Exchange) {
			h.Apply(&ex.Response.Header)
		})
	case f.Redirect != nil:
		return c.addRedirect(out, *f.Redirect)
	case f.Rewrite != nil:
		w, err := rewrite.New(*f.Rewrite)
		if err != nil {
			return fmt.Errorf("rewrite: %w", err)
		}
		out.requests = append(out.requests, func(st *state, ex *exchange.Exchange) (bool, error) {
			w.Apply(&ex.Request, st.prefix, &st.scratch)
			return false, nil
		})
	case f.Mirror != nil:
		return c.addMirror(out, *f.Mirror)
	case f.CORS != nil:
		return addCORS(out, *f.CORS)
	default:
		return fmt.Errorf("no known kind is set")
	}
	return nil
}

func (c *compiler) addRedirect(out *chain, cfg ir.Redirect) error {
	r, err := redirect.New(cfg)
	if err != nil {
		return fmt.Errorf("redirect: %w", err)
	}
	out.requests = append(out.requests, func(st *state, ex *exchange.Exchange) (bool, error) {
		req := redirect.Request{Request: &ex.Request, Prefix: st.prefix, Port: st.Listener.Port}
		if !r.Answer(req, &ex.Response, &st.scratch) {
			return false, st.rt.refuse.badHost
		}
		return true, nil
	})
	return nil
}

func (c *compiler) addMirror(out *chain, cfg ir.Mirror) error {
	m, err := mirror.New(cfg)
	if err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	cluster := c.cluster(cfg.Backend)
	out.requests = append(out.requests, func(st *state, ex *exchange.Exchange) (bool, error) {
		if !m.Wants() {
			return false, nil
		}
		return false, st.mirror(ex, cluster)
	})
	return nil
}

func addCORS(out *chain, cfg ir.CORS) error {
	f, err := cors.New(cfg)
	if err != nil {
		return fmt.Errorf("cors: %w", err)
	}
	out.first = append(out.first, func(st *state, ex *exchange.Exchange) (bool, error) {
		st.origin, _ = ex.Request.Header.Get("Origin")
		st.preflight = f.Preflight(&ex.Request, &ex.Response)
		return st.preflight, nil
	})
	out.responses = append(out.responses, func(st *state, ex *exchange.Exchange) {
		if !st.preflight {
			f.Mark(st.origin, &ex.Response.Header)
		}
	})
	return nil
}
