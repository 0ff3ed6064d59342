package v1alpha1

// ProxyClients is about who the clients of a Gateway are, where load balancers
// and other proxies are before it. Without it a client is the other end of its
// connection, and believed nothing else.
//
// +kubebuilder:validation:XValidation:rule="!has(self.trustedHeaders) || has(self.trustedProxies)",message="trustedHeaders needs trustedProxies"
type ProxyClients struct {
	// ProxyProtocol has load balancers tell who a client is at the beginning of a
	// connection, on all ports but those of UDP.
	// +optional
	ProxyProtocol *ProxyProtocol `json:"proxyProtocol,omitempty"`

	// TrustedProxies are the networks of the proxies that tell in X-Forwarded-For who
	// a client is: it is the right-most address there that is in none of them. Nobody
	// else may be able to connect from them. An empty list: none, whatever the class
	// says.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	TrustedProxies []CIDR `json:"trustedProxies,omitzero"`

	// TrustedHeaders are the other fields that those proxies set, so that they are
	// passed on. The default is X-Forwarded-Proto. Do not name one that a proxy
	// passes on as its client has sent it. An empty list: none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=3
	TrustedHeaders []TrustedHeader `json:"trustedHeaders,omitzero"`
}

// ProxyProtocol says whose connections begin with a header of the PROXY protocol,
// version 1 or 2.
type ProxyProtocol struct {
	// TrustedCIDRs are the networks of the load balancers. Connections from there
	// must begin with a header; any other is closed if it does. 0.0.0.0/0 and ::/0
	// are everybody, who can then pretend to be anybody. An empty list: no
	// connections, whatever the class says.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	TrustedCIDRs []CIDR `json:"trustedCIDRs"`
}

// TrustedHeader is a field of a request by which a proxy tells how its client has
// sent it.
//
// +kubebuilder:validation:Enum=X-Forwarded-Proto;X-Forwarded-Host;X-Forwarded-Port
type TrustedHeader string

// The fields.
const (
	TrustedHeaderProto TrustedHeader = "X-Forwarded-Proto"
	TrustedHeaderHost  TrustedHeader = "X-Forwarded-Host"
	TrustedHeaderPort  TrustedHeader = "X-Forwarded-Port"
)
