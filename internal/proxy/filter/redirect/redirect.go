// Package redirect is the filter that answers with a Location.
package redirect

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/filter/rewrite"
	"github.com/citoroute/citoroute/internal/proxy/filter/scratch"
)

// Filter answers requests. It is immutable.
type Filter struct {
	cfg  ir.Redirect
	path *rewrite.Path
}

// New compiles cfg. Status 0 means 302.
func New(cfg ir.Redirect) (*Filter, error) {
	switch cfg.Status {
	case 0:
		cfg.Status = 302
	case 301, 302, 303, 307, 308:
	default:
		return nil, fmt.Errorf("status %d is no redirect: want 301, 302, 303, 307 or 308", cfg.Status)
	}
	switch cfg.Scheme {
	case "", "http", "https":
	default:
		return nil, fmt.Errorf("scheme %q: want http or https", cfg.Scheme)
	}
	if !rewrite.ValidHost(cfg.Hostname) {
		return nil, fmt.Errorf("hostname %q is not valid", cfg.Hostname)
	}
	f := &Filter{cfg: cfg}
	if cfg.Path == nil {
		return f, nil
	}
	var err error
	f.path, err = rewrite.NewPath(*cfg.Path)
	return f, err
}

// Request is what a Location is made from.
type Request struct {
	*exchange.Request
	// Prefix is the part of the path that the rule matched.
	Prefix string
	// Port is the listener's.
	Port uint16
}

// Answer fills resp. It says false where the client's host is nothing that a
// Location may repeat; resp is untouched then.
func (f *Filter) Answer(req Request, resp *exchange.Response, s *scratch.Buffer) bool {
	host := f.cfg.Hostname
	if host == "" {
		if host = hostOf(req.Authority); host == "" || !rewrite.ValidHost(host) {
			return false
		}
	}
	scheme := f.cfg.Scheme
	if scheme == "" {
		scheme = req.Scheme
	}
	path := req.Path
	if f.path != nil {
		path = f.path.Apply(path, req.Prefix, s)
	}
	if !strings.HasPrefix(path, "/") { // OPTIONS *
		path = "/"
	}
	query, mark := "", ""
	if req.HasQuery {
		query, mark = escapeQuery(req.Query), "?"
	}
	location := s.Join(scheme, "://", host, f.portSuffix(scheme, req.Port), rewrite.EscapePath(path), mark, query)
	resp.Status = f.cfg.Status
	resp.Header.Set("Location", location)
	return true
}

// portSuffix returns ":port", or "" for the well-known port of the scheme.
func (f *Filter) portSuffix(scheme string, listener uint16) string {
	known := uint16(80)
	if scheme == "https" {
		known = 443
	}
	port := f.cfg.Port
	switch {
	case port != 0:
	case f.cfg.Scheme != "":
		port = known
	default:
		port = listener
	}
	if port == known {
		return ""
	}
	return ":" + strconv.Itoa(int(port))
}

// hostOf strips the port of an authority.
func hostOf(authority string) string {
	if host, _, err := net.SplitHostPort(authority); err == nil {
		if strings.IndexByte(host, ':') >= 0 {
			return "[" + host + "]"
		}
		return host
	}
	return authority
}

// escapeQuery is rewrite.EscapePath for a query, where / and ? may stand too.
func escapeQuery(q string) string {
	if strings.IndexByte(q, '?') < 0 {
		return rewrite.EscapePath(q)
	}
	parts := strings.Split(q, "?")
	for i := range parts {
		parts[i] = rewrite.EscapePath(parts[i])
	}
	return strings.Join(parts, "?")
}
