package limit

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	now, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return now
}

func TestWindow_At(t *testing.T) {
	for name, test := range map[string]struct {
		window          Window
		now, start, end string
	}{
		"Minute":         {Minute, "2026-11-28T15:49:43.9Z", "2026-11-28T15:49:00Z", "2026-11-28T15:50:00Z"},
		"HourInZone":     {Hour, "2026-11-28T15:49:43+05:30", "2026-11-28T10:00:00Z", "2026-11-28T11:00:00Z"},
		"DayInZone":      {Day, "2026-11-28T23:30:00-02:00", "2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"},
		"February":       {Month, "2028-02-29T23:59:59.999Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		"December":       {Month, "2026-12-31T12:00:00Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		"MonthInZone":    {Month, "2026-01-01T01:00:00+02:00", "2025-12-01T00:00:00Z", "2026-01-01T00:00:00Z"},
		"StartIsInside":  {Month, "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"},
		"SummerTimeIsNo": {Day, "2026-03-29T03:00:00+02:00", "2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			want := Span{at(t, test.start).Unix(), at(t, test.end).Unix()}
			if got := test.window.At(at(t, test.now)); got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

func TestWindow_Used(t *testing.T) {
	for name, test := range map[string]struct {
		window      Window
		count       Count
		now         string
		used        int64
		wait, reset time.Duration // until half of 100 is free
	}{
		"Nothing":        {Minute, Count{}, "2026-01-01T00:00:15Z", 0, 0, 0},
		"Current":        {Minute, Count{Current: 80}, "2026-01-01T00:00:15Z", 80, 45*time.Second + 22500*time.Millisecond, 105 * time.Second},
		"PreviousFades":  {Minute, Count{Previous: 100}, "2026-01-01T00:00:15Z", 75, 15 * time.Second, 45 * time.Second},
		"Both":           {Minute, Count{Current: 40, Previous: 100}, "2026-01-01T00:00:30Z", 90, 24 * time.Second, 90 * time.Second},
		"RoundedUp":      {Minute, Count{Previous: 1}, "2026-01-01T00:00:59.999999999Z", 1, 0, time.Nanosecond},
		"DayBeginsAnew":  {Day, Count{Current: 80, Previous: 100}, "2026-01-01T23:00:00Z", 80, time.Hour, time.Hour},
		"MonthBeginsNew": {Month, Count{Current: 51}, "2026-02-28T12:00:00Z", 51, 12 * time.Hour, 12 * time.Hour},
		"Debt":           {Hour, Count{Current: 1000}, "2026-01-01T00:30:00Z", 1000, 30*time.Minute + 57*time.Minute, 90 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			now := at(t, test.now)
			if got := test.window.Used(test.count, now); got != test.used {
				t.Errorf("used %d, want %d", got, test.used)
			}
			if got := test.window.Wait(test.count, 50, now); got != test.wait {
				t.Errorf("wait %v, want %v", got, test.wait)
			}
			if got := test.window.Reset(test.count, now); got != test.reset {
				t.Errorf("reset %v, want %v", got, test.reset)
			}
		})
	}
}

// Whoever waits as long as told finds room, and would not have much earlier.
func TestWindow_WaitIsRight(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		w := Window(1 + r.IntN(4))
		most := 1 + r.Int64N(1<<r.IntN(50))
		room := r.Int64N(most)
		c := Count{Current: r.Int64N(2 * most), Previous: r.Int64N(2 * most)}
		now := time.Unix(1_800_000_000+r.Int64N(1<<26), r.Int64N(1e9))
		used := func(now, then time.Time) int64 {
			m := &counter{window: w, span: w.At(now), count: c}
			m.roll(then)
			return w.Used(m.count, then)
		}
		wait := w.Wait(c, room, now)
		if got := used(now, now.Add(wait)); got > room {
			t.Fatalf("window %d, %+v at %v: after %v %d is used, more than %d", w, c, now, wait, got, room)
		}
		if early := wait - time.Second; early > 0 {
			if got := used(now, now.Add(early)); got < room-most/30 {
				t.Fatalf("window %d, %+v at %v: a second before %v only %d is used of %d", w, c, now, wait, got, room)
			}
		}
		if got := used(now, now.Add(w.Reset(c, now))); got != 0 {
			t.Fatalf("window %d, %+v at %v: %d is used after the reset", w, c, now, got)
		}
	}
}

func TestWindow_HugeAmounts(t *testing.T) {
	now := at(t, "2026-01-01T00:30:00Z")
	c := Count{Current: math.MaxInt64, Previous: math.MaxInt64}
	if got := Hour.Used(c, now); got != math.MaxInt64 {
		t.Errorf("used %d", got)
	}
	if got := Hour.Wait(c, 1, now); got <= 0 || got > 2*time.Hour {
		t.Errorf("wait %v", got)
	}
}
