package limit

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
)

// Whatever happens in whatever order, a counter is what was used and what is
// reserved, and nobody is let in beyond the limit.
func TestMemory_NeverLetsInBeyondTheLimit(t *testing.T) {
	const most = 1000
	store := NewMemory()
	p := policy(t, store, ir.Limit{Unit: ir.LimitTokens, Per: ir.PerDay, Amount: most})
	var mu sync.Mutex // guards reserved and used
	var reserved, used int64
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(worker), 7))
			for range 500 {
				want := 1 + rng.Int64N(100)
				var r Reservation
				mu.Lock()
				err := ask(&r, p, Request{Consumer: "c", Input: want - 1, Output: 1}, noon)
				if err == nil {
					reserved += want
				}
				if reserved+used > most {
					t.Errorf("%d reserved and %d used, of %d", reserved, used, most)
				}
				mu.Unlock()
				if err != nil {
					continue
				}
				actual := rng.Int64N(want + 1)
				mu.Lock()
				_ = r.Settle(Amounts{Tokens: actual}, noon)
				reserved, used = reserved-want, used+actual
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if got := store.counters[Key{Limit: p.Limits[0].ID, Consumer: "c"}].count.Current; got != used || reserved != 0 {
		t.Errorf("%d are counted, %d were used", got, used)
	}
}

// In no window, wherever it begins, is more let in than twice the limit, and no
// more than the limit at once.
func TestMemory_SlidingWindow(t *testing.T) {
	const most = 60
	store := NewMemory()
	p := policy(t, store, ir.Limit{Unit: ir.LimitRequests, Per: ir.PerMinute, Amount: most})
	rng := rand.New(rand.NewPCG(3, 4))
	var let []time.Time
	now := noon
	for range 20_000 {
		now = now.Add(time.Duration(rng.Int64N(int64(200 * time.Millisecond))))
		if ask(new(Reservation), p, Request{Consumer: "c"}, now) == nil {
			let = append(let, now)
		}
	}
	for i, first := 0, 0; i < len(let); i++ {
		for let[i].Sub(let[first]) >= time.Minute {
			first++
		}
		if n := i - first + 1; n > 2*most {
			t.Fatalf("%d were let in within a minute", n)
		}
	}
	per := float64(len(let)) / now.Sub(noon).Minutes()
	if per < 0.95*most || per > 1.05*most {
		t.Errorf("%.1f a minute were let in over time, want %d", per, most)
	}
}

// TestFT033_ClockSteps: whatever becomes of the time of day, nobody is let in
// without a limit, nor kept out for longer than three windows.
func TestFT033_ClockSteps(t *testing.T) {
	const most = 60
	for per, window := range map[ir.LimitPer]time.Duration{ir.PerMinute: time.Minute, ir.PerHour: time.Hour, ir.PerDay: 24 * time.Hour} {
		for _, step := range []time.Duration{-24 * time.Hour, -time.Hour, -time.Minute, -time.Second, time.Second, time.Hour} {
			t.Run(fmt.Sprint(per, step), func(t *testing.T) {
				p := policy(t, NewMemory(), ir.Limit{Unit: ir.LimitRequests, Per: per, Amount: most})
				let := func(at time.Time) (n int) {
					for n <= 4*most && ask(new(Reservation), p, Request{Consumer: "c"}, at) == nil {
						n++
					}
					return n
				}
				now := noon.Add(time.Second)
				total := let(now)
				total += let(now.Add(step))
				if step > 0 { // and back
					total += let(now)
				} else {
					now = now.Add(step)
				}
				if total > 2*most {
					t.Errorf("%d were let in at once", total)
				}
				if let(now.Add(3*window)) == 0 {
					t.Error("nobody is let in three windows later")
				}
			})
		}
	}
}

func TestMemory_ForgetsWhatCountsNoMore(t *testing.T) {
	store := NewMemory()
	p := policy(t, store, ir.Limit{Unit: ir.LimitRequests, Per: ir.PerMinute, Amount: 10})
	now := noon
	for i := range 20_000 {
		now = now.Add(100 * time.Millisecond) // 1200 counters count something at a time
		if err := ask(new(Reservation), p, Request{Consumer: fmt.Sprint(i)}, now); err != nil {
			t.Fatal(err)
		}
	}
	if n := store.Len(); n > 5000 {
		t.Errorf("%d counters are kept", n)
	}
}

func TestMemory_IsBounded(t *testing.T) {
	store := NewMemory()
	store.most = 100
	p := policy(t, store, ir.Limit{Unit: ir.LimitRequests, Per: ir.PerMinute, Amount: 10})
	var err error
	for i := range 101 {
		err = ask(new(Reservation), p, Request{Consumer: fmt.Sprint(i)}, noon)
	}
	if !errors.Is(err, ErrFull) || store.Len() != 100 {
		t.Errorf("%d counters, %v", store.Len(), err)
	}
	if err := ask(new(Reservation), p, Request{Consumer: "0"}, noon); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	if err := ask(new(Reservation), p, Request{Consumer: "new"}, noon.Add(3*time.Minute)); err != nil {
		t.Errorf("later: %v", err)
	}
}
