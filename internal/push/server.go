package push

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	"github.com/citoroute/citoroute/internal/ir"
)

const (
	// maxRequest limits what a proxy may send: the versions of what it has.
	maxRequest = 16 << 20
	// maxStreams limits what one connection may open; a proxy needs one.
	maxStreams = 4
	// maxStreamAge ends streams now and then, so that tokens are checked again
	// and proxies spread over all replicas. A reconnect costs a difference.
	maxStreamAge = 30 * time.Minute
	// drainTime is how long a stopping server waits for streams to end.
	drainTime = 2 * time.Second
)

// ServerOptions configure a [Server].
type ServerOptions struct {
	// TLS is the server's identity; nil serves in the clear, for tests only.
	TLS *tls.Config
	// Authorize decides whether the bearer of token may have the configuration
	// of node; nil: everyone may.
	Authorize func(ctx context.Context, token, node string) error
	// Changed is told when the State of a node is another one. It must not
	// block and is called from many goroutines.
	Changed func(node string)
	// Logger gets a line per connection and rejection; nil: none.
	Logger *slog.Logger
	// Now is time.Now where nil.
	Now func() time.Time
}

// State is what a server knows of the proxies of a node that are connected to
// it; another replica may serve others.
type State struct {
	Proxies int
	// Serving says that at least one of them acknowledged the newest listeners.
	Serving bool
	// Since is when the listeners last changed.
	Since time.Time
	// Rejected is why one of them refused what it was sent; empty: none did.
	Rejected string
}

// Server holds the configuration of every node and sends it to the proxies
// that ask. It is safe for concurrent use.
type Server struct {
	options ServerOptions

	mu    sync.Mutex
	nodes map[string]*node
	// common is what nodes that are alike are held against.
	common *table
}

// node is one configuration and the streams that follow it.
type node struct {
	// known says that Update was called: a proxy that connects before gets
	// nothing, and goes on with what it has.
	known     bool
	resources *table
	// version counts updates; listeners is the version that last changed one.
	version, listeners uint64
	listenersAt        time.Time
	streams            map[*stream]struct{}
	state              State
}

// NewServer returns a server of no nodes.
func NewServer(options ServerOptions) *Server {
	if options.Logger == nil {
		options.Logger = slog.New(slog.DiscardHandler)
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Server{options: options, nodes: map[string]*node{}, common: newTable()}
}

// Update changes the configuration of a node, which it creates where needed.
// Streams get the difference; nothing is sent that they already have.
func (s *Server) Update(name string, u ir.Update) error {
	c, err := encoder{}.change(u)
	if err != nil {
		return fmt.Errorf("node %s: %w", name, err)
	}
	s.update(name, c, nil)
	return nil
}

// UpdateAlike is Update for nodes that have most of their configuration in
// common. It takes what changed of that, and what changed of each node: what is
// common is encoded once and held once. A node is what its own updates make it.
func (s *Server) UpdateAlike(common ir.Update, nodes map[string]ir.Update) error {
	encoded := encoder{}
	shared, err := encoded.change(common)
	if err != nil {
		return fmt.Errorf("common configuration: %w", err)
	}
	s.share(shared)
	var errs []error
	for name, u := range nodes {
		c := shared
		if !equal(u, common) { // most are
			if c, err = encoded.change(u); err != nil {
				errs = append(errs, fmt.Errorf("node %s: %w", name, err))
				continue
			}
		}
		s.update(name, c, s.common)
	}
	return errors.Join(errs...)
}

// update changes a node, which is held against common from its next complete
// update on; nil: as a whole.
func (s *Server) update(name string, c change, common *table) {
	s.mu.Lock()
	n := s.node(name)
	defer s.release(name, n)
	if c.complete && n.resources.common != nil {
		n.resources = n.resources.against(nil)
	}
	n.change(c, s.options.Now())
	if c.complete && common != nil {
		n.resources = n.resources.against(common)
	}
}

// share changes what nodes are held against, but none of the nodes.
func (s *Server) share(c change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, r := range c.resources {
		if same(s.common.get(name), r) {
			continue
		}
		for _, n := range s.nodes {
			if n.resources.common != nil {
				n.resources.pin(name)
			}
		}
		s.common.set(name, r)
	}
}

// RemoveNode forgets a node. Proxies that are still connected keep what they
// have until they go.
func (s *Server) RemoveNode(name string) {
	s.mu.Lock()
	if n := s.nodes[name]; n != nil {
		if len(n.streams) == 0 {
			delete(s.nodes, name)
		} else {
			n.forget()
		}
	}
	s.mu.Unlock()
}

// State returns what is known of a node's proxies.
func (s *Server) State(name string) State {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.nodes[name]; n != nil {
		return n.state
	}
	return State{}
}

// Streams returns how many proxies are connected.
func (s *Server) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for _, n := range s.nodes {
		total += len(n.streams)
	}
	return total
}

