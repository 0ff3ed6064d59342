package limit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/llm/model"
)

// Unit is what a limit counts.
type Unit uint8

// The units.
const (
	Requests Unit = iota
	Tokens        // input and output
	InputTokens
	OutputTokens
	Cost // nano-dollars

	numUnits = iota
)

// Amounts are how much there is of each unit.
type Amounts [numUnits]int64

// AmountsOf returns what one request has used.
func AmountsOf(u chat.Usage, cost int64) Amounts {
	return Amounts{Requests: 1, Tokens: add(u.Prompt, u.Completion), InputTokens: u.Prompt, OutputTokens: u.Completion, Cost: cost}
}

// Add adds more; amounts are not negative.
func (a *Amounts) Add(more Amounts) {
	for i := range a {
		a[i] = add(a[i], more[i])
	}
}

// Limit is one limit of a policy.
type Limit struct {
	// ID names what the limit counts, whatever its amount is.
	ID           string
	Policy, Name string
	Unit         Unit
	Window       Window
	Amount       int64

	scope
	is ir.Limit
}

// scope says for what there is a counter of its own.
type scope struct{ perConsumer, perRoute bool }

// Policy is a set of limits that are counted in one store.
type Policy struct {
	Name   string
	Limits []Limit
	Store  Store
	// Open lets requests pass, uncounted, while the store cannot be reached.
	Open bool
	// MaxOutput is the most output tokens that a request reserves for each
	// answer that it asks for, and what it reserves where it sets no maximum.
	MaxOutput int64

	where string // it is counted, in words
}

// NewPolicy compiles a policy. The error names the limit at fault.
func NewPolicy(p *ir.Policy, store Store) (*Policy, error) {
	out := &Policy{Name: p.Source.Namespace + "/" + p.Source.Name, Store: store, Open: p.Limits.Open, MaxOutput: p.Limits.MaxOutput, where: describeStore(p.Limits)}
	for i := range p.Limits.Limits {
		l, err := newLimit(out.Name, &p.Limits.Limits[i])
		if err != nil {
			return nil, fmt.Errorf("limit %q: %w", p.Limits.Limits[i].Name, err)
		}
		out.Limits = append(out.Limits, l)
	}
	return out, nil
}

func newLimit(policy string, in *ir.Limit) (Limit, error) {
	unit, noUnit := meaning("unit", units, in.Unit)
	window, noWindow := meaning("window", windows, in.Per)
	scope, noScope := meaning("scope", scopes, in.Scope)
	return Limit{
		ID:     fmt.Sprintf("%s/%s/%s/%s", policy, in.Name, in.Unit, in.Per),
		Policy: policy, Name: in.Name, Unit: unit, Window: window, Amount: in.Amount,
		scope: scope, is: *in,
	}, cmp.Or(noUnit, noWindow, noScope)
}

// What the words of the model mean.
var (
	units = map[ir.LimitUnit]Unit{
		ir.LimitRequests: Requests, ir.LimitTokens: Tokens, ir.LimitInputTokens: InputTokens, ir.LimitOutputTokens: OutputTokens, ir.LimitUSD: Cost,
	}
	windows = map[ir.LimitPer]Window{ir.PerMinute: Minute, ir.PerHour: Hour, ir.PerDay: Day, ir.PerMonth: Month}
	scopes  = map[ir.LimitScope]scope{
		ir.ScopeShared: {}, ir.ScopeConsumer: {perConsumer: true}, ir.ScopeRoute: {perRoute: true},
		ir.ScopeConsumerAndRoute: {perConsumer: true, perRoute: true},
	}
)

func meaning[W ~string, M any](of string, words map[W]M, word W) (M, error) {
	m, ok := words[word]
	if !ok {
		return m, fmt.Errorf("%s %q is not known", of, word)
	}
	return m, nil
}

// applies says whether the limit counts a request.
func (l *Limit) applies(r *Request) bool {
	if len(l.is.Consumers) > 0 && !slices.Contains(l.is.Consumers, r.Consumer) {
		return false
	}
	return len(l.is.Models) == 0 || slices.ContainsFunc(l.is.Models, func(p string) bool { return model.Match(p, r.Model) })
}

// key names the counter of a request. Who is not known shares one with all
// others who are not, on that route.
func (l *Limit) key(r *Request) Key {
	k := Key{Limit: l.ID}
	if l.perConsumer {
		k.Consumer = r.Consumer
	}
	if l.perRoute || l.perConsumer && r.Consumer == "" {
		k.Route = r.Route
	}
	return k
}

// Request is what is known of a request before it is put to a provider.
type Request struct {
	// Consumer is who is known to call, by what was verified; empty: nobody is.
	Consumer string
	// Route names the route, Model is what the client asks for.
	Route, Model string
	// Input is an estimate of the prompt, in tokens. Output is the most that
	// each of Choices answers may have, 0 where the client did not say.
	Input, Output, Choices int64
	// Cost is what a usage costs at most, in nano-dollars; ok is false where
	// the price is not known.
	Cost func(chat.Usage) (nano int64, ok bool)
}

// Usage is the most that the request is expected to use.
func (r *Request) Usage(maxOutput int64) chat.Usage {
	output := maxOutput
	if r.Output > 0 {
		output = min(r.Output, maxOutput)
	}
	return chat.Usage{Prompt: r.Input, Completion: output * r.Choices}
}
