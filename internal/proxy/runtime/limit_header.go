package runtime

import (
	"strconv"
	"time"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/limit"
)

// tellLimits adds to a response how the limits of the request stand, by the
// names that its client knows.
func (st *state) tellLimits(h *exchange.Header, now time.Time) {
	if st.protocol == ai.Messages || st.protocol == ai.Tokens {
		st.tellAnthropic(h, now, "Requests", limit.Requests)
		st.tellAnthropic(h, now, "Tokens", limit.Tokens)
		st.tellAnthropic(h, now, "Input-Tokens", limit.InputTokens)
		st.tellAnthropic(h, now, "Output-Tokens", limit.OutputTokens)
	} else {
		st.tellOpenAI(h, now, "Requests", limit.Requests)
		st.tellOpenAI(h, now, "Tokens", limit.Tokens, limit.InputTokens, limit.OutputTokens)
	}
	if r := st.limiting.refusal; r != nil {
		st.tellRetry(h, r.RetryAfter)
	}
}

// tellOpenAI adds the fields of OpenAI's API: the limit of these units that has
// least left, and how long it takes until nothing of it is used.
func (st *state) tellOpenAI(h *exchange.Header, now time.Time, what string, units ...limit.Unit) {
	if s, ok := st.limiting.reservation.Standing(now, units...); ok {
		h.Set("X-Ratelimit-Limit-"+what, strconv.FormatInt(s.Limit.Amount, 10))
		h.Set("X-Ratelimit-Remaining-"+what, strconv.FormatInt(s.Remaining, 10))
		h.Set("X-Ratelimit-Reset-"+what, s.Reset.Round(time.Millisecond).String())
	}
}

// tellAnthropic adds the fields of Anthropic's API, in which the end is a time
// (RFC 3339).
func (st *state) tellAnthropic(h *exchange.Header, now time.Time, what string, unit limit.Unit) {
	if s, ok := st.limiting.reservation.Standing(now, unit); ok {
		h.Set("Anthropic-Ratelimit-"+what+"-Limit", strconv.FormatInt(s.Limit.Amount, 10))
		h.Set("Anthropic-Ratelimit-"+what+"-Remaining", strconv.FormatInt(s.Remaining, 10))
		h.Set("Anthropic-Ratelimit-"+what+"-Reset", now.Add(s.Reset).UTC().Format(time.RFC3339))
	}
}

// longWait is how long the clients of OpenAI and Anthropic wait at most before
// they try again by themselves. Where they would try too early they are told
// not to.
const longWait = time.Minute

func (st *state) tellRetry(h *exchange.Header, wait time.Duration) {
	if wait > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
	}
	if wait <= 0 || wait > longWait {
		h.Set("X-Should-Retry", "false")
	}
}
