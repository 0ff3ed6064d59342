package balance

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func TestWeighted_SharesAreExact(t *testing.T) {
	for name, weights := range map[string][]uint32{
		"One": {5}, "Halves": {1, 1}, "Conformance": {70, 30, 0}, "Thirds": {1, 1, 1}, "Rare": {1, 999}, "Large": {1000000, 999999, 3},
	} {
		t.Run(name, func(t *testing.T) {
			var total float64
			for _, w := range weights {
				total += float64(w)
			}
			for _, start := range []uint64{0, 12345, math.MaxUint64} {
				w, seen := NewWeighted(weights, start), make([]int, len(weights))
				const n = 10_000
				for range n {
					seen[w.Pick()]++
				}
				for i := range weights {
					if want := n * float64(weights[i]) / total; math.Abs(float64(seen[i])-want) > 5 {
						t.Errorf("start %d: %d of %d chosen %d times, want about %.0f", start, i, len(weights), seen[i], want)
					}
				}
			}
		})
	}
}

func TestWeighted_OfNothingIsNothing(t *testing.T) {
	for _, weights := range [][]uint32{nil, {}, {0}, {0, 0}} {
		if got := NewWeighted(weights, 1).Pick(); got != -1 {
			t.Errorf("%v: picked %d", weights, got)
		}
	}
}

func addrs(n int) []string {
	return []string{"a:1", "b:1", "c:1", "d:1", "e:1"}[:n]
}

var start = time.Unix(1_700_000_000, 0)

func TestPick_PrefersTheLessLoaded(t *testing.T) {
	s := NewSet(addrs(2), nil)
	busy := s.All()[0]
	busy.Acquire()
	for range 100 {
		if s.Pick(rand.Uint64(), start, nil) == busy {
			t.Fatal("the loaded endpoint was chosen")
		}
	}
	busy.Release()
	seen := map[*Endpoint]int{}
	for range 1000 {
		seen[s.Pick(rand.Uint64(), start, nil)]++
	}
	if len(seen) != 2 || seen[busy] < 400 || seen[busy] > 600 {
		t.Errorf("equally loaded endpoints are chosen %v times", seen)
	}
}

func TestPick_ReachesEveryEndpoint(t *testing.T) {
	s, seen := NewSet(addrs(5), nil), map[*Endpoint]int{}
	for range 5000 {
		seen[s.Pick(rand.Uint64(), start, nil)]++
	}
	for _, e := range s.All() {
		if seen[e] < 800 {
			t.Errorf("%s was chosen %d times of 5000", e.Addr, seen[e])
		}
	}
}

func TestPick_PassesOverTheFailedForAWhile(t *testing.T) {
	s := NewSet(addrs(3), nil)
	bad := s.All()[1]
	s.Failed(bad, start)
	for range 200 {
		if s.Pick(rand.Uint64(), start.Add(999*time.Millisecond), nil) == bad {
			t.Fatal("a failed endpoint was chosen")
		}
	}
	if bad.Passed(start.Add(firstPause)) {
		t.Error("still passed over after its pause")
	}
	for range 20 { // others that were on their way there
		s.Failed(bad, start.Add(firstPause/2))
	}
	if bad.Passed(start.Add(firstPause)) {
		t.Error("many failures at once make a long pause")
	}
	now := start.Add(firstPause)
	s.Failed(bad, now)
	if !bad.Passed(now.Add(2*firstPause - 1)) {
		t.Error("the second pause is not longer")
	}
	for range 20 {
		now = now.Add(maxPause)
		s.Failed(bad, now)
	}
	if bad.Passed(now.Add(maxPause)) {
		t.Error("the pause grew beyond its limit")
	}
	bad.Succeeded()
	now = now.Add(maxPause)
	s.Failed(bad, now)
	if bad.Passed(now.Add(firstPause)) {
		t.Error("success did not make the next pause short again")
	}
}

func TestFailed_NeverPassesOverMoreThanHalf(t *testing.T) {
	for n := 1; n <= 5; n++ {
		s := NewSet(addrs(n), nil)
		for _, e := range s.All() {
			s.Failed(e, start)
		}
		passed := 0
		for _, e := range s.All() {
			if e.Passed(start) {
				passed++
			}
		}
		if passed != n/2 {
			t.Errorf("%d of %d are passed over, want %d", passed, n, n/2)
		}
	}
}

func TestPick_LeavesOutTheTried(t *testing.T) {
	s := NewSet(addrs(4), nil)
	all := s.All()
	for range 100 {
		if got := s.Pick(rand.Uint64(), start, all[:3]); got != all[3] {
			t.Fatalf("picked %s", got.Addr)
		}
		if s.Pick(rand.Uint64(), start, all) == nil {
			t.Fatal("nothing was picked when all were tried")
		}
	}
	if (*Set)(nil).Pick(1, start, nil) != nil || NewSet(nil, s).Pick(1, start, nil) != nil {
		t.Error("an empty set has an endpoint")
	}
}

func TestNewSet_KeepsWhatIsKnown(t *testing.T) {
	old := NewSet([]string{"a:1", "b:1", "b:1"}, nil)
	if old.Len() != 2 {
		t.Fatalf("%d endpoints", old.Len())
	}
	next := NewSet([]string{"b:1", "c:1"}, old)
	if next.All()[0] != old.All()[1] {
		t.Error("an endpoint that stays was forgotten")
	}
}

func BenchmarkPick(b *testing.B) {
	s, w := NewSet(addrs(5), nil), NewWeighted([]uint32{90, 10}, 7)
	b.ReportAllocs()
	for b.Loop() {
		w.Pick()
		s.Pick(rand.Uint64(), start, nil)
	}
}
