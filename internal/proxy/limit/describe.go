package limit

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/ir"
)

// Describe says in words what each limit of the policy allows, whom it concerns
// and where it is counted.
func (p *Policy) Describe() []string {
	out := make([]string, 0, len(p.Limits))
	for i := range p.Limits {
		out = append(out, fmt.Sprintf("%s: %s, counted %s", p.Name, describe(&p.Limits[i].is), p.where))
	}
	return out
}

func describe(l *ir.Limit) string {
	amount := strconv.FormatInt(l.Amount, 10)
	if l.Unit == ir.LimitUSD {
		amount = strconv.FormatFloat(float64(l.Amount)/nanos, 'f', -1, 64)
	}
	out := fmt.Sprintf("%s, %s %s per %s for %s", l.Name, amount, l.Unit, l.Per, sharers[l.Scope])
	if len(l.Consumers) > 0 {
		out += ", if it is one of " + strings.Join(l.Consumers, ", ")
	}
	if len(l.Models) > 0 {
		out += ", for models " + strings.Join(l.Models, ", ")
	}
	return out
}

// nanos are a dollar, in nano-dollars.
const nanos = 1_000_000_000

// sharers are who share a counter.
var sharers = map[ir.LimitScope]string{
	ir.ScopeConsumer: "each consumer", ir.ScopeRoute: "each route",
	ir.ScopeConsumerAndRoute: "each consumer on each route", ir.ScopeShared: "all together",
}

// describeStore says where a policy is counted, and what becomes of requests
// while that is not possible.
func describeStore(p *ir.LimitPolicy) string {
	switch {
	case p.Redis == nil:
		return "by each proxy itself"
	case p.Open:
		return "at " + p.Redis.Address + " while it answers"
	}
	return "at " + p.Redis.Address + ", without which nobody is let in"
}
