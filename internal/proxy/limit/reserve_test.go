package limit

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// policy returns a policy of limits; those without a scope are for consumers.
func policy(t testing.TB, store Store, limits ...ir.Limit) *Policy {
	t.Helper()
	for i := range limits {
		if limits[i].Scope == "" {
			limits[i].Scope = ir.ScopeConsumer
		}
		if limits[i].Name == "" {
			limits[i].Name = "one"
		}
	}
	p, err := NewPolicy(&ir.Policy{
		Name: "llmlimitpolicy/ns/p", Source: ir.Source{Namespace: "ns", Name: "p"},
		Limits: &ir.LimitPolicy{Limits: limits, MaxOutput: 4096},
	}, store)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// ask reserves, and says what is left of the first limit.
func ask(r *Reservation, p *Policy, req Request, now time.Time) error {
	if req.Choices == 0 {
		req.Choices = 1
	}
	if req.Route == "" {
		req.Route = "ns/route"
	}
	return r.Reserve([]*Policy{p}, &req, now)
}

func refused(t *testing.T, err error) *Refusal {
	t.Helper()
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok {
		t.Fatalf("not refused: %v", err)
	}
	return refusal
}

func TestReserve_SettlesToWhatWasUsed(t *testing.T) {
	p := policy(t, NewMemory(), ir.Limit{Unit: ir.LimitTokens, Per: ir.PerDay, Amount: 1000})
	left := func() int64 {
		var r Reservation
		_ = ask(&r, p, Request{Consumer: "c", Output: 1}, noon)
		s, _ := r.Standing(noon, Tokens)
		_ = r.Settle(Amounts{}, noon)
		return s.Remaining + 1
	}
	for name, test := range map[string]struct {
		used Amounts
		want int64 // less than before
	}{
		"Less":     {Amounts{Tokens: 30}, 30},
		"Exact":    {Amounts{Tokens: 150}, 150},
		"More":     {Amounts{Tokens: 200}, 200},
		"Nothing":  {Amounts{}, 0},
		"Negative": {Amounts{Tokens: -500}, 0}, // LM-021
	} {
		t.Run(name, func(t *testing.T) {
			before := left()
			var r Reservation
			if err := ask(&r, p, Request{Consumer: "c", Input: 100, Output: 50}, noon); err != nil {
				t.Fatal(err)
			}
			if got := before - left(); got != 150 {
				t.Errorf("%d are reserved, want 150", got)
			}
			_ = r.Settle(test.used, noon)
			if got := before - left(); got != test.want {
				t.Errorf("%d are used, want %d", got, test.want)
			}
			_ = r.Settle(Amounts{Tokens: 1}, noon) // once more changes nothing
			if got := before - left(); got != test.want {
				t.Errorf("%d are used after a second settlement", got)
			}
		})
	}
}

func TestReserve_TakesAllOrNone(t *testing.T) {
	store := NewMemory()
	p := policy(t, store,
		ir.Limit{Name: "many", Unit: ir.LimitRequests, Per: ir.PerMinute, Amount: 100},
		ir.Limit{Name: "few", Unit: ir.LimitRequests, Per: ir.PerHour, Amount: 2})
	other := policy(t, NewMemory(), ir.Limit{Name: "other", Unit: ir.LimitRequests, Per: ir.PerHour, Amount: 5})
	req := &Request{Consumer: "c", Route: "r", Choices: 1}
	for range 2 {
		var r Reservation
		if err := r.Reserve([]*Policy{other, p}, req, noon); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		var r Reservation
		refusal := refused(t, r.Reserve([]*Policy{other, p}, req, noon))
		if refusal.Limit.Name != "few" || r.Taken() {
			t.Errorf("refused by %s", refusal.Limit.Name)
		}
		_ = r.Settle(Amounts{Requests: 1}, noon)
	}
	for limit, want := range map[*Limit]int64{&p.Limits[0]: 2, &p.Limits[1]: 2} {
		if got := store.counters[Key{Limit: limit.ID, Consumer: "c"}].count.Current; got != want {
			t.Errorf("%s: %d are counted, want %d", limit.Name, got, want)
		}
	}
	if got := other.Store.(*Memory).counters[Key{Limit: other.Limits[0].ID, Consumer: "c"}].count.Current; got != 2 {
		t.Errorf("%d are counted in the other store, want 2", got)
	}
}

func TestReserve_Windows(t *testing.T) {
	monthly := policy(t, NewMemory(), ir.Limit{Unit: ir.LimitTokens, Per: ir.PerMonth, Amount: 1000})
	eve := time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC)
	var long, r Reservation
	if err := ask(&long, monthly, Request{Consumer: "c", Input: 900, Output: 100}, eve); err != nil {
		t.Fatal(err)
	}
	refusal := refused(t, ask(&r, monthly, Request{Consumer: "c", Output: 1}, eve))
	if refusal.RetryAfter != time.Second {
		t.Errorf("retry after %v, want the end of the month", refusal.RetryAfter)
	}
	_ = r.Settle(Amounts{}, eve)
	february := eve.Add(time.Minute)
	if err := ask(&r, monthly, Request{Consumer: "c", Output: 1000}, february); err != nil {
		t.Fatal(err)
	}
	_ = r.Settle(Amounts{Tokens: 300}, february)
	// What January's request gives back is January's; what it owes counts now.
	_ = long.Settle(Amounts{Tokens: 10}, february)
	if err := ask(&r, monthly, Request{Consumer: "c", Output: 701}, february); err == nil {
		t.Error("January's refund was paid in February")
	}
	_ = r.Settle(Amounts{}, february)
	if err := ask(&long, monthly, Request{Consumer: "c", Output: 1}, eve.Add(-time.Hour)); err != nil {
		t.Fatal("a clock that goes back refuses", err)
	}
	_ = long.Settle(Amounts{Tokens: 101}, february)
	if err := ask(&r, monthly, Request{Consumer: "c", Output: 600}, february); err == nil {
		t.Error("a debt was forgotten")
	}
}

