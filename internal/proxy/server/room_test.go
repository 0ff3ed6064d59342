package server

import (
	"bytes"
	"log/slog"
	"testing"
	"testing/synctest"
)

func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newRoom(2, slog.New(slog.NewTextHandler(&log, nil)))
		stopping := make(chan struct{})
		entered := make(chan bool, 2)
		for range 2 {
			if !r.enter(nil) {
				t.Fatal("there was no place")
			}
		}
		for range 2 {
			go func() { entered <- r.enter(stopping) }()
		}
		synctest.Wait()
		if len(entered) != 0 {
			t.Error("nobody waited for a place")
		}
		if n := bytes.Count(log.Bytes(), []byte("\n")); n != 1 {
			t.Errorf("%d lines were logged, want one for all who wait", n)
		}
		r.leave()
		if !<-entered {
			t.Error("a place that was given back was not taken")
		}
		close(stopping)
		if <-entered {
			t.Error("a place was taken that is not there")
		}
	})
}
