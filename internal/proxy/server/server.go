package server

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/observe"
	"github.com/citoroute/citoroute/internal/proxy/room"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// Options say how a Server treats clients. The zero value of every field but
// Runtime and Observe is usable.
type Options struct {
	// Runtime answers requests; required.
	Runtime *runtime.Runtime
	// Observe counts connections; required.
	Observe *observe.Observer
	// Dial connects to the backends of streams and datagrams.
	Dial upstream.Dialer
	// Bind is the local address of every socket; the zero Addr means all
	// addresses of both families.
	Bind netip.Addr
	// Capture, where set, has the server take redirected connections instead of
	// binding the ports of its listeners: it is a sidecar's then.
	Capture *Capture
	// Port maps a listener's port to the port that is bound, for programs that
	// may not have the listener's own; nil keeps it. Zero lets the system choose.
	Port func(listener uint16) uint16
	// Connections is how many clients may have open at once, over TCP and on all
	// ports; the others wait to be accepted. Zero: their part of the files that the
	// process may have.
	Connections int
	// HeaderTimeout limits the TLS handshake and a request head; zero: 10 s.
	HeaderTimeout time.Duration
	// IdleTimeout limits the wait between requests and between bytes of a
	// body; zero: 60 s.
	IdleTimeout time.Duration
	// DrainTimeout limits how long requests in flight may take after their
	// listener is gone or Run's context is done; zero: 30 s.
	DrainTimeout time.Duration
	// Grace is how long Run goes on accepting after its context is done, so that
	// load balancers notice first; zero: none.
	Grace time.Duration
	// Log receives what an operator must know; nil discards it.
	Log *slog.Logger
}

// rebindInterval is how often a port that could not be bound is tried again.
const rebindInterval = time.Second

// Server serves a runtime's configuration on sockets. Create one with New,
// feed it with Apply, run it with Run.
type Server struct {
	opts     Options
	room     *room.Room // for the connections of clients
	panicked func(v any)

	mu        sync.Mutex // guards what follows and makes Apply one at a time
	sockets   map[binding]*socket
	datagrams map[uint16]*datagramSocket // UDP ports
	identity  identities
	retry     *time.Timer
	applied   bool // there is a configuration
	closed    bool
	draining  sync.WaitGroup // generations on their way out

	configured chan struct{} // closed when captured connections need not wait any more
	configure  func()        // closes it

	complete atomic.Bool // a configuration was applied and every socket bound
	stopping atomic.Bool
}

// New returns a Server that serves nothing yet.
func New(opts Options) *Server {
	orDefault := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	orDefault(&opts.HeaderTimeout, 10*time.Second)
	orDefault(&opts.IdleTimeout, 60*time.Second)
	orDefault(&opts.DrainTimeout, 30*time.Second)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Connections <= 0 {
		opts.Connections = room.Files(shares(opts.Capture != nil))
	}
	crowded := room.Warn(opts.Log, "Clients have as many connections as there may be; more have to wait", opts.Connections)
	s := &Server{
		opts: opts, room: room.New(opts.Connections, crowded), sockets: make(map[binding]*socket), datagrams: make(map[uint16]*datagramSocket), identity: make(identities),
		configured: make(chan struct{}), panicked: panicked(opts.Observe, opts.Log),
	}
	opts.Observe.ConnectionLimit(opts.Connections)
	s.configure = sync.OnceFunc(func() { close(s.configured) })
	return s
}

// Apply makes u live: routes first, then certificates and sockets. No open
// connection is closed by it unless its listener is gone, and then only after
// its requests. Where the runtime refuses u, nothing has changed. Otherwise u
// is live even if an error is returned: it holds an [ir.ResourceError] for each
// listener that could not be served. It is safe for concurrent use.
func (s *Server) Apply(u ir.Update) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := s.gone(u)
	if err := s.opts.Runtime.Apply(u); err != nil {
		s.opts.Observe.Rejected()
		return err
	}
	s.applied = true
	s.configure()
	err := s.reconcile()
	s.opts.Observe.Applied(gone)
	return err
}

