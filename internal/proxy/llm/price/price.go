// Package price says what an answer of an LLM provider has cost. It is exact:
// amounts are integers, in nano-dollars (1e-9 USD).
//
// It is pure: no clock, no network, no state.
package price

import (
	"cmp"
	"math"
	"math/bits"
	"slices"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/llm/model"
)

// Table finds prices. A nil Table knows none. It is safe for concurrent use.
type Table struct{ prices []ir.Price } // the most specific first

// New returns the table of prices; those of p are not kept.
func New(p *ir.PriceTable) *Table {
	t := &Table{prices: slices.Clone(p.Prices)}
	slices.SortStableFunc(t.prices, func(a, b ir.Price) int {
		return cmp.Or(cmp.Compare(model.Specific(b.Model), model.Specific(a.Model)), cmp.Compare(b.Provider, a.Provider))
	})
	return t
}

// Find returns the price of a provider's model: the most specific one that
// fits, one for the provider before one for any; ok is false where none does.
func (t *Table) Find(provider, name string) (p ir.Price, ok bool) {
	if t == nil {
		return ir.Price{}, false
	}
	for i := range t.prices {
		p := &t.prices[i]
		if (p.Provider == "" || p.Provider == provider) && model.Match(p.Model, name) {
			return *p, true
		}
	}
	return ir.Price{}, false
}

// Cost is what the usage of a provider's model costs, in nano-dollars; ok is
// false where the price is not known.
func (t *Table) Cost(provider, name string, u chat.Usage) (nano int64, ok bool) {
	p, ok := t.Find(provider, name)
	if !ok {
		return 0, false
	}
	return Of(p, u), true
}

// Of is what a usage costs at a price, in nano-dollars, rounded up; at most
// [math.MaxInt64]. Counts below zero count as zero.
func Of(p ir.Price, u chat.Usage) int64 {
	prompt, read, write := max(u.Prompt, 0), max(u.CacheRead, 0), max(u.CacheWrite, 0)
	plain := max(prompt-min(read, prompt)-min(write, prompt), 0)
	var s sum
	s.add(plain, p.Input)
	s.add(read, p.CachedInput)
	s.add(write, p.CacheWrite)
	s.add(u.Completion, p.Output)
	return s.perMillion()
}

// sum is a sum of products, of 128 bits: tokens times the price of a million.
type sum struct{ hi, lo uint64 }

func (s *sum) add(tokens, price int64) {
	if tokens <= 0 || price <= 0 {
		return
	}
	hi, lo := bits.Mul64(uint64(tokens), uint64(price))
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, lo, 0)
	s.hi, _ = bits.Add64(s.hi, hi, carry) // four products of 126 bits fit
}

func (s *sum) perMillion() int64 {
	const million = 1_000_000
	if s.hi >= million {
		return math.MaxInt64
	}
	q, r := bits.Div64(s.hi, s.lo, million)
	if q >= math.MaxInt64 {
		return math.MaxInt64
	}
	if r > 0 {
		q++
	}
	return int64(q)
}
