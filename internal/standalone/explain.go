package standalone

import (
	"fmt"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
	"github.com/citoroute/citoroute/internal/translate"
)

// Way is where a request goes, at one Gateway.
type Way struct {
	Gateway translate.Key
	runtime.Explanation
	// Expiring are the certificates on the way that have expired or are about to.
	Expiring []Expiring `json:"expiring,omitempty"`
}

// Explain says where a request goes at each Gateway, or at the one called name
// ("namespace/name" or "name"), and why. Port 0 stands for every port that a
// listener has.
func (s *Standalone) Explain(name string, q runtime.Question) []Way {
	var out []Way
	for _, key := range s.gateways() {
		if name != "" && name != key.Name && name != key.Namespace+"/"+key.Name {
			continue
		}
		if g := s.fleet.of(key); g != nil {
			out = append(out, g.explain(key, q)...)
		}
	}
	return out
}

// HTTPPorts returns where Explain has an answer for: "namespace/name:port" for
// every port at which a Gateway speaks HTTP.
func (s *Standalone) HTTPPorts() []string {
	var out []string
	for _, key := range s.gateways() {
		if g := s.fleet.of(key); g != nil {
			for _, l := range ports(g.runtime.Listeners()) {
				out = append(out, fmt.Sprintf("%s/%s:%d", key.Namespace, key.Name, l.Port))
			}
		}
	}
	return out
}

// explain asks every port that q stands for.
func (g *gateway) explain(key translate.Key, q runtime.Question) []Way {
	var out []Way
	for _, l := range ports(g.runtime.Listeners()) {
		if q.Port == 0 || q.Port == l.Port {
			out = append(out, Way{Gateway: key, Explanation: g.runtime.Explain(askedAt(l, q))})
		}
	}
	return out
}

// askedAt returns q as it arrives at a listener.
func askedAt(l *ir.Listener, q runtime.Question) runtime.Question {
	q.Port = l.Port
	q.TLS = l.TLS != nil
	if q.TLS && q.ServerName == "" {
		q.ServerName = q.Host
	}
	return q
}

// ports returns one HTTP listener for each port.
func ports(listeners []*ir.Listener) []*ir.Listener {
	var out []*ir.Listener
	seen := map[uint16]bool{}
	for _, l := range listeners {
		http := l.Protocol == ir.ProtocolHTTP || l.Protocol == ir.ProtocolHTTPS
		if http && !seen[l.Port] {
			seen[l.Port] = true
			out = append(out, l)
		}
	}
	return out
}