func TestReserve_Scopes(t *testing.T) {
	a, b := Request{Consumer: "ns/a", Route: "r1"}, Request{Consumer: "ns/b", Route: "r1"}
	a2, nobody, nobody2 := Request{Consumer: "ns/a", Route: "r2"}, Request{Route: "r1"}, Request{Route: "r2"}
	for name, test := range map[string]struct {
		scope    ir.LimitScope
		apart    [2]Request
		together [2]Request
	}{
		"Consumer":         {ir.ScopeConsumer, [2]Request{a, b}, [2]Request{a, a2}},
		"ConsumerOrNobody": {ir.ScopeConsumer, [2]Request{a, nobody}, [2]Request{nobody, nobody}},
		"NobodyPerRoute":   {ir.ScopeConsumer, [2]Request{nobody, nobody2}, [2]Request{nobody2, nobody2}},
		"Route":            {ir.ScopeRoute, [2]Request{a, a2}, [2]Request{a, b}},
		"ConsumerAndRoute": {ir.ScopeConsumerAndRoute, [2]Request{a, a2}, [2]Request{a, a}},
	} {
		t.Run(name, func(t *testing.T) {
			p := policy(t, NewMemory(), ir.Limit{Unit: ir.LimitRequests, Per: ir.PerMonth, Amount: 1, Scope: test.scope})
			if err := errors.Join(ask(new(Reservation), p, test.apart[0], noon), ask(new(Reservation), p, test.apart[1], noon)); err != nil {
				t.Errorf("not apart: %v", err)
			}
			p = policy(t, NewMemory(), ir.Limit{Unit: ir.LimitRequests, Per: ir.PerMonth, Amount: 1, Scope: test.scope})
			_ = ask(new(Reservation), p, test.together[0], noon)
			refused(t, ask(new(Reservation), p, test.together[1], noon))
		})
	}
}

func TestReserve_AppliesToSome(t *testing.T) {
	p := policy(t, NewMemory(), ir.Limit{
		Unit: ir.LimitRequests, Per: ir.PerDay, Amount: 1, Consumers: []string{"ns/a"}, Models: []string{"gpt-*"},
	})
	for range 3 {
		for _, other := range []Request{{Consumer: "ns/b", Model: "gpt-5"}, {Consumer: "ns/a", Model: "claude"}, {Model: "gpt-5"}} {
			if err := ask(new(Reservation), p, other, noon); err != nil {
				t.Errorf("%+v: %v", other, err)
			}
		}
	}
	mine := Request{Consumer: "ns/a", Model: "gpt-5"}
	if err := ask(new(Reservation), p, mine, noon); err != nil {
		t.Error(err)
	}
	refused(t, ask(new(Reservation), p, mine, noon))
}

func TestReserve_Budget(t *testing.T) {
	p := policy(t, NewMemory(), ir.Limit{Unit: ir.LimitUSD, Per: ir.PerMonth, Amount: 1_000_000_000})
	cost := func(u chat.Usage) (int64, bool) { return u.Prompt*1_000_000 + u.Completion*2_000_000, true }
	var r Reservation
	if err := ask(&r, p, Request{Consumer: "c", Input: 100, Output: 450, Cost: cost}, noon); err != nil {
		t.Fatal(err)
	}
	refused(t, ask(new(Reservation), p, Request{Consumer: "c", Input: 1, Output: 1, Cost: cost}, noon))
	_ = r.Settle(Amounts{}, noon)
	if err := ask(&r, p, Request{Consumer: "c", Input: 999, Output: 4096, Cost: cost}, noon); err != nil {
		t.Error(err)
	}
	unknown := func(chat.Usage) (int64, bool) { return 0, false }
	if err := ask(new(Reservation), p, Request{Consumer: "d", Cost: unknown}, noon); !errors.Is(err, ErrNoPrice) {
		t.Errorf("what has no price: %v", err)
	}
}

