package ir

import "net/netip"

// Protocol is what a listener or a backend speaks.
type Protocol string

// Protocols of listeners.
const (
	ProtocolHTTP  Protocol = "HTTP"  // HTTP/1.1 and HTTP/2 with prior knowledge, cleartext
	ProtocolHTTPS Protocol = "HTTPS" // HTTP/1.1 and HTTP/2 over TLS that ends here
	ProtocolTLS   Protocol = "TLS"   // a TLS stream, ended here or passed through
	ProtocolTCP   Protocol = "TCP"
	ProtocolUDP   Protocol = "UDP"
)

// Listener is one listener of a Gateway, or one captured Service port of a
// mesh. Several listeners may share a port: the proxy binds one socket per
// port and protocol family and chooses the listener by server name (TLS) and
// by host (HTTP), the most specific hostname first.
type Listener struct {
	Name   string `json:"name"` // <gateway namespace>/<gateway>/<listener>, mesh/<namespace>/<service>/<port>
	Source Source `json:"source"`
	// Port is where clients connect: 1 to 65535.
	Port uint16 `json:"port"`
	// Addresses are the Service addresses that a mesh listener captures. Empty
	// means every local address (a gateway).
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Protocol  Protocol     `json:"protocol"`
	// Sniff says that nobody declared what the port of a mesh listener speaks.
	// The first bytes of a connection tell: HTTP is served by the routes, and
	// anything else is passed through to where the connection was going.
	Sniff bool `json:"sniff,omitempty"`
	// Hostname is "", an exact name or "*.suffix", in lower case.
	Hostname string     `json:"hostname,omitempty"`
	TLS      *ServerTLS `json:"tls,omitempty"` // set for HTTPS and TLS
	// Clients says who clients are behind load balancers and other proxies; nil:
	// the other ends of connections. It is the same for all listeners of a port.
	Clients *Clients `json:"clients,omitempty"`
	// Policies names the policies that apply to every route of the listener.
	Policies []string `json:"policies,omitempty"`
	// Limits names the LimitPolicies of all LLM rules of the listener, besides
	// their own; Prices the PriceTable of those that have none.
	Limits []string `json:"limits,omitempty"`
	Prices string   `json:"prices,omitempty"`
}

// ResourceType implements [Resource].
func (*Listener) ResourceType() Type { return TypeListener }

// ResourceName implements [Resource].
func (l *Listener) ResourceName() string { return l.Name }

// Clients says whom to believe about the addresses of clients.
type Clients struct {
	// ProxyProtocol are the networks whose connections begin with a header of the
	// PROXY protocol, those of all others never do. Empty: none does.
	ProxyProtocol []netip.Prefix `json:"proxyProtocol,omitempty"`
	// TrustedProxies are the networks of the proxies that are believed what they
	// tell in X-Forwarded-For and in TrustedHeaders, which are any of
	// X-Forwarded-Proto, X-Forwarded-Host and X-Forwarded-Port.
	TrustedProxies []netip.Prefix `json:"trustedProxies,omitempty"`
	TrustedHeaders []string       `json:"trustedHeaders,omitempty"`
	// Unknown says that nobody can tell at the moment, and nothing else is set: a
	// proxy goes on as it did.
	Unknown bool `json:"unknown,omitempty"`
}

// ServerTLS says how a listener treats TLS.
type ServerTLS struct {
	// Passthrough leaves the TLS session to the backend; nothing else is set then.
	Passthrough bool `json:"passthrough,omitempty"`
	// Certificates names Secret resources that hold a certificate and a key. A
	// listener without any refuses its clients, and no other one takes them.
	Certificates []string `json:"certificates,omitempty"`
	// ClientValidation demands client certificates where set.
	ClientValidation *ClientValidation `json:"clientValidation,omitempty"`
}

// ClientValidation says which client certificates a listener accepts.
type ClientValidation struct {
	// CAs names Secret resources that hold the accepted certificate authorities.
	CAs []string `json:"cas"`
	// AllowInsecureFallback lets clients with no or an invalid certificate in
	// (GEP-91 AllowInsecureFallback).
	AllowInsecureFallback bool `json:"allowInsecureFallback,omitempty"`
}
