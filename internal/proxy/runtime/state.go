package runtime

import (
	"time"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/proxy/auth"
	"github.com/citoroute/citoroute/internal/proxy/balance"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/filter/scratch"
	"github.com/citoroute/citoroute/internal/proxy/llm"
	"github.com/citoroute/citoroute/internal/proxy/trace"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// state is all that one exchange needs; it is pooled.
type state struct {
	Record
	rt        *Runtime
	listener  *listener
	rule      *rule
	target    *target
	prefix    string // the part of the path that the rule matched
	origin    string // the Origin of the client, where the rule has CORS
	preflight bool
	own       int // the status that an answer of the proxy's own is for others than gRPC clients; 0: no such answer
	deadline  time.Time
	keys      *auth.Keys
	limits    *limits
	limiting  limiting
	callers   []auth.Caller
	call      *llm.Call // of an LLM rule
	talk      *conversation
	attempted *llm.Attempt // what is made of it for a provider; nil once it is settled
	asked     asked        // what attempted is about
	putDown   *llm.Attempt // the last attempt, where what is said is logged
	idle      time.Duration
	protocol  ai.Protocol // what the client of an LLM rule speaks
	scratch   scratch.Buffer
	body      textBody
	limited   limitedBody
	metered   meteredBody
	held      int64 // bytes of rt.memory

	to     exchange.Target
	lease  upstream.Lease
	replay *upstream.Replay
	// tried are the endpoints that could not be reached, or did not do and need not be
	// asked again; the first few.
	tried   [8]*balance.Endpoint
	triedTo int
}

// begin takes a state for ex and notes what the client sent.
func (rt *Runtime) begin(ex *exchange.Exchange) *state {
	st := rt.states.Get().(*state) //nolint:forcetypeassert // the pool holds nothing else.
	req := &ex.Request
	st.rt, st.Start = rt, rt.opts.Now()
	st.Method, st.Scheme, st.Authority = req.Method, req.Scheme, req.Authority
	st.Path, st.Query, st.Proto, st.Remote = req.Path, req.Query, req.Proto, req.Remote
	for i := range req.Header.Len() {
		switch f := req.Header.At(i); len(f.Name) {
		case len("User-Agent"):
			if exchange.EqualFold(f.Name, "User-Agent") {
				st.UserAgent = f.Value
			}
		case len("X-Request-Id"):
			if exchange.EqualFold(f.Name, "X-Request-Id") {
				st.RequestID = f.Value
			}
		}
	}
	ex.State = st
	if rt.opts.Sampler != nil {
		st.trace(req)
	}
	return st
}

// trace makes the request a part of its caller's trace, or the start of one.
// What is not recorded passes unchanged.
func (st *state) trace(req *exchange.Request) {
	field, _ := req.Header.Get(trace.Header)
	if st.Trace = st.rt.opts.Sampler.Begin(field, st.rt.opts.Rand); st.Trace.Sampled {
		req.Header.Set(trace.Header, st.Trace.Field(st.Trace.Own))
	}
}

// end gives the state back. Nothing of it may be used afterwards.
func (st *state) end() {
	st.lease.Done()
	st.release()
	rt, buffer, callers, reservation := st.rt, st.scratch, st.callers, st.limiting.reservation
	buffer.Reset()
	clear(callers)
	st.talk.end(rt)
	*st = state{} // alone, so that it is cleared where it is
	st.scratch, st.callers, st.limiting.reservation = buffer, callers[:0], reservation
	rt.states.Put(st)
}
