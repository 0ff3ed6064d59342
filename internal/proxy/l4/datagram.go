package l4

import (
	"errors"
	"math"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// maxDatagram is the largest payload of a UDP datagram, in bytes.
const maxDatagram = 65507

// Backend is where the datagrams of one client go.
type Backend struct {
	// Conn is connected to the backend; the Relay closes it.
	Conn *net.UDPConn
	// Done is called once, when the session has ended; failed says that the
	// backend refused its datagrams.
	Done func(failed bool)
}

// Relay passes datagrams between the clients of a socket and backends. What
// comes from one client address is a session: it stays with one backend until
// both have been silent for Idle.
type Relay struct {
	// Conn is where clients send to.
	Conn *net.UDPConn
	// Choose finds the backend of a new session. Its error drops the datagram.
	Choose func() (Backend, error)
	// Idle ends sessions; it is positive.
	Idle time.Duration
	// MaxSessions bounds the sessions; a new client beyond them takes the place
	// of one that has been silent, or else is not heard.
	MaxSessions int
	// Dropped is called for every datagram that went nowhere.
	Dropped func()

	buffers  sync.Pool  // of *[maxDatagram]byte, for sessions that have something to read
	mu       sync.Mutex // guards what follows
	sessions map[netip.AddrPort]*session
	draining bool
	ended    sync.WaitGroup
}

// session is one client address and its backend.
type session struct {
	Backend
	client netip.AddrPort
	from   []byte       // has answers come from the address that the client sent to: see answerFrom
	heard  atomic.Int64 // when the client last sent, as now
}

// started is a constant of the process.
var started = time.Now()

// now is the time in nanoseconds since the process started, which nobody sets.
func now() int64 { return int64(time.Since(started)) }

// Serve relays until Conn is closed, and then until every session has ended.
func (r *Relay) Serve() {
	buffer, control := make([]byte, maxDatagram), make([]byte, controlSize)
	_ = askLocal(r.Conn) // a kernel that does not say it chooses by itself what answers come from
	for {
		n, told, _, from, err := r.Conn.ReadMsgUDPAddrPort(buffer, control)
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil {
			continue // an ICMP error of an earlier answer
		}
		s := r.session(from, control[:told])
		if s == nil {
			r.Dropped()
			continue
		}
		s.heard.Store(now())
		if _, err := s.Conn.Write(buffer[:n]); err != nil {
			r.Dropped()
			r.end(s, true)
		}
	}
	r.mu.Lock()
	for _, s := range r.sessions {
		_ = s.Conn.Close()
	}
	r.mu.Unlock()
	r.ended.Wait()
}

// session returns the session of a client, a new one where there is none, and
// nil where there can be none. control is what the kernel said about the client's
// datagram.
func (r *Relay) session(client netip.AddrPort, control []byte) *session {
	r.mu.Lock()
	s, draining, full := r.sessions[client], r.draining, len(r.sessions) >= r.MaxSessions
	r.mu.Unlock()
	if s != nil || draining || full && !r.makeRoom() {
		return s
	}
	// Only Serve makes sessions, so none has come meanwhile.
	backend, err := r.Choose()
	if err != nil {
		return nil
	}
	s = &session{Backend: backend, client: client, from: answerFrom(control)}
	s.heard.Store(now())
	r.mu.Lock()
	if r.sessions == nil {
		r.sessions = make(map[netip.AddrPort]*session)
	}
	r.sessions[client] = s
	r.mu.Unlock()
	r.ended.Go(func() { r.answer(s) })
	return s
}

const (
	// leastSilence is how long a session must have been silent to make room.
	leastSilence = time.Second
	// looks is how many sessions are looked at for that. Few, at random, are
	// enough: a flood of forged addresses leaves silent ones everywhere.
	looks = 16
)

// makeRoom ends a session that has been silent for long, and says whether it
// found one.
func (r *Relay) makeRoom() bool {
	var silent *session
	last, left := now()-int64(leastSilence), looks
	r.mu.Lock()
	for _, s := range r.sessions {
		if heard := s.heard.Load(); heard < last {
			silent, last = s, heard
		}
		if left--; left == 0 {
			break
		}
	}
	r.mu.Unlock()
	if silent == nil {
		return false
	}
	r.end(silent, false)
	return true
}

// silence is how long the session has heard nothing.
func (s *session) silence() time.Duration { return time.Duration(now() - s.heard.Load()) }

// answer passes on what a backend sends, until the session ends.
func (r *Relay) answer(s *session) {
	raw, err := s.Conn.SyscallConn()
	for err == nil {
		_ = s.Conn.SetReadDeadline(started.Add(time.Duration(s.heard.Load()) + r.Idle))
		err = r.passOn(s, raw)
		if errors.Is(err, os.ErrDeadlineExceeded) && s.silence() < r.Idle {
			err = nil // the client has spoken meanwhile
		}
	}
	r.end(s, !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded))
}

// passOn waits for one datagram of the backend. A session holds a buffer only
// while there is something to read: there are many of them, and most are
// silent.
func (r *Relay) passOn(s *session, raw syscall.RawConn) error {
	var failure error
	err := raw.Read(func(fd uintptr) bool {
		buffer, ok := r.buffers.Get().(*[maxDatagram]byte)
		if !ok {
			buffer = new([maxDatagram]byte)
		}
		defer r.buffers.Put(buffer)
		n, err := syscall.Read(int(fd), buffer[:])
		switch {
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
			return false
		case err != nil:
			failure = err
		default:
			s.heard.Store(now())
			_, _, _ = r.Conn.WriteMsgUDPAddrPort(buffer[:n], s.from, s.client) // UDP promises nothing
		}
		return true
	})
	if err != nil {
		return err
	}
	return failure
}

// end forgets a session; the client's next datagram begins a new one.
func (r *Relay) end(s *session, failed bool) {
	r.mu.Lock()
	mine := r.sessions[s.client] == s
	if mine {
		delete(r.sessions, s.client)
	}
	r.mu.Unlock()
	if mine {
		_ = s.Conn.Close()
		s.Done(failed)
	}
}

// Drain begins no new session, and returns when those that there are have been
// silent for quiet, or after limit.
func (r *Relay) Drain(quiet, limit time.Duration) {
	r.mu.Lock()
	r.draining = true
	r.mu.Unlock()
	for end := time.Now().Add(limit); ; {
		left := min(time.Until(end), quiet-r.silence())
		if left <= 0 {
			return
		}
		timer := time.NewTimer(left)
		<-timer.C
	}
}

// silence is how long no session has heard anything; very long where there is
// none.
func (r *Relay) silence() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	least := time.Duration(math.MaxInt64)
	for _, s := range r.sessions {
		least = min(least, s.silence())
	}
	return least
}