// gone names the resources that u takes away.
func (s *Server) gone(u ir.Update) []ir.Ref {
	if !u.Complete {
		return u.Removed
	}
	gone := refsOf(s.opts.Runtime.Resources())
	stay := make(map[ir.Ref]bool, len(u.Upserts))
	for _, ref := range refsOf(u.Upserts) {
		stay[ref] = true
	}
	return slices.DeleteFunc(gone, func(ref ir.Ref) bool { return stay[ref] })
}

func refsOf(resources []ir.Resource) []ir.Ref {
	out := make([]ir.Ref, 0, len(resources))
	for _, r := range resources {
		out = append(out, ir.RefOf(r))
	}
	return out
}

// Run serves until ctx is done, then for Options.Grace more, then drains. It
// returns when the last connection is closed.
func (s *Server) Run(ctx context.Context) {
	if s.opts.Capture != nil {
		s.beginCapture() //nolint:contextcheck // what it accepts outlives ctx, and drains.
	}
	<-ctx.Done()
	s.stopping.Store(true)
	if s.opts.Grace > 0 {
		<-time.After(s.opts.Grace)
	}
	s.close()
	s.draining.Wait()
}

// close begins to drain every socket. No new one is bound afterwards.
func (s *Server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.retry != nil {
		s.retry.Stop()
	}
	for b, sock := range s.sockets {
		s.remove(b, sock)
	}
	for port, k := range s.datagrams {
		s.removeUDP(port, k)
	}
}

// Ready says that a configuration is being served, with every socket bound,
// and that the server is not about to stop.
func (s *Server) Ready() bool { return s.complete.Load() && !s.stopping.Load() }

// Addr returns where the listeners on port are bound: on TCP, else on UDP.
func (s *Server) Addr(port uint16) (addr netip.AddrPort, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for b, sock := range s.sockets {
		if b.port == port && b.host != ipv6Loopback {
			return sock.addr(), true
		}
	}
	if k := s.datagrams[port]; k != nil {
		return k.addr(), true
	}
	return netip.AddrPort{}, false
}

// reconcile makes sockets and certificates what the runtime's listeners say.
// s.mu is held.
func (s *Server) reconcile() error {
	if s.closed {
		return errors.New("the server is shutting down")
	}
	if s.opts.Capture != nil {
		s.reconcileCapture()
		return nil
	}
	wanted, err := s.plan()
	unbound := append(s.reconcileUDP(), s.reconcileTCP(wanted)...)
	if len(unbound) > 0 {
		s.retryLater()
	} else {
		s.complete.Store(true)
	}
	return errors.Join(append([]error{err}, unbound...)...)
}

// reconcileTCP makes the TCP sockets what is wanted. The errors are those of
// listeners whose port could not be bound. s.mu is held.
func (s *Server) reconcileTCP(wanted map[uint16]*plan) []error {
	for b, sock := range s.sockets {
		if wanted[b.port] == nil {
			s.remove(b, sock)
		}
	}
	var unbound []error
	for port, p := range wanted {
		if err := s.serve(binding{s.opts.Bind, port}, p); err != nil {
			for _, l := range p.listeners {
				unbound = append(unbound, &ir.ResourceError{Resource: ir.RefOf(l), Err: err})
			}
		}
	}
	return unbound
}

// serve has b serve p, on the socket that is there or on a new one.
func (s *Server) serve(b binding, p *plan) error {
	if sock := s.sockets[b]; sock != nil {
		sock.follow(p)
		return nil
	}
	sock, err := s.listen(b, p)
	if err != nil {
		return err
	}
	s.sockets[b] = sock
	s.opts.Log.Info("Listening", "port", b.port, "address", sock.addr(), "protocol", p.family)
	return nil
}

// remove stops a socket and drains it in the background. s.mu is held.
func (s *Server) remove(b binding, sock *socket) {
	delete(s.sockets, b)
	s.draining.Go(sock.stop)
	s.opts.Log.Info("No longer listening", "port", b.port)
}

// retryLater reconciles again after a while: what holds a port may go. s.mu is
// held.
func (s *Server) retryLater() {
	if s.retry == nil {
		s.retry = time.AfterFunc(rebindInterval, s.reconcileAgain)
	} else {
		s.retry.Reset(rebindInterval)
	}
}

func (s *Server) reconcileAgain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		_ = s.reconcile() // it was reported when it first happened
	}
}
