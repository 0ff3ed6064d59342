package runtime

import (
	"errors"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/llm"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// forwardLLM puts a request to the LLM backends of its rule.
func (st *state) forwardLLM(ex *exchange.Exchange) error {
	if err := st.admit(st.rule); err != nil {
		return err
	}
	var ok bool
	if st.protocol, ok = llm.ProtocolOf(ex.Request.Path, st.prefix); !ok {
		return st.rt.refuse.noOperation
	}
	if st.call == nil { // no other rule has read it
		st.talk = st.rt.talks.Get().(*conversation) //nolint:forcetypeassert // the pool holds nothing else.
		call, err := st.readCall(&ex.Request)
		if err != nil {
			return err
		}
		st.call, st.LLM = call, &st.talk.record
		*st.LLM = LLMRecord{Protocol: st.protocol, Asked: call.Model, Stream: call.Stream, Attempts: st.talk.first[:0]}
	}
	serving, wild := st.rule.plan.serving(st.call.Model)
	if serving == 0 {
		return llm.ErrNoModel
	}
	return st.converse(ex, serving, wild)
}

// readCall reads the body of an LLM request.
func (st *state) readCall(req *exchange.Request) (*llm.Call, error) {
	limit := llm.Limit(st.rule.ir.LLM.MaxBody)
	if err := llm.Check(req, limit); err != nil {
		return nil, err
	}
	if !st.rt.memory.fits(req.ContentLength) {
		return nil, llm.TooLarge(st.rt.memory.forRequests() / bodyCost)
	}
	st.metered = meteredBody{Body: req.Body, st: st, most: st.rt.memory.forRequests()}
	req.Body = &st.metered
	var body upstream.Replay
	switch err := st.talk.memory.Fill(&body, req.Body, req.ContentLength, int(limit)); {
	case errors.Is(err, errMemory):
		return nil, st.rt.refuse.full
	case err != nil:
		return nil, err
	case !body.Whole():
		return nil, llm.TooLarge(limit)
	}
	return st.talk.memory.Parse(st.protocol, body.Bytes(), st.translates())
}

// translates says that most backends of the rule speak another protocol than
// OpenAI's.
func (st *state) translates() bool {
	others := 0
	for i := range st.rule.targets {
		if p := st.rule.targets[i].provider(); p != "" && p != ai.OpenAI {
			others++
		}
	}
	return 2*others > len(st.rule.targets)
}

// provider is the LLM provider of a target that can be asked, else "".
func (t *target) provider() ai.Provider {
	if config := t.config(); config != nil {
		return ai.Provider(config.Backend.LLM.Provider)
	}
	return ""
}

// writeLLMError makes err the body of the response, as the client's protocol
// writes errors.
func (st *state) writeLLMError(ex *exchange.Exchange, status int, err error, text string) {
	if st.protocol == "" { // it was refused before anyone looked
		st.protocol, _ = llm.ProtocolOf(ex.Request.Path, st.prefix)
	}
	ex.Response.Header.Add("Content-Type", "application/json")
	st.write(ex, string(llm.ErrorBody(st.protocol, status, err, text)))
}
