package runtime

import "github.com/citoroute/citoroute/internal/proxy/exchange"

// forwardLLM sends a request to one of the LLM backends of its rule.
func (st *state) forwardLLM(ex *exchange.Exchange) error {
	if len(st.rule.ir.LLM.Consumers) > 0 {
		return st.rt.refuse.unauthorized
	}
	return st.forward(ex)
}
