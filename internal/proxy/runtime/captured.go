package runtime

import (
	"errors"
	"net/netip"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/router"
)

// originTimeout limits connecting to where a request was going.
const originTimeout = 10 * time.Second

// captures says that the listener belongs to a mesh.
func (l *listener) captures() bool { return len(l.ir.Addresses) > 0 }

// capture arranges the listeners of a mesh anew. Of two with the same
// destination, which translation does not let through, the first by name counts.
func (s *snapshot) capture() {
	s.captured = make(map[netip.AddrPort]*listener, len(s.captured))
	for _, l := range s.listeners {
		for _, a := range l.ir.Addresses {
			to := netip.AddrPortFrom(a.Unmap(), l.ir.Port)
			if other := s.captured[to]; other == nil || l.ir.Name < other.ir.Name {
				s.captured[to] = l
			}
		}
	}
}

// at returns the HTTP listener of a destination, or nil where there is none with
// a route: then nobody has asked for anything else than what would happen anyway.
// A later controller may know other protocols than this proxy.
func (s *snapshot) at(to netip.AddrPort) *listener {
	l := s.captured[to]
	if l == nil || l.table.Empty() || l.ir.Protocol != ir.ProtocolHTTP {
		return nil
	}
	return l
}

// Captured returns the HTTP listener of a mesh that takes connections to an address
// and port, or nil where they are to be passed through.
func (rt *Runtime) Captured(to netip.AddrPort) *ir.Listener {
	if l := rt.snap.Load().at(to); l != nil {
		return l.ir
	}
	return nil
}

// captured answers the requests of a connection that was going to one address
// and port, whatever their host.
type captured struct {
	handler
	to netip.AddrPort
}

// CapturedHandler answers the requests of a redirected connection that was
// going to an address and port. It follows later snapshots by itself; where
// none of them has a listener any more, requests go where the connection was
// going.
func (rt *Runtime) CapturedHandler(to netip.AddrPort) exchange.Handler {
	return &captured{handler: handler{rt: rt}, to: to}
}

// Serve implements exchange.Handler.
func (h *captured) Serve(ex *exchange.Exchange) {
	st := h.rt.begin(ex)
	if err := h.serve(st, ex); err != nil {
		st.fail(ex, err)
	}
	st.respond(ex)
}

func (h *captured) serve(st *state, ex *exchange.Exchange) error {
	now := h.rt.snap.Load()
	if st.listener = now.at(h.to); st.listener == nil {
		return st.passOn(ex, h.to)
	}
	st.Listener = st.listener.ir
	var err error
	if ex.Request.Path, err = router.CleanPath(ex.Request.Path); err != nil {
		return h.rt.refuse.badPath
	}
	return st.route(ex, now)
}

// passOn sends a request where its connection was going, as it is and in the
// version of the protocol that it came in.
func (st *state) passOn(ex *exchange.Exchange, to netip.AddrPort) error {
	transport := st.rt.opts.HTTP1
	if ex.Request.Proto == exchange.HTTP2 {
		transport = st.rt.opts.HTTP2
	}
	st.Endpoint = to.String()
	st.to = exchange.Target{Addr: st.Endpoint, ConnectTimeout: originTimeout}
	for {
		st.Attempts++
		err := transport.RoundTrip(ex, &st.to)
		failed, ok := errors.AsType[*exchange.Failure](err)
		if !ok || failed.Stage != exchange.StageConnect || st.Attempts == connectTries {
			return err
		}
	}
}
