package balance

import (
	"testing"
	"time"
	"unsafe"
)

// afterStep is t as it would have been read after the time of day was set by d,
// in whole seconds: the reading of the clock that nobody sets stays.
func afterStep(t *testing.T, at time.Time, d time.Duration) time.Time {
	t.Helper()
	stepped := at
	words := (*[2]uint64)(unsafe.Pointer(&stepped)) // the seconds are in the bits from the 30th on
	words[0] += uint64(int64(d/time.Second)) << 30
	if stepped.Sub(at) != 0 || !stepped.Round(0).Equal(at.Round(0).Add(d)) {
		t.Skip("this Go keeps times in another way")
	}
	return stepped
}

// TestFT033_ClockSteps: a pause is as long as it was to be, whatever becomes of the
// time of day.
func TestFT033_ClockSteps(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, -time.Minute, 0, time.Second, time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			began := time.Now()
			after := func(d time.Duration) time.Time { return afterStep(t, began, step).Add(d) }
			set := NewSet(addrs(3), nil)
			e := set.All()[0]
			set.Failed(e, began)
			if !e.Passed(after(firstPause-1)) || e.Passed(after(firstPause)) {
				t.Error("the endpoint is not passed over for as long as it should be")
			}
			asked, failing := &Standing{}, &Standing{}
			asked.Throttled(began, began, 2*time.Second)
			for range ejectAfter {
				failing.Failed(began, began)
			}
			for name, s := range map[string]*Standing{"asked for a pause": asked, "failed": failing} {
				if s.Open(after(2*time.Second-1)) || !s.Open(after(2*time.Second)) {
					t.Errorf("who has %s is not passed over for as long as it should be", name)
				}
				if got := s.FreeAt().Sub(after(0)); got != 2*time.Second {
					t.Errorf("who has %s is free after %v", name, got)
				}
			}
			if asked.Cooling(after(2 * time.Second)) {
				t.Error("who has asked for a pause goes on having one")
			}
			failing.Succeeded(after(3 * time.Second))
			if failing.FreeAt() != (time.Time{}) {
				t.Error("a success after it does not end the pause")
			}
		})
	}
}
