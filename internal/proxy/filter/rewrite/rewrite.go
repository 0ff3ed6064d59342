// Package rewrite is the filter that changes host and path of the request that
// a backend gets.
package rewrite

import (
	"errors"
	"fmt"
	"strings"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/filter/scratch"
)

// Filter rewrites requests. It is immutable.
type Filter struct {
	hostname string
	path     *Path
}

// New compiles cfg.
func New(cfg ir.Rewrite) (*Filter, error) {
	if !ValidHost(cfg.Hostname) {
		return nil, fmt.Errorf("hostname %q is not valid", cfg.Hostname)
	}
	f := &Filter{hostname: cfg.Hostname}
	if cfg.Path == nil {
		return f, nil
	}
	var err error
	f.path, err = NewPath(*cfg.Path)
	return f, err
}

// Apply rewrites req; prefix is the part of the path that the rule matched.
func (f *Filter) Apply(req *exchange.Request, prefix string, s *scratch.Buffer) {
	if f.hostname != "" {
		req.Authority = f.hostname
	}
	if f.path != nil {
		req.Path = f.path.Apply(req.Path, prefix, s)
	}
}

// Path replaces a path or its matched prefix.
type Path struct {
	full   string
	prefix string // without trailing slash
	isFull bool
}

// NewPath compiles cfg. What does not belong into a path is percent-encoded.
func NewPath(cfg ir.PathRewrite) (*Path, error) {
	if (cfg.Full == nil) == (cfg.Prefix == nil) {
		return nil, errors.New("path rewrite needs either full or prefix")
	}
	if cfg.Full != nil {
		return &Path{full: rooted(EscapePath(*cfg.Full)), isFull: true}, nil
	}
	prefix := strings.TrimRight(EscapePath(*cfg.Prefix), "/")
	if prefix != "" {
		prefix = rooted(prefix)
	}
	return &Path{prefix: prefix}, nil
}

// rooted gives a path exactly one leading slash, so that it can not be read as
// another host in a Location.
func rooted(p string) string { return "/" + strings.TrimLeft(p, "/") }

// Apply returns the new path of a clean path. The prefix goes by whole
// segments: /foo/bar with prefix /foo replaced by /xyz is /xyz/bar, and what
// would be empty is "/".
func (p *Path) Apply(path, prefix string, s *scratch.Buffer) string {
	if p.isFull {
		return p.full
	}
	rest, ok := strings.CutPrefix(path, prefix)
	switch {
	case !ok:
		return path
	case p.prefix == "" && rest == "":
		return "/"
	case p.prefix == "":
		return rest
	case rest == "":
		return p.prefix
	}
	return s.Join(p.prefix, rest)
}

// EscapePath percent-encodes the bytes that can not stand in a path (RFC 3986
// section 3.3), among them controls, spaces, ? and #. It keeps what is
// percent-encoded already, and allocates only where something changes.
func EscapePath(path string) string {
	first := strings.IndexFunc(path, func(r rune) bool { return r >= 0x80 || !isPathByte(byte(r)) })
	if first < 0 {
		return path
	}
	out := append(make([]byte, 0, len(path)+8), path[:first]...)
	for i := first; i < len(path); i++ {
		if c := path[i]; isPathByte(c) {
			out = append(out, c)
		} else {
			const digits = "0123456789ABCDEF"
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}

func isPathByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("/-._~!$&'()*+,;=:@%", c) >= 0
}

// ValidHost says that host, perhaps with a port, holds only characters of
// names and addresses. "" is valid.
func ValidHost(host string) bool {
	for i := range len(host) {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._~:[]%", c) >= 0:
		default:
			return false
		}
	}
	return true
}
