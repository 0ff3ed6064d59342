package runtime

import (
	"errors"
	"fmt"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// Stream is the way of one L4 connection.
type Stream struct {
	Route    *ir.Route
	Backend  string
	Protocol ir.Protocol
	// Target is where to connect; with TLS where the backend wants TLS.
	Target exchange.Target

	rt    *Runtime
	lease upstream.Lease
}

// Done gives the endpoint back; failed says that connecting to it failed, so
// that others are preferred for a while. It is called exactly once.
func (s *Stream) Done(failed bool) {
	if failed {
		s.lease.Unreachable(s.rt.opts.Now())
	} else {
		s.lease.Reached()
	}
	s.lease.Done()
}

// Stream chooses where a connection of a TCP, TLS or UDP listener goes: the
// oldest route that the server name fits, then a backend by weight.
// serverName is the SNI of a TLS listener, else "". The error says why there
// is none: close the connection then.
func (rt *Runtime) Stream(listener, serverName string) (*Stream, error) {
	l := rt.snap.Load().listeners[listener]
	if l == nil {
		return nil, rt.refuse.noListener
	}
	leaf := l.table.Match(&exchange.Request{Authority: serverName, Path: "/"})
	if leaf == nil {
		return nil, rt.refuse.noRoute
	}
	r := leaf.Value
	if r.err != nil {
		return nil, r.err
	}
	if r.gate != nil || l.gate != nil {
		return nil, rt.refuse.unauthorized
	}
	i := r.weights.Pick()
	if i < 0 {
		return nil, rt.refuse.noAction
	}
	t := &r.targets[i]
	if t.status != nil {
		return nil, t.status
	}
	now := rt.opts.Now()
	lease, err := t.cluster.Pick(rt.opts.Rand(), now, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.cluster.Name(), err)
	}
	if lease.Config.Backend == nil {
		lease.Done()
		return nil, errors.New("backend has no configuration")
	}
	return &Stream{
		Route:    leaf.Route,
		Backend:  t.cluster.Name(),
		Protocol: lease.Config.Backend.Protocol,
		Target: exchange.Target{
			Addr: lease.Endpoint.Addr, TLS: lease.Config.TLS, ConnectTimeout: lease.Config.ConnectTimeout,
		},
		rt:    rt,
		lease: lease,
	}, nil
}
