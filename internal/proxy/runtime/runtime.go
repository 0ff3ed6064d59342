package runtime

import (
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// Options are the surroundings of a Runtime.
type Options struct {
	// HTTP1 speaks to backends of protocol HTTP, HTTP2 to those of H2C.
	HTTP1, HTTP2 exchange.Transport
	// Observer is told of every exchange; nil: nobody is.
	Observer Observer
	// Applied is called after each successful Apply, on its goroutine, when
	// the new snapshot already serves; nil: nobody is told.
	Applied func()
	// Now is time.Now where nil; Rand is math/rand/v2.Uint64 where nil.
	Now  func() time.Time
	Rand func() uint64
}

// Runtime is the live configuration. Its methods are safe for concurrent use.
type Runtime struct{}

// New returns a Runtime with no configuration: every request gets 404.
func New(o Options) *Runtime { return &Runtime{} }

// Apply makes u live: wholly, or not at all. The error names the resource that
// is at fault; what served before keeps serving then.
func (r *Runtime) Apply(u ir.Update) error { return nil }

// Listeners returns the listeners to bind, sorted by name.
func (r *Runtime) Listeners() []*ir.Listener { return nil }

// Secret returns the Secret of that name, or nil.
func (r *Runtime) Secret(name string) *ir.Secret { return nil }

// Resources returns every resource, in the order of ir.Types and then by name.
// Secrets are included: print them through encoding/json, never ir.Encode.
func (r *Runtime) Resources() []ir.Resource { return nil }

// Handler answers the requests of one port. serverName is the SNI of the TLS
// connection; "" on a cleartext port, and on a TLS connection without SNI. The
// handler follows later snapshots by itself: keep it as long as the socket or
// connection.
func (r *Runtime) Handler(port uint16, serverName string) exchange.Handler { return nil }

// Stream chooses where a connection of a TCP, TLS or UDP listener goes.
// serverName is the SNI of a TLS listener, else "". The error says why there
// is none: close the connection then.
func (r *Runtime) Stream(listener, serverName string) (*Stream, error) { return nil, nil }

// Stream is the way of one L4 connection.
type Stream struct {
	Route    *ir.Route
	Backend  string
	Protocol ir.Protocol
	// Target is where to connect; with TLS where the backend wants TLS.
	Target exchange.Target
	lease  upstream.Lease
}

// Done gives the endpoint back; failed says that connecting to it failed, so
// that others are preferred for a while. It is called exactly once.
func (s *Stream) Done(failed bool) {}