// LM-013: no number that a client writes makes an estimate small, negative or
// endless.
func TestLM013_EstimatesAreClamped(t *testing.T) {
	for name, test := range map[string]struct {
		req  Request
		want int64
	}{
		"NoMaximum":  {Request{Input: 10, Choices: 1}, 10 + 4096},
		"Negative":   {Request{Input: 10, Output: -1, Choices: 1}, 10 + 4096},
		"Huge":       {Request{Input: 10, Output: math.MaxInt64, Choices: 1}, 10 + 4096},
		"Small":      {Request{Input: 10, Output: 5, Choices: 1}, 15},
		"TenAnswers": {Request{Input: 10, Output: 5, Choices: 10}, 60},
	} {
		if got := test.req.Usage(4096).Total(); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}

func TestReserve_LargerThanTheLimit(t *testing.T) {
	p := policy(t, NewMemory(), ir.Limit{Unit: ir.LimitTokens, Per: ir.PerMinute, Amount: 100})
	if refusal := refused(t, ask(new(Reservation), p, Request{Consumer: "c", Input: 101}, noon)); refusal.RetryAfter != 0 {
		t.Errorf("retry after %v, want never", refusal.RetryAfter)
	}
	// Only what it may answer is larger: it waits until nothing is used.
	var r Reservation
	if err := ask(&r, p, Request{Consumer: "c", Input: 50, Output: 4000}, noon); err != nil {
		t.Fatal(err)
	}
	refused(t, ask(new(Reservation), p, Request{Consumer: "c", Input: 1, Output: 1}, noon))
}

// LM-031: of 1,000 parallel requests at the end of a limit none is let in that
// the limit has no room for, whatever they turn out to use.
func TestLM031_ParallelRequestsAtTheEnd(t *testing.T) {
	for name, test := range map[string]struct {
		left, let int64
	}{"OneTokenLeft": {1, 0}, "OneRequestLeft": {20, 1}, "TenLeft": {209, 10}} {
		t.Run(name, func(t *testing.T) {
			const amount = 10_000
			p := policy(t, NewMemory(), ir.Limit{Unit: ir.LimitTokens, Per: ir.PerHour, Amount: amount})
			var before Reservation
			if err := ask(&before, p, Request{Consumer: "c", Input: amount - test.left, Output: 0, Choices: 0}, noon); err != nil {
				t.Fatal(err)
			}
			_ = before.Settle(Amounts{Tokens: amount - test.left}, noon)
			var let atomic.Int64
			var all sync.WaitGroup
			for range 1000 {
				all.Go(func() {
					var r Reservation
					if ask(&r, p, Request{Consumer: "c", Input: 15, Output: 5}, noon) == nil {
						let.Add(1)
						_ = r.Settle(Amounts{Tokens: 20}, noon)
					}
				})
			}
			all.Wait()
			if let.Load() != test.let {
				t.Errorf("%d were let in, want %d", let.Load(), test.let)
			}
		})
	}
}

func TestReserve_LostStore(t *testing.T) {
	p := policy(t, broken{}, ir.Limit{Unit: ir.LimitRequests, Per: ir.PerMinute, Amount: 1})
	var r Reservation
	if err := ask(&r, p, Request{Consumer: "c"}, noon); !errors.Is(err, ErrStore) {
		t.Errorf("deny: %v", err)
	}
	if _, ok := r.Standing(noon, Requests); ok {
		t.Error("a standing that nobody knows")
	}
	if r.Settle(Amounts{Requests: 1}, noon) == nil {
		t.Error("deny: the loss is not told")
	}
	p.Open = true
	for range 3 {
		if err := ask(&r, p, Request{Consumer: "c"}, noon); err != nil || r.Taken() {
			t.Errorf("allow: %v", err)
		}
		if r.Settle(Amounts{Requests: 1}, noon) == nil {
			t.Error("allow: the loss is not told")
		}
	}
}

// broken is a store that is not there.
type broken struct{}

func (broken) Reserve([]Charge, time.Time) (bool, error) { return false, errors.New("gone") }
func (broken) Settle([]Change, time.Time) error          { return errors.New("gone") }

func BenchmarkReserveAndSettle(b *testing.B) {
	p := []*Policy{policy(b, NewMemory(),
		ir.Limit{Name: "requests", Unit: ir.LimitRequests, Per: ir.PerMinute, Amount: 1 << 50},
		ir.Limit{Name: "tokens", Unit: ir.LimitTokens, Per: ir.PerDay, Amount: 1 << 50})}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var r Reservation
		req := Request{Consumer: "ns/consumer", Route: "ns/route", Model: "m", Input: 100, Output: 100, Choices: 1}
		for pb.Next() {
			if err := r.Reserve(p, &req, noon); err != nil {
				b.Fatal(err)
			}
			_ = r.Settle(Amounts{Requests: 1, Tokens: 150}, noon)
		}
	})
}
