package upstream

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/awsauth"
	"github.com/citoroute/citoroute/internal/proxy/balance"
)

// Registry keeps every cluster by the name of its backend. It belongs to one
// goroutine at a time; the clusters themselves are safe for concurrent use.
type Registry struct {
	clusters map[string]*Cluster
	// using names the clusters by the Endpoints resource that they use.
	using map[string]map[*Cluster]bool
	refs  map[*Cluster]int
	aws   *awsauth.Store
}

// NewRegistry returns an empty Registry. The identities of backends that are
// asked with one are kept in aws.
func NewRegistry(aws *awsauth.Store) *Registry {
	return &Registry{
		clusters: make(map[string]*Cluster),
		using:    make(map[string]map[*Cluster]bool),
		refs:     make(map[*Cluster]int),
		aws:      aws,
	}
}

// Get returns the cluster of a backend, which need not be known yet.
func (r *Registry) Get(backend string) *Cluster {
	c := r.clusters[backend]
	if c == nil {
		c = &Cluster{name: backend}
		r.clusters[backend] = c
	}
	return c
}

// Retain says that a rule points at c.
func (r *Registry) Retain(c *Cluster) { r.refs[c]++ }

// Release ends what Retain began.
func (r *Registry) Release(c *Cluster) {
	r.refs[c]--
	if r.refs[c] <= 0 {
		delete(r.refs, c)
		r.drop(c)
	}
}

// drop forgets a cluster that is neither configured nor pointed at.
func (r *Registry) drop(c *Cluster) {
	if r.refs[c] == 0 && c.config.Load() == nil {
		delete(r.clusters, c.name)
	}
}

// Sweep forgets the clusters that were made by Get and came to nothing.
func (r *Registry) Sweep(c []*Cluster) {
	for _, c := range c {
		r.drop(c)
	}
}

// Set makes b live with the endpoints e, which may be nil.
func (r *Registry) Set(b *ir.Backend, e *ir.Endpoints, find SecretSource) {
	c := r.Get(b.Name)
	old := c.config.Load()
	if old != nil && old.Backend.Endpoints != b.Endpoints {
		r.unuse(old.Backend.Endpoints, c)
	}
	if r.using[b.Endpoints] == nil {
		r.using[b.Endpoints] = make(map[*Cluster]bool)
	}
	r.using[b.Endpoints][c] = true
	// Endpoints first: whoever sees the new configuration sees its endpoints.
	if old == nil || old.Backend.Endpoints != b.Endpoints {
		c.endpoints.Store(balance.NewSet(addresses(e), c.endpoints.Load()))
	}
	c.config.Store(r.newConfig(b, old, find))
	old.release()
	c.forgive()
}

// Delete makes the backend unknown. Rules that still point at it answer 500.
// Where there are none the cluster is only forgotten: requests that began
// before may still be on their way to it.
func (r *Registry) Delete(backend string) {
	c := r.clusters[backend]
	if c == nil {
		return
	}
	if old := c.config.Load(); old != nil {
		r.unuse(old.Backend.Endpoints, c)
		old.release()
	}
	if r.refs[c] == 0 {
		delete(r.clusters, backend)
		return
	}
	c.config.Store(nil)
	c.endpoints.Store(nil)
}

// SetEndpoints makes the addresses of a resource live in every cluster that
// uses it; e is nil where the resource is gone.
func (r *Registry) SetEndpoints(name string, e *ir.Endpoints) {
	addrs := addresses(e)
	for c := range r.using[name] {
		c.endpoints.Store(balance.NewSet(addrs, c.endpoints.Load()))
	}
}

// Refresh compiles anew what depends on the Secret resource of that name.
func (r *Registry) Refresh(secret string, find SecretSource) {
	for _, c := range r.clusters {
		config := c.config.Load()
		if config != nil && dependsOn(config.Backend, secret) {
			c.config.Store(r.newConfig(config.Backend, config, find))
			config.release()
			c.forgive()
		}
	}
}

func (r *Registry) unuse(endpoints string, c *Cluster) {
	delete(r.using[endpoints], c)
	if len(r.using[endpoints]) == 0 {
		delete(r.using, endpoints)
	}
}

func dependsOn(b *ir.Backend, secret string) bool {
	return b.TLS != nil && (b.TLS.Certificate == secret || slices.Contains(b.TLS.CAs, secret)) ||
		b.LLM != nil && b.LLM.Credentials == secret
}

// newConfig compiles b and keeps the TLS configuration of old where nothing
// changed that it is made from.
func (r *Registry) newConfig(b *ir.Backend, old *Config, find SecretSource) *Config {
	onlyHTTP2 := b.Protocol == ir.ProtocolH2C
	c := &Config{Backend: b, HTTP2: onlyHTTP2 || b.TLS != nil, ConnectTimeout: b.ConnectTimeout}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	if b.TLS != nil {
		c.TLS, c.secrets, c.Err = newTLS(b.TLS, onlyHTTP2, find)
		if old != nil && old.Err == nil && c.Err == nil && old.Backend.Protocol == b.Protocol &&
			reflect.DeepEqual(old.Backend.TLS, b.TLS) && slices.Equal(old.secrets, c.secrets) {
			c.TLS = old.TLS
		}
	}
	if b.LLM != nil {
		r.credentials(c, b.LLM, find)
	}
	return c
}

// credentials resolves with what a provider is asked.
func (r *Registry) credentials(c *Config, p *ir.LLMProvider, find SecretSource) {
	if p.Credentials != "" {
		c.Credentials = find(p.Credentials)
	}
	if p.Credentials != "" && c.Credentials == nil && c.Err == nil {
		c.Err = fmt.Errorf("%s is not known", p.Credentials)
	}
	c.APIKey = APIKey(c.Credentials)
	if id, ok := identityOf(p, c.Credentials); ok && c.Err == nil {
		c.Identity, c.drop = r.aws.Use(c.Backend.Name, id)
	}
}

// Paused returns, by the names of the LLM backends, how many models each is not
// asked for at the time now.
func (r *Registry) Paused(now time.Time) map[string]int {
	out := make(map[string]int)
	for name, c := range r.clusters {
		if config := c.config.Load(); config != nil && config.Backend.LLM != nil {
			out[name] = c.paused(now)
		}
	}
	return out
}

// Len returns the number of clusters.
func (r *Registry) Len() int { return len(r.clusters) }
