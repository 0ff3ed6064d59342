package h1

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// What a client may send, sizes in bytes.
const (
	maxHead   = 64 << 10
	maxFields = 128 // of a head
	maxTarget = 16 << 10
	// maxDrain is how much of a request body that nobody wanted is read to keep
	// the connection; with more to come it is closed.
	maxDrain = 256 << 10
)

// Timeouts bounds how long a client may take. A zero field means its default.
type Timeouts struct {
	// Head is from the first byte of a request head to its end, and from the
	// start of a connection to its first head (10 s).
	Head time.Duration
	// Idle is between two requests (75 s).
	Idle time.Duration
	// Body is how long a wait for 1 KiB of the request body may last (30 s).
	Body time.Duration
	// Write is how long the client may take to accept 1 KiB of the response,
	// or one record of 16 KiB with TLS (30 s).
	Write time.Duration
	// Tunnel is how long an upgraded connection may be silent both ways (1 h).
	Tunnel time.Duration
	// Linger is how long a connection that is being closed is read, so that
	// the client can still receive the response (2 s).
	Linger time.Duration
	// Last is how long an idle connection waits for a request that may be on its
	// way when the server drains (5 ms).
	Last time.Duration
}

// Server is the server half: it reads requests from client connections and
// writes the responses. Set the fields before the first ServeConn. The zero
// value is usable.
type Server struct {
	Timeouts Timeouts
	// Rejected, where set, is told of each request that the codec answered by
	// itself because it was malformed or too large: no Handler sees those.
	Rejected func(info *ConnInfo, status int)

	once     sync.Once
	timeouts Timeouts
	draining atomic.Bool
	mu       sync.Mutex
	conns    map[*serverConn]struct{}
	date     dateCache
}

// ConnInfo is what the listener knows of a connection.
type ConnInfo struct {
	// Handler answers the requests of this connection.
	Handler exchange.Handler
	// TLS is the state after the handshake, nil on a cleartext connection. It
	// decides Request.Scheme.
	TLS *tls.ConnectionState
	// Remote and Local are the ends of the connection. Where they are not
	// valid they are taken from the connection.
	Remote, Local netip.AddrPort
	// Preface is what was already read from the connection, for instance to
	// tell HTTP/2 from HTTP/1.1. It is copied.
	Preface []byte
}

// ServeConn serves conn until it ends, and closes it. conn is a *net.TCPConn
// or a *tls.Conn after its handshake; another net.Conn works, only slower. It
// panics where a Handler does, or the sending of a request's body; conn is closed
// then, too.
func (s *Server) ServeConn(conn net.Conn, info ConnInfo) {
	s.once.Do(s.setDefaults)
	c := newServerConn(s, conn, info)
	s.track(c)
	served := false
	defer func() {
		s.untrack(c)
		_ = conn.Close()
		if served { // else others may still use its memory
			c.release()
		}
	}()
	c.serve()
	served = true
}

// Drain ends every connection as soon as that loses nothing: idle ones after
// Timeouts.Last, the others after the response to the request they are busy with,
// which says "Connection: close". Tunnels go on. Connections served from now on
// get one response. It does not wait; see Active.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.wakeIdle()
	}
}

// Active is the number of connections being served.
func (s *Server) Active() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Close cuts off every connection, tunnels included.
func (s *Server) Close() {
	s.draining.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.link.conn.Close()
	}
}

func (s *Server) track(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		s.conns = make(map[*serverConn]struct{})
	}
	s.conns[c] = struct{}{}
}

func (s *Server) untrack(c *serverConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *Server) setDefaults() {
	s.timeouts = s.Timeouts
	orDefault(&s.timeouts.Head, 10*time.Second)
	orDefault(&s.timeouts.Idle, 75*time.Second)
	orDefault(&s.timeouts.Body, 30*time.Second)
	orDefault(&s.timeouts.Write, 30*time.Second)
	orDefault(&s.timeouts.Tunnel, time.Hour)
	orDefault(&s.timeouts.Linger, 2*time.Second)
	orDefault(&s.timeouts.Last, 5*time.Millisecond)
}

func orDefault[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}
