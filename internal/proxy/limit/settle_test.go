package limit

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/ai/chat"
	"github.com/citoroute/citoroute/internal/ir"
)

// TestSettle_InTheWindow: what was not used goes back to the window that it was
// taken from, as long as that counts; what was used beyond counts now.
func TestSettle_InTheWindow(t *testing.T) {
	for name, c := range map[string]struct {
		per   ir.LimitPer
		after time.Duration
		used  int64
		want  Count
	}{
		"LessInTheSame":     {ir.PerMinute, time.Second, 30, Count{Current: 30}},
		"LessInTheNext":     {ir.PerMinute, time.Minute, 30, Count{Previous: 30}},
		"LessTwoLater":      {ir.PerMinute, 2 * time.Minute, 30, Count{}},
		"MoreInTheSame":     {ir.PerMinute, time.Second, 150, Count{Current: 150}},
		"MoreInTheNext":     {ir.PerMinute, time.Minute, 150, Count{Current: 50, Previous: 100}},
		"MoreTwoLater":      {ir.PerMinute, 2 * time.Minute, 150, Count{Current: 50}},
		"LessOnTheNextDay":  {ir.PerDay, 24 * time.Hour, 30, Count{}},
		"MoreOnTheNextDay":  {ir.PerDay, 24 * time.Hour, 150, Count{Current: 50}},
		"MoreInTheNextHour": {ir.PerHour, time.Hour, 150, Count{Current: 50, Previous: 100}},
	} {
		t.Run(name, func(t *testing.T) {
			store := NewMemory()
			p := policy(t, store, ir.Limit{Unit: ir.LimitTokens, Per: c.per, Amount: 1000})
			var r Reservation
			if err := ask(&r, p, Request{Consumer: "c", Input: 90, Output: 10}, noon); err != nil {
				t.Fatal(err)
			}
			if err := r.Settle(Amounts{Tokens: c.used}, noon.Add(c.after)); err != nil {
				t.Fatal(err)
			}
			got := store.counters[Key{Limit: p.Limits[0].ID, Consumer: "c"}]
			got.roll(noon.Add(c.after))
			if diff := cmp.Diff(c.want, got.count); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestReserve_EveryLimitMustHaveRoom, whichever comes first; the one that has to be
// waited for longest is told.
func TestReserve_EveryLimitMustHaveRoom(t *testing.T) {
	day := ir.Limit{Name: "day", Unit: ir.LimitRequests, Per: ir.PerDay, Amount: 1}
	hour := ir.Limit{Name: "hour", Unit: ir.LimitRequests, Per: ir.PerHour, Amount: 1}
	wide := ir.Limit{Name: "wide", Unit: ir.LimitRequests, Per: ir.PerDay, Amount: 9}
	for name, limits := range map[string][]ir.Limit{"WideLast": {hour, day, wide}, "WideFirst": {wide, day, hour}} {
		t.Run(name, func(t *testing.T) {
			store := NewMemory()
			p := policy(t, store, limits...)
			if err := ask(new(Reservation), p, Request{Consumer: "c"}, noon); err != nil {
				t.Fatal(err)
			}
			refusal := refused(t, ask(new(Reservation), p, Request{Consumer: "c"}, noon))
			if refusal.RetryAfter != 12*time.Hour || refusal.Error() != "limit day of policy ns/p is used up" {
				t.Errorf("%v after %v", refusal, refusal.RetryAfter)
			}
			for key, c := range store.counters {
				if c.count.Current != 1 {
					t.Errorf("%s counts %d", key.Limit, c.count.Current)
				}
			}
		})
	}
	late := time.Date(2026, 11, 28, 23, 59, 59, 900_000_000, time.UTC)
	p := policy(t, NewMemory(), day)
	_ = ask(new(Reservation), p, Request{Consumer: "c"}, late)
	if got := refused(t, ask(new(Reservation), p, Request{Consumer: "c"}, late)).RetryAfter; got != time.Second {
		t.Errorf("retry after %v, want no less than a second", got)
	}
	small := policy(t, NewMemory(), ir.Limit{Name: "small", Unit: ir.LimitTokens, Per: ir.PerDay, Amount: 5})
	if got := refused(t, ask(new(Reservation), small, Request{Consumer: "c", Input: 6}, noon)).Error(); got != "the request is larger than limit small of policy ns/p" {
		t.Error(got)
	}
}

// TestReserve_Standing is that of the limit with the least left.
func TestReserve_Standing(t *testing.T) {
	p := policy(t, NewMemory(),
		ir.Limit{Name: "day", Unit: ir.LimitTokens, Per: ir.PerDay, Amount: 100},
		ir.Limit{Name: "hour", Unit: ir.LimitTokens, Per: ir.PerHour, Amount: 50},
		ir.Limit{Name: "input", Unit: ir.LimitInputTokens, Per: ir.PerDay, Amount: 40},
		ir.Limit{Name: "month", Unit: ir.LimitTokens, Per: ir.PerMonth, Amount: 1000})
	var r Reservation
	if err := ask(&r, p, Request{Consumer: "c", Input: 10, Output: 20}, noon); err != nil {
		t.Fatal(err)
	}
	if s, ok := r.Standing(noon, Tokens, OutputTokens); !ok || s.Limit != &p.Limits[1] || s.Remaining != 20 || s.Reset != 2*time.Hour {
		t.Errorf("%+v, %v", s, ok)
	}
	if s, ok := r.Standing(noon, InputTokens); !ok || s.Limit != &p.Limits[2] || s.Remaining != 30 || s.Reset != 12*time.Hour {
		t.Errorf("%+v, %v", s, ok)
	}
	if s, ok := r.Standing(noon, Requests); ok {
		t.Errorf("%+v of no limit", s)
	}
}

// TestReserve_Stores: a store that is lost keeps nothing in the others, and is of no
// account where all who count in it may do without.
func TestReserve_Stores(t *testing.T) {
	one := ir.Limit{Unit: ir.LimitRequests, Per: ir.PerDay, Amount: 5}
	ofOthers := one
	ofOthers.Consumers = []string{"d"}
	for name, c := range map[string]struct {
		first, second       ir.Limit
		open, alsoOpen, let bool
	}{
		"Closed":        {one, one, false, false, false},
		"FirstOpen":     {one, one, true, false, false},
		"SecondOpen":    {one, one, false, true, false},
		"BothOpen":      {one, one, true, true, true},
		"ClosedOfOther": {one, ofOthers, true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			kept, there := NewMemory(), broken{}
			good, lost, alsoLost := policy(t, kept, one), policy(t, there, c.first), policy(t, there, c.second)
			lost.Open, alsoLost.Open = c.open, c.alsoOpen
			var r Reservation
			err := r.Reserve([]*Policy{good, lost, alsoLost}, &Request{Consumer: "c", Route: "r", Choices: 1}, noon)
			if (err == nil) != c.let || !c.let && !errors.Is(err, ErrStore) || r.Taken() != c.let {
				t.Errorf("taken %v, %v", r.Taken(), err)
			}
			if r.Settle(Amounts{Requests: 1}, noon) == nil {
				t.Error("the loss is not told")
			}
			var counted int64
			for _, at := range kept.counters {
				counted += at.count.Current
			}
			if counted > 1 || counted == 1 != c.let {
				t.Errorf("%d requests are counted where they can be", counted)
			}
		})
	}
}

// TestSettle_SeveralStores: each counter is settled once, wherever it is, and whichever
// policies share a store.
func TestSettle_SeveralStores(t *testing.T) {
	a, b := NewMemory(), NewMemory()
	limit := func(name string) ir.Limit {
		return ir.Limit{Name: name, Unit: ir.LimitTokens, Per: ir.PerDay, Amount: 1000}
	}
	policies := []*Policy{policy(t, a, limit("first")), policy(t, b, limit("second")), policy(t, a, limit("third"))}
	var r Reservation
	for n := range int64(2) {
		if err := r.Reserve(policies, &Request{Consumer: "c", Route: "r", Input: 100, Output: 1, Choices: 1}, noon); err != nil {
			t.Fatal(err)
		}
		if err := r.Settle(Amounts{Tokens: 30}, noon); err != nil {
			t.Fatal(err)
		}
		if a.Len() != 2 || b.Len() != 1 {
			t.Fatalf("%d and %d counters", a.Len(), b.Len())
		}
		for _, store := range []*Memory{a, b} {
			for key, at := range store.counters {
				if want := 30 * (n + 1); at.count.Current != want {
					t.Errorf("%s counts %d, want %d", key.Limit, at.count.Current, want)
				}
			}
		}
	}
}

// TestSettle_LostStore: what a store does not take back is told.
func TestSettle_LostStore(t *testing.T) {
	p := policy(t, forgetful{NewMemory()}, ir.Limit{Unit: ir.LimitTokens, Per: ir.PerDay, Amount: 100})
	var r Reservation
	if err := ask(&r, p, Request{Consumer: "c", Input: 1, Output: 1}, noon); err != nil || !r.Taken() {
		t.Fatal(err)
	}
	if r.Settle(Amounts{Tokens: 2}, noon) != nil {
		t.Error("there was nothing to settle")
	}
	if err := ask(&r, p, Request{Consumer: "c", Input: 1, Output: 1}, noon); err != nil {
		t.Fatal(err)
	}
	if r.Settle(Amounts{Tokens: 1}, noon) == nil {
		t.Error("the loss is not told")
	}
}

// forgetful is a store that goes away after a reservation.
type forgetful struct{ *Memory }

func (forgetful) Settle([]Change, time.Time) error { return errors.New("gone") }

func TestAmounts(t *testing.T) {
	got := AmountsOf(chat.Usage{Prompt: 3, Completion: 4}, 5)
	if want := (Amounts{Requests: 1, Tokens: 7, InputTokens: 3, OutputTokens: 4, Cost: 5}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	got.Add(Amounts{Requests: 1, Cost: 2})
	if want := (Amounts{Requests: 2, Tokens: 7, InputTokens: 3, OutputTokens: 4, Cost: 7}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}
