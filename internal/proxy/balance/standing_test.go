package balance

import (
	"testing"
	"time"
)

// clock gives times in seconds.
func clock(s float64) time.Time {
	return time.Unix(1_700_000_000, 0).Add(time.Duration(s * float64(time.Second)))
}

func wantOpen(t *testing.T, s *Standing, at float64, want bool) {
	t.Helper()
	if got := s.Open(clock(at)); got != want {
		t.Errorf("open after %v s: %v, want %v (free %v s)", at, got, want, s.FreeAt().Sub(clock(0)).Seconds())
	}
}

func TestStanding_FailuresInARowEject(t *testing.T) {
	var none *Standing
	if !none.Open(clock(0)) || !none.Enter(clock(0)) || !none.FreeAt().IsZero() {
		t.Error("nil does not stand well")
	}
	s := &Standing{}
	s.Failed(clock(0), clock(0))
	s.Failed(clock(0), clock(0))
	s.Succeeded(clock(0))
	s.Failed(clock(0), clock(0))
	s.Failed(clock(0), clock(0))
	wantOpen(t, s, 0, true)
	for range 100 { // all that were under way then
		s.Failed(clock(0), clock(0.5))
	}
	wantOpen(t, s, 2.4, false)
	wantOpen(t, s, 2.5, true)
	s.Succeeded(clock(0.4)) // sent before the pause: it says nothing
	wantOpen(t, s, 2.4, false)
	if !s.Enter(clock(3)) || s.Enter(clock(3)) {
		t.Error("not one attempt is let through")
	}
	s.Failed(clock(3), clock(3.5)) // the pause is twice as long
	wantOpen(t, s, 7.4, false)
	wantOpen(t, s, 7.5, true)
	if !s.Enter(clock(8)) || s.Enter(clock(9.9)) || !s.Enter(clock(10)) {
		t.Error("the next attempt has to wait until the first had its time")
	}
	s.Succeeded(clock(10))
	wantOpen(t, s, 10, true)
	for range 2 {
		if !s.Enter(clock(10)) {
			t.Error("after a success not all are let through")
		}
	}
	s.Failed(clock(11), clock(11))
	wantOpen(t, s, 11, true) // the count began anew
	for range 40 {
		at := s.FreeAt()
		if at.IsZero() {
			at = clock(20)
		}
		s.Failed(at, at)
		if d := s.FreeAt().Sub(at); d > maxGrown {
			t.Fatalf("a pause of %v", d)
		}
	}
}

func TestLM032_ThePauseThatAProviderAsksForIsHeld(t *testing.T) {
	for ask, want := range map[time.Duration]time.Duration{
		time.Millisecond: time.Second, 7 * time.Second: 7 * time.Second, 1 << 60: 10 * time.Minute, 0: time.Second,
	} {
		s := &Standing{}
		s.Throttled(clock(0), clock(1), ask)
		if got := s.FreeAt().Sub(clock(1)); got != want {
			t.Errorf("asked for %v: %v, want %v", ask, got, want)
		}
	}
	s := &Standing{}
	s.Throttled(clock(0), clock(1), 0)
	s.Throttled(clock(0), clock(1.5), 0) // the same trouble
	wantOpen(t, s, 2, true)
	s.Throttled(clock(0), clock(1.5), 5*time.Second) // it says how long
	wantOpen(t, s, 6.4, false)
	s.Throttled(clock(0), clock(1.6), time.Second) // and is not taken back
	wantOpen(t, s, 6.4, false)
	s.Admitted(clock(1)) // sent before
	wantOpen(t, s, 6.4, false)
	s.Admitted(clock(7))
	wantOpen(t, s, 7, true)
	s.Throttled(clock(7), clock(7), 0)
	s.Throttled(clock(8), clock(8), 0)
	wantOpen(t, s, 9.9, false)
	wantOpen(t, s, 10, true)
}

// TestStanding_APauseThatEndedEarlyIsForgotten is a backend that asked for a long
// pause, was asked all the same because there was no other, and answered.
func TestStanding_APauseThatEndedEarlyIsForgotten(t *testing.T) {
	s := &Standing{}
	s.Throttled(clock(0), clock(0), 10*time.Minute)
	s.Succeeded(clock(1))
	wantOpen(t, s, 1, true)
	s.Throttled(clock(2), clock(2), 3*time.Second)
	wantOpen(t, s, 4.9, false)
	wantOpen(t, s, 5, true)
}

func TestLM032_ExtraAttemptsAreAFifthOfTheRequests(t *testing.T) {
	var b Budget
	extra := 0
	for b.Spend() {
		extra++
	}
	if extra != reserve {
		t.Errorf("the reserve is %d, want %d", extra, reserve)
	}
	extra = 0
	for range 1000 {
		b.Earn()
		for b.Spend() {
			extra++
		}
	}
	if extra != 200 {
		t.Errorf("%d extra attempts for 1000 requests, want 200", extra)
	}
	for range 10_000 {
		b.Earn()
	}
	for extra = 0; b.Spend(); {
		extra++
	}
	if extra != reserve {
		t.Errorf("%d were saved, want %d", extra, reserve)
	}
}
