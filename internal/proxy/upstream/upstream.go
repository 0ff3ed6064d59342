package upstream

import (
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/awsauth"
	"github.com/citoroute/citoroute/internal/proxy/balance"
)

// Reasons why a cluster has no endpoint to offer.
var (
	// ErrUnknown: no such backend, or one that can not be used as configured.
	ErrUnknown = errors.New("backend is not known or not usable")
	// ErrEmpty: the backend has no ready endpoint.
	ErrEmpty = errors.New("backend has no ready endpoint")
)

// defaultConnectTimeout is for backends that set none.
const defaultConnectTimeout = 5 * time.Second

// Config is how to speak to a backend.
type Config struct {
	Backend *ir.Backend
	// TLS is nil for cleartext. It is the same pointer as long as nothing it
	// is made from changes, because connections are pooled by it.
	TLS *tls.Config
	// HTTP2 says that the backend speaks HTTP/2, or perhaps does: with TLS, ALPN
	// chooses.
	HTTP2          bool
	ConnectTimeout time.Duration
	// Credentials are those for an LLM provider; nil where it has none.
	Credentials *ir.Secret
	// APIKey is the value "apiKey" of Credentials; empty where that is not usable.
	APIKey string
	// Identity is the AWS identity with which an LLM provider is asked; nil:
	// Credentials are enough.
	Identity *awsauth.Source
	// Err says why the backend can not be used; nil where it can.
	Err error

	secrets []*ir.Secret // what TLS was made from
	drop    func()       // gives Identity up; nil where there is none
}

// release gives up what a configuration that is replaced has kept fresh.
func (c *Config) release() {
	if c != nil && c.drop != nil {
		c.drop()
	}
}

// Cluster is the live state of one backend.
type Cluster struct {
	name      string
	config    atomic.Pointer[Config] // nil: no such backend
	endpoints atomic.Pointer[balance.Set]
	ahead     atomic.Int64 // the backend's clock, in nanoseconds
	standings atomic.Pointer[standings]
}

// Name returns the name of the backend.
func (c *Cluster) Name() string { return c.name }

// Config returns the current configuration, or nil where there is no such
// backend.
func (c *Cluster) Config() *Config { return c.config.Load() }

// Endpoints returns the current endpoints.
func (c *Cluster) Endpoints() *balance.Set { return c.endpoints.Load() }

// ClockAhead is by how much the backend's clock was found to be ahead of ours.
func (c *Cluster) ClockAhead() time.Duration { return time.Duration(c.ahead.Load()) }

// AdjustClock says that the backend's clock is ahead by more than the ClockAhead
// that was used. Of several requests that find that out together one counts.
func (c *Cluster) AdjustClock(used, more time.Duration) {
	c.ahead.CompareAndSwap(int64(used), int64(used+more))
}

// Pick chooses an endpoint that is in none of tried, as long as there is one.
// The lease must be ended by Done.
func (c *Cluster) Pick(random uint64, now time.Time, tried []*balance.Endpoint) (Lease, error) {
	config := c.config.Load()
	if config == nil || config.Err != nil {
		return Lease{}, ErrUnknown
	}
	set := c.endpoints.Load()
	e := set.Pick(random, now, tried)
	if e == nil {
		return Lease{}, ErrEmpty
	}
	e.Acquire()
	return Lease{Endpoint: e, Config: config, set: set}, nil
}

// Lease is the use of one endpoint by one attempt. The zero value is no lease.
type Lease struct {
	Endpoint *balance.Endpoint
	Config   *Config
	set      *balance.Set
}

// Done ends the use, where there is one.
func (l *Lease) Done() {
	if l.Endpoint != nil {
		l.Endpoint.Release()
		*l = Lease{}
	}
}

// Reached says that the endpoint could be connected to.
func (l *Lease) Reached() { l.Endpoint.Succeeded() }

// Unreachable says that it could not: others are preferred for a while.
func (l *Lease) Unreachable(now time.Time) { l.set.Failed(l.Endpoint, now) }

func addresses(e *ir.Endpoints) []string {
	if e == nil {
		return nil
	}
	out := make([]string, 0, len(e.Addresses))
	for _, a := range e.Addresses {
		out = append(out, net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port))))
	}
	return out
}
