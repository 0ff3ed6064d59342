package runtime

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/limit"
	"github.com/citoroute/citoroute/internal/proxy/llm/price"
)

// limits are the limits and prices of all LLM rules, by the name of their policy.
type limits struct {
	policies map[string]*limit.Policy
	prices   map[string]*price.Table
}

// changedLimits returns the limits after c, which is in the store already:
// those that there were where c has to do with none.
func (rt *Runtime) changedLimits(c change) *limits {
	if !c.has(ir.TypePolicy) && !c.has(ir.TypeSecret) {
		return rt.snap.Load().limits
	}
	out := &limits{policies: make(map[string]*limit.Policy), prices: make(map[string]*price.Table)}
	for _, r := range rt.store {
		p, ok := r.(*ir.Policy)
		switch {
		case !ok:
		case p.Limits != nil:
			// One that can not be compiled is not there: its requests are refused.
			if policy, err := limit.NewPolicy(p, rt.limitStore(p.Limits)); err == nil {
				out.policies[p.Name] = policy
			}
		case p.Prices != nil:
			out.prices[p.Name] = price.New(p.Prices)
		}
	}
	return out
}

// limitStore returns where the limits of a policy are counted. What was counted
// stays when the policy changes.
func (rt *Runtime) limitStore(p *ir.LimitPolicy) limit.Store {
	if p.Redis == nil {
		return rt.counters
	}
	return rt.servers.Open(p.Redis, rt.store.secret(p.Redis.Credentials))
}

// has says that a resource of a type is in c.
func (c change) has(t ir.Type) bool {
	for ref := range c {
		if ref.Type == t {
			return true
		}
	}
	return false
}

// of returns the policies of these names; ok is false where one is missing.
func (l *limits) of(names ...[]string) (out []*limit.Policy, ok bool) {
	for _, name := range slices.Concat(names...) {
		p := l.policies[name]
		if p == nil {
			return nil, false
		}
		out = append(out, p)
	}
	return out, true
}

// limiting is what a request has to do with limits.
type limiting struct {
	reservation limit.Reservation
	refusal     *limit.Refusal // why it was refused; nil where it was not
	// expected is the most that an attempt was expected to use.
	expected chat.Usage
	prices   *price.Table
}

// reserve takes what a request may use from its limits. The error says why it
// may not go on.
func (c *conversation) reserve() error {
	st, own, listener := c.state, c.rule.ir.LLM, c.Listener
	if st.limiting.prices = st.limits.prices[own.Prices]; own.Prices == "" {
		st.limiting.prices = st.limits.prices[listener.Prices]
	}
	if len(own.Limits)+len(listener.Limits) == 0 {
		return nil
	}
	policies, ok := st.limits.of(listener.Limits, own.Limits)
	if !ok {
		return st.rt.refuse.noLimits
	}
	size := c.call.Size()
	req := limit.Request{
		Consumer: st.Consumer, Route: st.Route.Source.Namespace + "/" + st.Route.Source.Name, Model: c.call.Model,
		Input: size.Input, Output: size.Output, Choices: size.Choices,
		Cost: c.mostCost,
	}
	for _, p := range policies {
		if u := req.Usage(p.MaxOutput); u.Completion >= st.limiting.expected.Completion {
			st.limiting.expected = u
		}
	}
	err := st.limiting.reservation.Reserve(policies, &req, st.rt.opts.Now())
	if st.limiting.refusal, ok = errors.AsType[*limit.Refusal](err); ok {
		st.LLM.Limited = st.limiting.refusal.Limit
	}
	return st.refused(err)
}

// mostCost is what a usage costs at most at the backends that may be asked; ok
// is false where one of them has no price.
func (c *conversation) mostCost(u chat.Usage) (most int64, ok bool) {
	for i := range c.rule.targets {
		config := c.usable(i)
		if !c.left.has(i) || config == nil {
			continue
		}
		cost, ok := c.limiting.prices.Cost(config.Backend.LLM.Provider, c.modelKey(i, config), u)
		if !ok {
			return 0, false
		}
		most = max(most, cost)
	}
	return most, true
}

// refused is the error for the client that goes with one of a reservation.
func (st *state) refused(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, limit.ErrNoPrice):
		return &chat.Error{Status: 403, Type: chat.TypePermission, Code: chat.CodeNoPrice, Message: limit.ErrNoPrice.Error()}
	case st.limiting.refusal == nil:
		return fmt.Errorf("%w: %w", st.rt.refuse.uncounted, err)
	}
	r := st.limiting.refusal
	e := &chat.Error{Status: 429, Type: chat.TypeRateLimit, Code: chat.CodeRateLimit, Message: r.Error()}
	if r.Limit.Unit == limit.Cost {
		e.Type, e.Code = chat.CodeQuota, chat.CodeQuota
	}
	return e
}

// settleLimits notes what the attempts have cost and corrects the limits to what
// was used.
func (st *state) settleLimits(now time.Time) {
	var used limit.Amounts
	for i := range st.LLM.Attempts {
		a := &st.LLM.Attempts[i]
		if a.Counted {
			a.Cost, a.Priced = st.limiting.prices.Cost(a.Provider, a.Model, a.Usage)
		}
		usage := st.usageOf(a, i == len(st.LLM.Attempts)-1)
		cost, _ := st.limiting.prices.Cost(a.Provider, a.Model, usage)
		used.Add(limit.AmountsOf(usage, cost))
	}
	used[limit.Requests] = 1 // however often it was tried
	st.LLM.LimitErr = st.limiting.reservation.Settle(used, now)
}

const (
	// maxTokens is the most that is believed of a provider's count.
	maxTokens = 100_000_000
	// bytesPerToken is how much of a whole answer is taken for a token.
	bytesPerToken = 4
)

// usageOf is what an attempt has used: what the provider counted and, where its
// count is missing or was not its last, what must be assumed. Nothing is
// assumed of an attempt that failed before the client was answered from it.
func (st *state) usageOf(a *LLMAttempt, last bool) chat.Usage {
	u := chat.Usage{
		Prompt: min(a.Usage.Prompt, maxTokens), Completion: min(a.Usage.Completion, maxTokens),
		CacheRead: a.Usage.CacheRead, CacheWrite: a.Usage.CacheWrite,
	}
	answered, left := a.Status >= 200 && a.Status < 300 && (st.LLM.Stream || a.Err == nil), st.End.Err != nil
	if !last || !answered && !left {
		return u
	}
	expected := st.limiting.expected
	u.Prompt, u.Completion = u.Prompt+a.Assumed.Prompt, u.Completion+a.Assumed.Completion
	switch stream := st.LLM.Stream; {
	case stream && (!left || u.Completion > 0), !stream && a.Counted && a.Err == nil:
		return u
	case left: // nobody knows how far the provider got
		u.Completion = max(u.Completion, expected.Completion)
	default: // it does not count
		u.Completion = max(u.Completion, min(st.End.Sent/bytesPerToken, expected.Completion))
	}
	if !a.Counted {
		u.Prompt = expected.Prompt
	}
	return u
}
