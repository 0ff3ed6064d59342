// Package cors is the filter that answers preflight requests and marks
// responses by the CORS protocol of the Fetch standard (GEP-1767).
//
// The filter is the authority on the Access-Control-* fields of its rule: what
// the backend says of them is dropped.
package cors

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Filter is a compiled CORS policy. It is immutable.
type Filter struct {
	origins        []origin
	anyOrigin      bool
	methods        string // "" none, "*" any
	headers        string
	expose, maxAge string
	credentials    bool
}

// origin is an exact origin, or what stands before and after a "*".
type origin struct {
	before, after string
	wildcard      bool
}

// New compiles cfg. MaxAgeSeconds 0 means 5, the default of Gateway API.
func New(cfg ir.CORS) (*Filter, error) {
	f := &Filter{credentials: cfg.AllowCredentials, maxAge: "5"}
	if cfg.MaxAgeSeconds > 0 {
		f.maxAge = strconv.Itoa(int(cfg.MaxAgeSeconds))
	}
	for _, o := range cfg.AllowOrigins {
		if !httpguts.ValidHeaderFieldValue(o) || strings.Count(o, "*") > 1 {
			return nil, fmt.Errorf("origin %q is not valid", o)
		}
		before, after, wildcard := strings.Cut(o, "*")
		f.origins = append(f.origins, origin{before, after, wildcard})
		f.anyOrigin = f.anyOrigin || o == "*"
	}
	for _, list := range [][]string{cfg.AllowMethods, cfg.AllowHeaders, cfg.ExposeHeaders} {
		for _, name := range list {
			if !httpguts.ValidHeaderFieldName(name) {
				return nil, fmt.Errorf("%q is no name of a method or header", name)
			}
		}
	}
	f.methods = list(cfg.AllowMethods)
	f.headers = list(cfg.AllowHeaders)
	f.expose = list(cfg.ExposeHeaders)
	if f.expose == "*" && f.credentials {
		f.expose = "" // with credentials * is a name, not a wildcard
	}
	return f, nil
}

func list(names []string) string {
	if slices.Contains(names, "*") {
		return "*"
	}
	return strings.Join(names, ", ")
}

// Preflight answers a preflight request and says whether req was one. An
// origin that is not allowed gets the same answer without the fields, which
// is a refusal to browsers.
func (f *Filter) Preflight(req *exchange.Request, resp *exchange.Response) bool {
	if req.Method != "OPTIONS" {
		return false
	}
	from, ok := req.Header.Get("Origin")
	method, asks := req.Header.Get("Access-Control-Request-Method")
	if !ok || !asks {
		return false
	}
	resp.Status = 204
	h := &resp.Header
	if !f.Mark(from, h) {
		return true
	}
	if f.methods == "*" {
		h.Set("Access-Control-Allow-Methods", method)
	} else if f.methods != "" {
		h.Set("Access-Control-Allow-Methods", f.methods)
	}
	if asked, ok := req.Header.Get("Access-Control-Request-Headers"); ok && f.headers == "*" {
		h.Set("Access-Control-Allow-Headers", asked)
	} else if f.headers != "" && f.headers != "*" {
		h.Set("Access-Control-Allow-Headers", f.headers)
	}
	h.Set("Access-Control-Max-Age", f.maxAge)
	return true
}

// Mark puts into h what a response to that origin carries, and says whether
// the origin is allowed. from is "" where the request had no Origin.
func (f *Filter) Mark(from string, h *exchange.Header) bool {
	h.Filter(func(field exchange.Field) bool { return !isAccessControl(field.Name) })
	constant := f.anyOrigin && !f.credentials
	if !constant {
		h.Add("Vary", "Origin")
	}
	if from == "" || !f.allows(from) {
		return false
	}
	if constant {
		from = "*"
	}
	h.Set("Access-Control-Allow-Origin", from)
	if f.credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	if f.expose != "" {
		h.Set("Access-Control-Expose-Headers", f.expose)
	}
	return true
}

func (f *Filter) allows(from string) bool {
	for _, o := range f.origins {
		if o.fits(from) {
			return true
		}
	}
	return false
}

func (o origin) fits(from string) bool {
	if !o.wildcard {
		return from == o.before
	}
	if o.before == "" && o.after == "" {
		return true
	}
	rest, ok := strings.CutPrefix(from, o.before)
	if !ok {
		return false
	}
	rest, ok = strings.CutSuffix(rest, o.after)
	return ok && rest != "" && onlyLabels(rest)
}

// onlyLabels keeps a wildcard from reaching over into scheme, port or user.
func onlyLabels(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_':
		default:
			return false
		}
	}
	return true
}

func isAccessControl(name string) bool {
	const prefix = "Access-Control-"
	return len(name) > len(prefix) && exchange.EqualFold(name[:len(prefix)], prefix)
}
