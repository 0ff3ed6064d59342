// Package refresh keeps fresh what is fetched in the background: token keys and
// AWS credentials. It fetches when that is due, sooner when somebody asks for
// it, and less and less often while it fails.
//
// It imports the standard library only.
package refresh

import (
	"context"
	"time"
)

// maxDoublings is how often the pause after a failure doubles.
const maxDoublings = 10

// Options of a Loop; all but Spread are required.
type Options struct {
	// Fetch gets the thing anew and returns how long it stays good.
	Fetch func(ctx context.Context) (time.Duration, error)
	// Failed is told why a fetch failed, and how long it takes until the next.
	Failed func(err error, again time.Duration)
	// Least is the least time between two fetches, and the pause after a first
	// failure. It doubles with every further one in a row, up to Most.
	Least, Most time.Duration
	// Spread returns less than its argument, by chance. It makes pauses up to a
	// half longer, so that those who have failed together do not ask together
	// again; nil: they are exact.
	Spread func(time.Duration) time.Duration
}

// Loop fetches one thing again and again.
type Loop struct {
	opts Options
	ask  chan struct{}
}

// New returns a Loop, which does nothing before Run.
func New(o Options) *Loop { return &Loop{opts: o, ask: make(chan struct{}, 1)} }

// Ask has the loop fetch as soon as the least time has passed since the last
// fetch. It does not wait.
func (l *Loop) Ask() {
	select {
	case l.ask <- struct{}{}:
	default: // it is asked already
	}
}

// Run fetches now, and whenever it is due, until ctx is done. After a failure
// it does not listen to Ask: those who ask are those who miss what has failed.
func (l *Loop) Run(ctx context.Context) {
	failures := 0
	for {
		wait, err := l.opts.Fetch(ctx)
		if ctx.Err() != nil {
			return
		}
		ask := l.ask
		if err != nil {
			ask, wait = nil, l.backoff(failures)
			failures++
			l.opts.Failed(err, wait)
		} else {
			failures = 0
		}
		least := min(l.opts.Least, wait)
		if !sleep(ctx, least, nil) || !sleep(ctx, wait-least, ask) {
			return
		}
	}
}

// backoff is the pause after a failure that so many others came before.
func (l *Loop) backoff(failures int) time.Duration {
	d := min(l.opts.Least<<min(failures, maxDoublings), l.opts.Most)
	if l.opts.Spread != nil {
		d += l.opts.Spread(d / 2)
	}
	return d
}

// sleep waits for d or until it is woken, and says false where ctx has ended.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	select {
	case <-time.After(d):
	case <-wake:
	case <-ctx.Done():
		return false
	}
	return true
}
