// Package room bounds how many connections a process has, so that it has files
// left for what tells how it is. It imports the standard library and golang.org/x/sys.
package room

import (
	"log/slog"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// ownFiles is how many descriptors a process keeps for what is no connection of
// a client's, and none to a backend: its ports, its metrics and readiness, its
// log, its controller. Who asks how the process is must get in when all else is
// full, or the kubelet kills what is only busy.
const ownFiles = 64

// Files is the part of the files that the process may have that each of so many
// gets, 1 at least.
func Files(parts int) int {
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) != nil || files.Cur > 1<<21 {
		return 1 << 20
	}
	return max((int(files.Cur)-ownFiles)/parts, 1)
}

// Room is where connections find place. A nil Room has place for all. It is safe
// for concurrent use.
type Room struct {
	places  chan struct{}
	waiting atomic.Int64
	crowded atomic.Bool // it was full, and has not been clearly less so since
	full    func()
	relieve func()
}

// New has place for limit connections. full, which may be nil, is called when it
// is full, and again only when it was clearly less so meanwhile.
func New(limit int, full func()) *Room {
	return &Room{places: make(chan struct{}, limit), full: full}
}

// Warn returns a function for [New] that logs text.
func Warn(log *slog.Logger, text string, limit int) (full func()) {
	return func() { log.Warn(text, "limit", limit) }
}

// Relieve has relieve called when somebody has to wait, to close what is only kept
// for later. It is called before the first Enter.
func (r *Room) Relieve(relieve func()) {
	if r != nil {
		r.relieve = relieve
	}
}

// Enter waits for a place, which Leave gives back. It says false, and there is
// none to give back, where stopping comes first.
func (r *Room) Enter(stopping <-chan struct{}) bool {
	if r.TryEnter() {
		return true
	}
	r.waiting.Add(1)
	defer r.waiting.Add(-1)
	if r.relieve != nil {
		r.relieve()
	}
	select {
	case r.places <- struct{}{}:
		return true
	case <-stopping:
		return false
	}
}

// TryEnter takes a place if there is one.
func (r *Room) TryEnter() bool {
	if r == nil {
		return true
	}
	select {
	case r.places <- struct{}{}:
		if r.crowded.Load() && len(r.places) < cap(r.places)*9/10 {
			r.crowded.Store(false)
		}
		return true
	default:
	}
	if !r.crowded.Swap(true) && r.full != nil { // once, not for each who waits
		r.full()
	}
	return false
}

// Leave gives a place back.
func (r *Room) Leave() {
	if r != nil {
		<-r.places
	}
}

// Taken returns how many places are taken, of how many; a nil Room has no limit
// and counts none.
func (r *Room) Taken() (taken, limit int) {
	if r == nil {
		return 0, 0
	}
	return len(r.places), cap(r.places)
}

// Wanted says that somebody waits for a place: who has one and does not need it
// should give it back.
func (r *Room) Wanted() bool { return r != nil && r.waiting.Load() > 0 }
