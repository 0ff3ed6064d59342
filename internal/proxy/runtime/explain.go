package runtime

// Question is a request to explain.
type Question struct {
	Port uint16
	// TLS says that the request comes over TLS with ServerName as SNI.
	TLS        bool
	ServerName string
	Method     string // empty: GET
	Host       string
	// Target is path and query.
	Target string
	// Header holds name and value of each field.
	Header [][2]string
}

// Explanation is the way that a request takes, and why.
type Explanation struct {
	Listener string `json:"listener,omitempty"`
	Route    string `json:"route,omitempty"` // Kind/namespace/name
	Rule     string `json:"rule,omitempty"`  // name or index
	Hostname string `json:"hostname,omitempty"`
	// Match describes the alternative of the rule that fits.
	Match string `json:"match,omitempty"`
	// Filters describes what is done, in order.
	Filters []string `json:"filters,omitempty"`
	// Backends are the choices with their shares.
	Backends []BackendShare `json:"backends,omitempty"`
	// Status is the status that the proxy answers with by itself; 0 where a
	// backend answers.
	Status int `json:"status,omitempty"`
	// Why are the decisions in order, one sentence each; alternatives that
	// were passed over are named with the reason.
	Why []string `json:"why"`
}

// BackendShare is one choice among the backends of a rule.
type BackendShare struct {
	Backend string `json:"backend"`
	// Share is 0 to 1.
	Share     float64  `json:"share"`
	Endpoints []string `json:"endpoints,omitempty"`
	// Status is not 0 where the share is answered by the proxy.
	Status int `json:"status,omitempty"`
}

// Explain says which way a request would take through the current snapshot. It
// counts nothing and sends nothing.
func (rt *Runtime) Explain(q Question) Explanation {
	return Explanation{}
}
