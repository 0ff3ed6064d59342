package server

import (
	"log/slog"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ownFiles is how many descriptors a process keeps for what is no connection of
// a client's, and none to a backend: its ports, its metrics and readiness, its log.
const ownFiles = 64

// room is where the connections of clients find place. There is less of it than
// the process may have files: a connection to a backend goes with most of them,
// and who asks how the process is must get in when it is full, or the kubelet
// kills what is only busy.
type room struct {
	places  chan struct{}
	crowded atomic.Bool // it was full, and has not been clearly less so since
	log     *slog.Logger
}

// newRoom has place for limit connections; 0: for half of what files are left.
func newRoom(limit int, log *slog.Logger) *room {
	if limit <= 0 {
		limit = 1 << 20
		var files unix.Rlimit
		if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil && files.Cur < 1<<21 {
			limit = max((int(files.Cur)-ownFiles)/2, 1)
		}
	}
	return &room{places: make(chan struct{}, limit), log: log}
}

// enter waits for a place, which leave gives back. It says false, and there is
// none to give back, where stopping comes first.
func (r *room) enter(stopping <-chan struct{}) bool {
	select {
	case r.places <- struct{}{}:
		if r.crowded.Load() && len(r.places) < cap(r.places)*9/10 {
			r.crowded.Store(false)
		}
		return true
	default:
	}
	if !r.crowded.Swap(true) { // once, not for each who waits
		r.log.Warn("Clients have as many connections as there may be; more have to wait", "limit", cap(r.places))
	}
	select {
	case r.places <- struct{}{}:
		return true
	case <-stopping:
		return false
	}
}

func (r *room) leave() { <-r.places }