// Lag returns for how long the proxy that has waited longest has not answered
// what it was sent, whether it took or refused it; 0: all have.
func (s *Server) Lag() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, lag := s.options.Now(), time.Duration(0)
	for _, n := range s.nodes {
		for st := range n.streams {
			if st.inFlight {
				lag = max(lag, now.Sub(st.sentAt))
			}
		}
	}
	return lag
}

// Serve answers connections of l until ctx is done. It closes l.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	g := s.transport()
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, service{server: s, stopping: ctx.Done()})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		<-ctx.Done()
		drain(g)
	}()
	err := g.Serve(l)
	if ctx.Err() == nil {
		return fmt.Errorf("serve configuration: %w", err)
	}
	<-stopped
	return nil
}

// transport returns a gRPC server that offers nothing yet.
func (s *Server) transport() *grpc.Server {
	creds := insecure.NewCredentials()
	if s.options.TLS != nil {
		creds = credentials.NewTLS(s.options.TLS)
	}
	return grpc.NewServer(
		grpc.Creds(creds),
		grpc.MaxRecvMsgSize(maxRequest),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			Time: 20 * time.Second, Timeout: 10 * time.Second,
			MaxConnectionAge: maxStreamAge, MaxConnectionAgeGrace: 10 * time.Second,
		}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)
}

// drain lets streams end by themselves for drainTime.
func drain(g *grpc.Server) {
	cut := time.AfterFunc(drainTime, g.Stop)
	defer cut.Stop()
	g.GracefulStop()
}

// node returns the named node, which it creates where needed.
func (s *Server) node(name string) *node {
	n := s.nodes[name]
	if n == nil {
		n = &node{resources: newTable(), streams: map[*stream]struct{}{}}
		s.nodes[name] = n
	}
	return n
}

// release ends a change of n: it unlocks s, and tells when the node's state is
// another one for it.
func (s *Server) release(name string, n *node) {
	changed := n.refresh()
	s.mu.Unlock()
	if changed && s.options.Changed != nil {
		s.options.Changed(name)
	}
}

// change takes an update in and has every stream look at what it touched.
func (n *node) change(c change, now time.Time) {
	n.known = true
	n.version++
	if n.listeners == 0 {
		n.listeners, n.listenersAt = n.version, now
	}
	for name, r := range c.resources {
		n.put(name, r, now)
	}
	if c.complete {
		n.keep(c.resources, now)
	}
	for st := range n.streams {
		st.notify()
	}
}

// put replaces a resource; nil removes it.
func (n *node) put(name string, r *discoveryv3.Resource, now time.Time) {
	before := n.resources.get(name)
	n.resources.set(name, r)
	if !same(before, r) {
		n.touch(name, before.GetVersion(), now)
	}
}

// keep removes all but the given resources.
func (n *node) keep(these map[string]*discoveryv3.Resource, now time.Time) {
	for name := range n.resources.all() {
		if these[name] == nil {
			n.put(name, nil, now)
		}
	}
}

// forget leaves the node with nothing, and its proxies with what they have.
func (n *node) forget() {
	n.known = false
	for name, r := range n.resources.all() {
		for st := range n.streams {
			st.touch(name, r.GetVersion())
		}
	}
	n.resources = newTable()
}

// touch tells every stream that a resource changed, and its version before.
func (n *node) touch(name, before string, now time.Time) {
	if rank(name) == listenerRank() {
		n.listeners, n.listenersAt = n.version, now
	}
	for st := range n.streams {
		st.touch(name, before)
	}
}

// refresh computes the node's state again and says whether it is another one.
func (n *node) refresh() bool {
	next := State{Proxies: len(n.streams), Since: n.listenersAt}
	for st := range n.streams {
		next.Serving = next.Serving || (n.known && st.acked && st.ackedVersion >= n.listeners)
		if next.Rejected == "" {
			next.Rejected = st.rejected
		}
	}
	changed := next != n.state
	n.state = next
	return changed
}
