package runtime

import (
	"errors"

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
	st.LLM = &LLMRecord{Protocol: st.protocol, Asked: call.Model, Stream: call.Stream}
	t, err := st.choose()
	if err != nil {
		return err
	}
	config := t.cluster.Config()
	if config == nil || config.Err != nil {
		return st.rt.refuse.noAction
	}
	return st.attemptLLM(ex, call, t, config)
}

// attemptLLM puts a call to one provider and notes how it went.
func (st *state) attemptLLM(ex *exchange.Exchange, call *llm.Call, t *target, config *upstream.Config) (err error) {
	now := st.rt.opts.Now()
	attempt, err := call.Prepare(&ex.Request, config)
	if err != nil {
		return err
	}
	st.attempted = attempt
	st.LLM.Attempts = append(st.LLM.Attempts, LLMAttempt{
		Backend: t.cluster.Name(), Provider: config.Backend.LLM.Provider, Model: attempt.Wire.Model,
		Configured: config.Backend.LLM.Model != "", Host: config.Backend.LLM.Host, Start: now,
	})
	note := &st.LLM.Attempts[len(st.LLM.Attempts)-1]
	defer func() { note.Err = err }()
	if d := config.Backend.LLM.Timeout; d > 0 {
		st.deadline = st.Start.Add(d)
	}
	if body, ok := ex.Request.Body.(*upstream.Replay); ok {
		st.replay = body
	}
	if err := st.attemptsSigned(ex, t.cluster); err != nil {
		return err
	}
	note.Status = ex.Response.Status
	if err := attempt.Answer(&ex.Response, st.rt.opts.Now()); err != nil {
		return err
	}
	if attempt.Streams() {
		note.FirstContent = st.rt.opts.Now().Sub(now)
	}
	return nil
}

// finishLLM completes the note of the attempt that the client was answered from.
func (st *state) finishLLM() {
	if st.LLM == nil || len(st.LLM.Attempts) == 0 {
		return
	}
	note := &st.LLM.Attempts[len(st.LLM.Attempts)-1]
	note.Usage, note.Counted = st.attempted.Usage()
	if note.Duration = st.rt.opts.Now().Sub(note.Start); note.Err == nil {
		note.Err = st.attempted.Err()
	}
}

// readCall reads the body of an LLM request.
func (st *state) readCall(req *exchange.Request) (*llm.Call, error) {
	limit := llm.Limit(st.rule.ir.LLM.MaxBody)
	if err := llm.Check(req, limit); err != nil {
		return nil, err
	}
	if !st.rt.memory.fits(req.ContentLength) {
		return nil, llm.TooLarge(st.rt.memory.limit / bodyCost)
	}
	st.metered = meteredBody{Body: req.Body, st: st}
	req.Body = &st.metered
	if err := st.buffer(req, int(limit)); errors.Is(err, errMemory) {
		return nil, st.rt.refuse.full
	} else if err != nil {
		return nil, err
	}
	if st.replay == nil {
		return nil, llm.TooLarge(limit)
	}
	call, err := llm.Parse(st.protocol, st.replay.Bytes())
	st.replay = nil // the provider gets another body
	return call, err
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
