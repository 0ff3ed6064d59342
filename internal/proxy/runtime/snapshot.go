package runtime

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/auth"
	"github.com/citoroute/citoroute/internal/proxy/router"
)

// snapshot is what requests see: immutable, replaced as a whole.
type snapshot struct {
	ports     map[uint16]*port
	listeners map[string]*listener
	captured  map[netip.AddrPort]*listener // those of a mesh, by destination
	keys      *auth.Keys                   // of all consumers
	limits    *limits
}

// port is the listeners that share one port.
type port struct {
	hosts   router.Hosts[*listener]
	proxies *proxies // nil: nobody is believed what he tells of his clients
}

// listener is a listener with its routes.
type listener struct {
	ir    *ir.Listener
	table *router.Table[*rule]
	gate  *gate
}

// find returns the listener of a host or server name, or nil.
func (p *port) find(host string) *listener {
	var found *listener
	p.hosts.Find(host, func(l *listener) bool {
		found = l
		return true
	})
	return found
}

// tables are the routes by the name of their listener, which need not exist.
type tables map[string]*router.Table[*rule]

// next returns the snapshot after a change: listeners are those that are new
// or, where nil, gone; the routes of those in routed have changed. It copies
// what these touch and shares the rest.
func (s *snapshot) next(listeners map[string]*listener, routed []string, t tables) *snapshot {
	out := &snapshot{ports: maps.Clone(s.ports), listeners: maps.Clone(s.listeners), captured: s.captured}
	rebuild := make(map[uint16]bool)
	mesh := false
	for name, l := range listeners {
		if old := s.listeners[name]; old != nil {
			rebuild[old.ir.Port] = true
			mesh = mesh || old.captures()
		}
		if l == nil {
			delete(out.listeners, name)
			continue
		}
		rebuild[l.ir.Port] = true
		mesh = mesh || l.captures()
		out.listeners[name] = l.with(t)
	}
	for _, name := range routed {
		old := out.listeners[name]
		if _, done := listeners[name]; old == nil || done {
			continue
		}
		l := old.with(t)
		out.listeners[name] = l
		mesh = mesh || l.captures()
		if !rebuild[l.ir.Port] {
			out.replace(old, l)
		}
	}
	if mesh {
		out.capture()
	}
	for number := range rebuild {
		out.rebuild(number)
	}
	return out
}

// with returns the listener with its routes in t.
func (l *listener) with(t tables) *listener {
	out := *l
	if out.table = t[l.ir.Name]; out.table == nil {
		out.table = &router.Table[*rule]{}
	}
	return &out
}

// replace puts a listener in the place that it has on its port.
func (s *snapshot) replace(old, l *listener) {
	p := s.ports[l.ir.Port]
	if p == nil {
		return
	}
	edit := p.hosts.Edit()
	if at, ok := edit.Get(l.ir.Hostname); ok && at == old {
		edit.Set(l.ir.Hostname, l)
		s.ports[l.ir.Port] = &port{hosts: edit.Done(), proxies: p.proxies}
	}
}

// rebuild arranges the listeners of a port anew. Of two with the same
// hostname, which translation does not let through, the first by name counts.
func (s *snapshot) rebuild(number uint16) {
	var here []*listener
	for _, l := range s.listeners {
		if l.ir.Port == number && speaksHosts(l.ir) {
			here = append(here, l)
		}
	}
	delete(s.ports, number)
	if len(here) == 0 {
		return
	}
	slices.SortFunc(here, func(a, b *listener) int { return strings.Compare(a.ir.Name, b.ir.Name) })
	edit := (&router.Hosts[*listener]{}).Edit()
	for _, l := range here {
		if _, taken := edit.Get(l.ir.Hostname); !taken {
			edit.Set(l.ir.Hostname, l)
		}
	}
	s.ports[number] = &port{hosts: edit.Done(), proxies: newProxies(here[0].ir.Clients)}
}

// speaksHosts says that the listener is chosen by host. TLS listeners are among
// them so that a request for one of their hosts is seen to be misdirected.
// Listeners of a mesh are chosen by address.
func speaksHosts(l *ir.Listener) bool {
	hosts := l.Protocol == ir.ProtocolHTTP || l.Protocol == ir.ProtocolHTTPS || l.Protocol == ir.ProtocolTLS
	return hosts && len(l.Addresses) == 0
}
