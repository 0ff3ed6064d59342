package server

import (
	"errors"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/clientaddr"
)

// family is what the clients of a port begin with.
type family string

const (
	familyHTTP family = "HTTP"
	familyTLS  family = "TLS"
	familyTCP  family = "TCP"
	// familyCaptured is of redirected connections, which are of all kinds.
	familyCaptured family = "captured"
)

// familyOf returns the family of a listener's protocol; UDP has none, for it
// has no connections.
func familyOf(p ir.Protocol) (f family, ok bool) {
	switch p {
	case ir.ProtocolHTTP:
		return familyHTTP, true
	case ir.ProtocolHTTPS, ir.ProtocolTLS:
		return familyTLS, true
	case ir.ProtocolTCP:
		return familyTCP, true
	default:
		return "", false
	}
}

// plan is what one port serves. It is immutable.
type plan struct {
	family    family
	listeners []*ir.Listener // by name
	names     *serverNames   // for familyTLS
	// balancers are whose connections begin with a header of the PROXY protocol;
	// nil: nobody's.
	balancers *clientaddr.Networks
}

// plan arranges the runtime's listeners by port. The error names listeners
// whose certificates cannot be used: the plan refuses their clients.
func (s *Server) plan() (map[uint16]*plan, error) {
	plans := plansOf(s.opts.Runtime.Listeners())
	var errs []error
	next := make(identities)
	for _, p := range plans {
		if p.family == familyTLS {
			var err error
			p.names, err = newServerNames(p.listeners, s.opts.Runtime.Secret, s.identity, next)
			errs = append(errs, err)
		}
	}
	s.identity = next
	return plans, errors.Join(errs...)
}

func plansOf(listeners []*ir.Listener) map[uint16]*plan {
	plans := make(map[uint16]*plan)
	for _, l := range listeners {
		f, ok := familyOf(l.Protocol)
		if !ok {
			continue
		}
		p := plans[l.Port]
		if p == nil {
			p = &plan{family: f}
			if c := l.Clients; c != nil && len(c.ProxyProtocol) > 0 {
				p.balancers = clientaddr.NewNetworks(c.ProxyProtocol)
			}
			plans[l.Port] = p
		}
		if p.family == f { // the controller lets no two families on one port
			p.listeners = append(p.listeners, l)
		}
	}
	return plans
}
