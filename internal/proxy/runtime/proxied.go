package runtime

import (
	"strconv"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/clientaddr"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// proxies are those before this one that are believed what they tell of their
// clients. X-Forwarded-For is always believed, the other fields where they are
// named: many a proxy passes on what it does not set.
type proxies struct {
	networks          *clientaddr.Networks
	proto, host, port bool
}

// newProxies compiles c; nil: nobody is believed.
func newProxies(c *ir.Clients) *proxies {
	if c == nil || len(c.TrustedProxies) == 0 {
		return nil
	}
	p := &proxies{networks: clientaddr.NewNetworks(c.TrustedProxies)}
	for _, name := range c.TrustedHeaders {
		switch name {
		case "X-Forwarded-Proto":
			p.proto = true
		case "X-Forwarded-Host":
			p.host = true
		case "X-Forwarded-Port":
			p.port = true
		}
	}
	return p
}

// settleClients gives a listener of which nobody can tell who its clients are what
// it has had before, and leaves all other resources alone.
func settleClients(r, old ir.Resource) ir.Resource {
	l, ok := r.(*ir.Listener)
	if !ok || l.Clients == nil || !l.Clients.Unknown {
		return r
	}
	settled := *l
	settled.Clients = nil
	if had, ok := old.(*ir.Listener); ok {
		settled.Clients = had.Clients
	}
	return &settled
}

// recognize notes who the client of a request is that came to p, which may be nil.
// It returns the port's proxies where one of them has sent the request, else nil.
func (st *state) recognize(req *exchange.Request, p *port) *proxies {
	if p == nil || p.proxies == nil || !p.proxies.networks.Contains(req.Remote.Addr()) {
		return nil
	}
	st.Peer, st.Remote = req.Remote, clientaddr.Forwarded(&req.Header, req.Remote, p.proxies.networks)
	return p.proxies
}

// told is what a request tells of how its client sent it; empty: nothing.
type told struct{ proto, host, port string }

// told returns what is believed of h. A field that is there twice, or has no fit
// value, tells nothing.
func (p *proxies) told(h *exchange.Header) (out told) {
	if v := only(h, "X-Forwarded-Proto"); p.proto && (v == "http" || v == "https") {
		out.proto = v
	}
	if v := only(h, "X-Forwarded-Host"); p.host {
		if host, ok := exchange.ParseAuthority(v); ok {
			out.host = host
		}
	}
	if v := only(h, "X-Forwarded-Port"); p.port && len(v) <= len("65535") {
		if n, err := strconv.ParseUint(v, 10, 16); err == nil && n > 0 {
			out.port = v
		}
	}
	return out
}

// only returns the value of a field that is there once, else "".
func only(h *exchange.Header, name string) (value string) {
	found := false
	for i := range h.Len() {
		f := h.At(i)
		if len(f.Name) != len(name) || !exchange.EqualFold(f.Name, name) {
			continue
		}
		if found {
			return ""
		}
		value, found = f.Value, true
	}
	return value
}
