package runtime

import (
	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/llm"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// forwardLLM sends a request to one of the LLM backends of its rule.
func (st *state) forwardLLM(ex *exchange.Exchange) error {
	if err := st.admit(st.rule); err != nil {
		return err
	}
	var ok bool
	if st.protocol, ok = llm.ProtocolOf(ex.Request.Path, st.prefix); !ok {
		return st.rt.refuse.noOperation
	}
	call, err := st.readCall(&ex.Request)
	if err != nil {
		return err
	}
	t, err := st.choose()
	if err != nil {
		return err
	}
	config := t.cluster.Config()
	if config == nil || config.Err != nil {
		return st.rt.refuse.noAction
	}
	attempt, err := call.Prepare(&ex.Request, config, st.rt.opts.Now())
	if err != nil {
		return err
	}
	st.attempted = attempt
	st.LLM = &LLMRecord{Provider: config.Backend.LLM.Provider, Model: attempt.Wire.Model, Asked: call.Model}
	if d := config.Backend.LLM.Timeout; d > 0 {
		st.deadline = st.Start.Add(d)
	}
	if body, ok := ex.Request.Body.(*upstream.Replay); ok {
		st.replay = body
	}
	if err := st.attempts(ex, t.cluster); err != nil {
		return err
	}
	return attempt.Answer(&ex.Response, st.rt.opts.Now())
}

// readCall reads the body of an LLM request.
func (st *state) readCall(req *exchange.Request) (*llm.Call, error) {
	if err := llm.Check(req); err != nil {
		return nil, err
	}
	if err := st.buffer(req, llm.MaxBody); err != nil {
		return nil, err
	}
	if st.replay == nil {
		return nil, llm.TooLarge()
	}
	call, err := llm.Parse(st.protocol, st.replay.Bytes())
	st.replay = nil // the provider gets another body
	return call, err
}

// writeLLMError makes err the body of the response, as the client's protocol
// writes errors.
func (st *state) writeLLMError(ex *exchange.Exchange, status int, err error, text string) {
	if st.protocol == "" {
		st.protocol = ai.Chat
	}
	ex.Response.Header.Add("Content-Type", "application/json")
	st.write(ex, string(llm.ErrorBody(st.protocol, status, err, text)))
}
