package refresh

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// thing is what a Loop fetches in a test: it notes when.
type thing struct {
	began   time.Time
	good    time.Duration
	mu      sync.Mutex // guards err
	err     error
	fetched []time.Duration // since the beginning
	pauses  []time.Duration // after failures
}

// become has later fetches end with err.
func (th *thing) become(err error) {
	th.mu.Lock()
	defer th.mu.Unlock()
	th.err = err
}

// run runs f beside the loop of a thing, on a clock of its own.
func run(t *testing.T, th *thing, spread func(time.Duration) time.Duration, f func(*Loop)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		th.began = time.Now()
		l := New(Options{
			Fetch: func(context.Context) (time.Duration, error) {
				th.fetched = append(th.fetched, time.Since(th.began))
				th.mu.Lock()
				defer th.mu.Unlock()
				return th.good, th.err
			},
			Failed: func(_ error, again time.Duration) { th.pauses = append(th.pauses, again) },
			Least:  time.Second, Most: 5 * time.Second, Spread: spread,
		})
		ctx, stop := context.WithCancel(t.Context())
		go l.Run(ctx)
		synctest.Wait()
		f(l)
		stop()
		synctest.Wait()
	})
}

func pass(d time.Duration) {
	time.Sleep(d) // the clock of the synctest bubble
	synctest.Wait()
}

func seconds(n ...time.Duration) []time.Duration {
	for i := range n {
		n[i] *= time.Second
	}
	return n
}

func TestLoop_FetchesWhenDue(t *testing.T) {
	th := &thing{good: time.Minute}
	run(t, th, nil, func(*Loop) { pass(2 * time.Minute) })
	if diff := cmp.Diff(seconds(0, 60, 120), th.fetched); diff != "" {
		t.Error(diff)
	}
}

func TestLoop_FetchesWhenAskedButNotTooOften(t *testing.T) {
	th := &thing{good: time.Minute}
	run(t, th, nil, func(l *Loop) {
		for range 100 {
			l.Ask()
		}
		pass(10 * time.Second) // one fetch, once the least time has passed
		l.Ask()
		pass(time.Second) // one at once: the least time has passed long ago
	})
	if diff := cmp.Diff(seconds(0, 1, 10), th.fetched); diff != "" {
		t.Error(diff)
	}
}

func TestLoop_BacksOffWhileItFails(t *testing.T) {
	th := &thing{good: time.Minute, err: errors.New("away")}
	run(t, th, nil, func(l *Loop) {
		pass(13 * time.Second)
		l.Ask() // in vain
		pass(3 * time.Second)
		th.become(nil)
		pass(time.Second) // well again
		th.become(errors.New("away again"))
		l.Ask()
		pass(time.Second)
	})
	if diff := cmp.Diff(seconds(0, 1, 3, 7, 12, 17, 18), th.fetched); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(seconds(1, 2, 4, 5, 5, 1), th.pauses); diff != "" {
		t.Errorf("pauses: %s", diff)
	}
}

func TestLoop_SpreadsItsPauses(t *testing.T) {
	th := &thing{err: errors.New("away")}
	run(t, th, func(d time.Duration) time.Duration { return d / 2 }, func(*Loop) { pass(4 * time.Second) })
	want := []time.Duration{1250 * time.Millisecond, 2500 * time.Millisecond, 5 * time.Second}
	if diff := cmp.Diff(want, th.pauses); diff != "" {
		t.Error(diff)
	}
}
