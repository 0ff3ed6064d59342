package runtime

import (
	"strconv"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/router"
)

// handler answers the requests of one port, on a connection with one SNI.
type handler struct {
	rt         *Runtime
	port       uint16
	serverName string
}

// Handler answers the requests of one port. serverName is the SNI of the TLS
// connection; "" on a cleartext port, and on a TLS connection without SNI. The
// handler follows later snapshots by itself: keep it as long as the socket or
// connection.
func (rt *Runtime) Handler(port uint16, serverName string) exchange.Handler {
	return &handler{rt: rt, port: port, serverName: serverName}
}

// Serve implements exchange.Handler.
func (h *handler) Serve(ex *exchange.Exchange) {
	st := h.rt.begin(ex)
	if err := h.serve(st, ex); err != nil {
		st.fail(ex, err)
	}
	st.respond(ex)
}

func (h *handler) serve(st *state, ex *exchange.Exchange) error {
	req := &ex.Request
	now := h.rt.snap.Load()
	p := now.ports[h.port]
	by := st.recognize(req, p)
	var err error
	if req.Path, err = router.CleanPath(req.Path); err != nil {
		return h.rt.refuse.badPath
	}
	if st.listener, err = h.listener(p, req); err != nil {
		return err
	}
	st.Listener = st.listener.ir
	st.forwarded(req, by)
	return st.route(ex, now)
}

// route has the rule of st.listener that fits serve the request.
func (st *state) route(ex *exchange.Exchange, now *snapshot) error {
	leaf := st.listener.table.Match(&ex.Request)
	if leaf == nil {
		return st.rt.refuse.noRoute
	}
	st.keys, st.limits = now.keys, now.limits
	if st.take(leaf); st.rule.isLLM() {
		return st.runLLM(ex, leaf)
	}
	return st.run(ex)
}

// listener returns the listener that a request belongs to. Over TLS the server
// name has already chosen one; a host of another one is a misdirected request
// (RFC 9110 section 15.5.20), and a host of none finds nothing.
func (h *handler) listener(p *port, req *exchange.Request) (*listener, error) {
	if p == nil {
		return nil, h.rt.refuse.noListener
	}
	byHost := p.find(req.Authority)
	if byHost == nil {
		return nil, h.rt.refuse.noListener
	}
	if byHost.ir.Protocol != ir.ProtocolHTTP && p.find(h.serverName) != byHost {
		return nil, h.rt.refuse.misdirected
	}
	return byHost, nil
}

// run takes a request through its rule.
func (st *state) run(ex *exchange.Exchange) error {
	r := st.rule
	if r.err != nil {
		return r.err
	}
	if answered, err := r.chain.first.run(st, ex); answered || err != nil {
		return err
	}
	if err := st.identify(ex, r); err != nil {
		return err
	}
	if answered, err := r.chain.requests.run(st, ex); answered || err != nil {
		return err
	}
	switch {
	case r.ir.Direct != nil:
		st.direct(ex, r.ir.Direct)
		return nil
	case r.ir.LLM != nil:
		return st.forwardLLM(ex)
	}
	return st.forward(ex)
}

func (st *state) direct(ex *exchange.Exchange, d *ir.Direct) {
	if d.Status >= 400 && isGRPC(&ex.Request) {
		st.writeGRPC(ex, d.Status, d.Body)
		return
	}
	ex.Response.Status = d.Status
	if d.Body != "" {
		ex.Response.Header.Add("Content-Type", "text/plain; charset=utf-8")
	}
	st.write(ex, d.Body)
}

// respond runs what a rule does to every response, also to those that the
// proxy makes.
func (st *state) respond(ex *exchange.Exchange) {
	if st.target != nil {
		st.target.chain.onResponse(st, ex)
	}
	if st.rule != nil {
		st.rule.chain.onResponse(st, ex)
	}
	if st.LLM != nil && len(st.LLM.Attempts) > 0 {
		ex.Response.Header.Set("X-Llm-Attempts", strconv.Itoa(len(st.LLM.Attempts)))
	}
	if st.Status = ex.Response.Status; st.own != 0 {
		st.Status = st.own
	}
	st.Head = st.rt.since(st.Start)
	if st.LLM != nil {
		st.tellLimits(&ex.Response.Header, st.Start.Add(st.Head))
	}
}

// Finish implements exchange.Handler.
func (h *handler) Finish(ex *exchange.Exchange, end exchange.End) {
	st, ok := ex.State.(*state)
	if !ok {
		return
	}
	ex.State, st.End = nil, end
	st.Duration = h.rt.since(st.Start)
	if st.LLM != nil {
		now := st.Start.Add(st.Duration)
		st.settle(now)
		st.settleLimits(now)
		if st.putDown != nil {
			st.LLM.Content = st.putDown.Transcript()
		}
	}
	if h.rt.opts.Observer != nil {
		h.rt.opts.Observer.Done(&st.Record)
	}
	st.end()
}
