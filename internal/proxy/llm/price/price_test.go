package price

import (
	"math"
	"math/big"
	"testing"
	"testing/quick"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
)

// usd is a whole number of dollars for a million tokens.
func usd(n int64) int64 { return n * 1_000_000_000 }

func TestCost(t *testing.T) {
	table := New(&ir.PriceTable{Prices: []ir.Price{
		{Model: "*", Input: usd(9), CachedInput: usd(9), CacheWrite: usd(9), Output: usd(9)},
		{Provider: "openai", Model: "gpt-*", Input: usd(2), CachedInput: usd(1), CacheWrite: usd(2), Output: usd(8)},
		{Model: "gpt-*", Input: usd(3), Output: usd(3)},
		{Provider: "openai", Model: "gpt-mini", Input: 37_500_000, CachedInput: 1, CacheWrite: 37_500_000, Output: usd(1)},
		{Provider: "anthropic", Model: "claude-*", Input: usd(3), CachedInput: 300_000_000, CacheWrite: 3_750_000_000, Output: usd(15)},
	}})
	for name, test := range map[string]struct {
		provider, model string
		usage           chat.Usage
		want            int64
	}{
		"Plain":              {"openai", "gpt-5", chat.Usage{Prompt: 1000, Completion: 100}, 2_000_000 + 800_000},
		"MoreSpecific":       {"openai", "gpt-mini", chat.Usage{Prompt: 2, Completion: 1}, 75 + 1000},
		"RoundedUp":          {"openai", "gpt-mini", chat.Usage{Prompt: 1}, 38},
		"OneCachedToken":     {"openai", "gpt-mini", chat.Usage{Prompt: 1, CacheRead: 1}, 1},
		"OtherProvider":      {"bedrock", "gpt-5", chat.Usage{Prompt: 1}, 3000},
		"AnyModel":           {"bedrock", "us.amazon.nova-lite-v1:0", chat.Usage{Completion: 1}, 9000},
		"Cached":             {"anthropic", "claude-x", chat.Usage{Prompt: 100, CacheRead: 60, CacheWrite: 30, Completion: 1}, 10*3000 + 60*300 + 30*3750 + 15000},
		"CacheBeyondPrompt":  {"anthropic", "claude-x", chat.Usage{Prompt: 10, CacheRead: 10, CacheWrite: 10}, 10*300 + 10*3750},
		"NegativeIsNothing":  {"openai", "gpt-5", chat.Usage{Prompt: -5, Completion: -1, CacheRead: -1}, 0},
		"HugeIsBounded":      {"openai", "gpt-5", chat.Usage{Prompt: math.MaxInt64, Completion: math.MaxInt64}, math.MaxInt64},
		"NothingUsedIsNoFee": {"openai", "gpt-5", chat.Usage{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := table.Cost(test.provider, test.model, test.usage); got != test.want || !ok {
				t.Errorf("%d, %v; want %d", got, ok, test.want)
			}
		})
	}
}

func TestCost_UnknownIsNotFree(t *testing.T) {
	var none *Table
	for name, table := range map[string]*Table{"Nil": none, "Empty": New(&ir.PriceTable{}), "Other": New(&ir.PriceTable{Prices: []ir.Price{{Provider: "openai", Model: "*"}}})} {
		if _, ok := table.Cost("bedrock", "m", chat.Usage{Prompt: 1}); ok {
			t.Errorf("%s: a price was found", name)
		}
	}
}

// The sum is exact: it equals that of arbitrary precision, rounded up once.
func TestOf_IsExact(t *testing.T) {
	exact := func(in, cached, write, out, plain, read, written, completion uint32) bool {
		p := ir.Price{Input: int64(in), CachedInput: int64(cached), CacheWrite: int64(write), Output: int64(out)}
		u := chat.Usage{Prompt: int64(plain) + int64(read) + int64(written), CacheRead: int64(read), CacheWrite: int64(written), Completion: int64(completion)}
		total := new(big.Int)
		for _, x := range [][2]uint32{{in, plain}, {cached, read}, {write, written}, {out, completion}} {
			total.Add(total, new(big.Int).Mul(big.NewInt(int64(x[0])), big.NewInt(int64(x[1]))))
		}
		total.Add(total, big.NewInt(999_999)).Div(total, big.NewInt(1_000_000))
		return total.IsInt64() && total.Int64() == Of(p, u)
	}
	if err := quick.Check(exact, nil); err != nil {
		t.Error(err)
	}
}

func BenchmarkCost(b *testing.B) {
	prices := make([]ir.Price, 64)
	for i := range prices {
		prices[i] = ir.Price{Provider: "openai", Model: "gpt-" + string(rune('A'+i)) + "-*", Input: usd(2), Output: usd(8)}
	}
	table := New(&ir.PriceTable{Prices: prices})
	b.ReportAllocs()
	for b.Loop() {
		table.Cost("openai", "gpt-A-2026", chat.Usage{Prompt: 1000, Completion: 100})
	}
}
