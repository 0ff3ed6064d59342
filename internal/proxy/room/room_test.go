package room

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		r := New(2, func() { told++ })
		var relieved atomic.Int64
		r.Relieve(func() { relieved.Add(1) })
		stopping := make(chan struct{})
		entered := make(chan bool, 2)
		for range 2 {
			if !r.Enter(nil) {
				t.Fatal("there was no place")
			}
		}
		for range 2 {
			go func() { entered <- r.Enter(stopping) }()
		}
		synctest.Wait()
		if len(entered) != 0 || !r.Wanted() || relieved.Load() != 2 {
			t.Error("nobody waited for a place")
		}
		if r.TryEnter() {
			t.Error("a place was taken that is not there")
		}
		if told != 1 {
			t.Errorf("it was said %d times, want once for all who wait", told)
		}
		r.Leave()
		if !<-entered {
			t.Error("a place that was given back was not taken")
		}
		close(stopping)
		if <-entered {
			t.Error("a place was taken that is not there")
		}
		if r.Wanted() {
			t.Error("somebody still waits")
		}
	})
}

func TestRoom_NoneIsForAll(t *testing.T) {
	var r *Room
	if !r.Enter(nil) || !r.TryEnter() || r.Wanted() {
		t.Error("a nil Room has no place")
	}
	r.Leave()
}

func TestFiles_AreShared(t *testing.T) {
	if one, three := Files(1), Files(3); three < 1 || one < three {
		t.Errorf("one part %d, a third %d", one, three)
	}
}

func TestRoom_Taken(t *testing.T) {
	r := New(3, nil)
	r.TryEnter()
	r.TryEnter()
	r.Leave()
	if taken, limit := r.Taken(); taken != 1 || limit != 3 {
		t.Errorf("%d of %d are taken, want 1 of 3", taken, limit)
	}
	if taken, limit := (*Room)(nil).Taken(); taken != 0 || limit != 0 {
		t.Errorf("%d of %d are taken where there is no limit", taken, limit)
	}
}
