package llm

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPace_CountsTheTimesBetweenPieces(t *testing.T) {
	var p Pace
	at, want := time.Unix(1, 0), Pace{}
	p.piece(at)
	for _, step := range []struct {
		d      time.Duration
		bucket int
	}{
		{-time.Second, 0},
		{0, 0},
		{10 * time.Millisecond, 0},
		{10*time.Millisecond + 1, 1},
		{20 * time.Millisecond, 1},
		{20*time.Millisecond + 1, 2},
		{PaceBound(PaceBuckets - 1), PaceBuckets - 1},
		{PaceBound(PaceBuckets-1) + 1, PaceBuckets},
		{time.Hour, PaceBuckets},
	} {
		at = at.Add(step.d)
		p.piece(at)
		want.Counts[step.bucket]++
		want.Sum += max(step.d, 0)
	}
	if diff := cmp.Diff(want.Counts, p.Counts); diff != "" || p.Sum != want.Sum {
		t.Errorf("%v, want %v\n%s", p.Sum, want.Sum, diff)
	}
	if last := PaceBound(PaceBuckets - 1).Seconds(); last != 81.92 {
		t.Errorf("the last bound is %v", last)
	}
}
