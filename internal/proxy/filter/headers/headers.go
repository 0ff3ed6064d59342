// Package headers is the filter that sets, adds and removes header fields.
package headers

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Filter changes a header. It is immutable.
type Filter struct {
	remove   []string
	set, add []ir.NameValue
}

// New compiles cfg. Names that frame a message or belong to one connection
// are left out, since they are the codec's own: a rule must not be able to
// break the framing. Of entries with the same name the first counts, as Gateway
// API says. A name that is no token or a value with a control character is an
// error, so that no rule can smuggle in a second field.
func New(cfg ir.HeaderModifier) (*Filter, error) {
	f := &Filter{}
	var err error
	if f.set, err = fields(cfg.Set); err != nil {
		return nil, err
	}
	if f.add, err = fields(cfg.Add); err != nil {
		return nil, err
	}
	for _, name := range cfg.Remove {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, fmt.Errorf("header name %q is not valid", name)
		}
		if !isFraming(name) {
			f.remove = append(f.remove, name)
		}
	}
	return f, nil
}

func fields(in []ir.NameValue) ([]ir.NameValue, error) {
	out := make([]ir.NameValue, 0, len(in))
	for _, nv := range in {
		if !httpguts.ValidHeaderFieldName(nv.Name) {
			return nil, fmt.Errorf("header name %q is not valid", nv.Name)
		}
		if !httpguts.ValidHeaderFieldValue(nv.Value) {
			return nil, fmt.Errorf("value of header %s is not valid", nv.Name)
		}
		same := func(o ir.NameValue) bool { return exchange.EqualFold(o.Name, nv.Name) }
		if !isFraming(nv.Name) && !slices.ContainsFunc(out, same) {
			out = append(out, nv)
		}
	}
	return out, nil
}

// Apply changes h: first removes, then sets, then adds. Fields whose names only
// differ from a removed or set one by _ instead of - go too, because many
// servers read both as the same.
func (f *Filter) Apply(h *exchange.Header) {
	for _, name := range f.remove {
		h.Del(name)
	}
	if len(f.remove)+len(f.set) > 0 {
		f.dropAliases(h)
	}
	for _, nv := range f.set {
		h.Set(nv.Name, nv.Value)
	}
	for _, nv := range f.add {
		h.Add(nv.Name, nv.Value)
	}
}

func (f *Filter) dropAliases(h *exchange.Header) {
	for i := range h.Len() {
		if strings.IndexByte(h.At(i).Name, '_') >= 0 {
			h.Filter(func(field exchange.Field) bool { return !f.shadows(field.Name) })
			return
		}
	}
}

// shadows says that a server may take name for one that f removes or sets.
func (f *Filter) shadows(name string) bool {
	for _, r := range f.remove {
		if IsAlias(name, r) {
			return true
		}
	}
	for _, nv := range f.set {
		if IsAlias(name, nv.Name) {
			return true
		}
	}
	return false
}

// IsAlias says that a and b differ, and only in case and in _ for -.
func IsAlias(a, b string) bool {
	if len(a) != len(b) || exchange.EqualFold(a, b) {
		return false
	}
	for i := range len(a) {
		if fold(a[i]) != fold(b[i]) {
			return false
		}
	}
	return true
}

func fold(c byte) byte {
	switch {
	case c == '_':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}

// isFraming says that the field belongs to the codec: RFC 9110 section 7.6.1,
// RFC 9112 section 6.
func isFraming(name string) bool {
	switch strings.ToLower(name) {
	case "host", "connection", "content-length", "transfer-encoding", "keep-alive",
		"proxy-connection", "te", "trailer", "upgrade":
		return true
	}
	return false
}
