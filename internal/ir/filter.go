package ir

// Filter is one step between router and backend. Exactly one field is set.
type Filter struct {
	RequestHeaders  *HeaderModifier `json:"requestHeaders,omitempty"`
	ResponseHeaders *HeaderModifier `json:"responseHeaders,omitempty"`
	Redirect        *Redirect       `json:"redirect,omitempty"`
	Rewrite         *Rewrite        `json:"rewrite,omitempty"`
	Mirror          *Mirror         `json:"mirror,omitempty"`
	CORS            *CORS           `json:"cors,omitempty"`
}

// HeaderModifier changes header fields: first Remove, then Set, then Add.
type HeaderModifier struct {
	Set    []NameValue `json:"set,omitempty"`
	Add    []NameValue `json:"add,omitempty"`
	Remove []string    `json:"remove,omitempty"`
}

// NameValue is a header field.
type NameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Redirect answers with a Location. Empty parts are taken from the request;
// Port 0 follows the rules of HTTPRequestRedirectFilter: the well-known port
// of a given scheme, else the listener's.
type Redirect struct {
	Scheme   string       `json:"scheme,omitempty"`
	Hostname string       `json:"hostname,omitempty"`
	Port     uint16       `json:"port,omitempty"`
	Path     *PathRewrite `json:"path,omitempty"`
	Status   int          `json:"status"` // 301, 302, 303, 307 or 308
}

// Rewrite changes host and path of the request that the backend gets.
type Rewrite struct {
	Hostname string       `json:"hostname,omitempty"`
	Path     *PathRewrite `json:"path,omitempty"`
}

// PathRewrite replaces the whole path or the prefix that matched. Exactly one
// of the two is set.
type PathRewrite struct {
	Full   *string `json:"full,omitempty"`
	Prefix *string `json:"prefix,omitempty"`
}

// Mirror sends a copy of the request to Backend and ignores the answer. The
// share of requests mirrored is Numerator out of Denominator.
type Mirror struct {
	Backend     string `json:"backend"`
	Numerator   uint32 `json:"numerator"`
	Denominator uint32 `json:"denominator"`
}

// CORS answers preflight requests and adds the fields of the Fetch standard
// (GEP-1767).
type CORS struct {
	AllowOrigins     []string `json:"allowOrigins,omitempty"`
	AllowMethods     []string `json:"allowMethods,omitempty"`
	AllowHeaders     []string `json:"allowHeaders,omitempty"`
	ExposeHeaders    []string `json:"exposeHeaders,omitempty"`
	AllowCredentials bool     `json:"allowCredentials,omitempty"`
	MaxAgeSeconds    int32    `json:"maxAgeSeconds,omitempty"`
}
