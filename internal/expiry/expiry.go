package expiry

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
)

// Use is what a certificate is for.
type Use string

// Uses of certificates. An authority is what others' certificates are checked
// against.
const (
	UseListener         Use = "listener"          // a listener shows it to clients
	UseClientAuthority  Use = "client_authority"  // clients of a listener are checked
	UseBackend          Use = "backend"           // backends are shown it
	UseBackendAuthority Use = "backend_authority" // backends are checked
	UseStore            Use = "store"             // the server that counts limits is shown it
	UseStoreAuthority   Use = "store_authority"   // that server is checked
)

// Certificate is a certificate, or a bundle of authorities, that a
// configuration uses.
type Certificate struct {
	// Source is the Secret or ConfigMap that it is in.
	Source ir.Source
	Use    Use
	// NotAfter is when it ceases to do its work: the first end in a chain, the
	// last one in a bundle of authorities. A bundle may hold an old authority
	// beside its successor.
	NotAfter time.Time
	// Users are the listeners, backends and policies that use it, sorted.
	Users []ir.Ref
}

// Of returns the certificates that resources use, by source and use. What
// cannot be read is left out: what uses it refuses to work, and says so.
func Of(resources []ir.Resource) []Certificate {
	f := finder{secrets: make(map[string]*ir.Secret), found: make(map[place]*Certificate)}
	for _, r := range resources {
		if s, ok := r.(*ir.Secret); ok {
			f.secrets[s.Name] = s
		}
	}
	for _, r := range resources {
		f.visit(r)
	}
	out := make([]Certificate, 0, len(f.found))
	for _, c := range f.found {
		if c != nil {
			slices.SortFunc(c.Users, compareRefs)
			c.Users = slices.Compact(c.Users)
			out = append(out, *c)
		}
	}
	slices.SortFunc(out, func(a, b Certificate) int {
		return cmp.Or(cmp.Compare(a.Source.String(), b.Source.String()), cmp.Compare(a.Use, b.Use))
	})
	return out
}

// place tells certificates apart.
type place struct {
	secret string
	use    Use
}

type finder struct {
	secrets map[string]*ir.Secret
	found   map[place]*Certificate // nil: it cannot be read
}

// visit notes what a resource uses.
func (f *finder) visit(r ir.Resource) {
	ref := ir.RefOf(r)
	switch r := r.(type) {
	case *ir.Listener:
		f.listener(ref, r.TLS)
	case *ir.Backend:
		if r.TLS != nil {
			f.add(ref, UseBackendAuthority, r.TLS.CAs...)
			f.add(ref, UseBackend, r.TLS.Certificate)
		}
	case *ir.Policy:
		if r.Limits != nil && r.Limits.Redis != nil && r.Limits.Redis.TLS {
			f.add(ref, UseStoreAuthority, r.Limits.Redis.Credentials)
			f.add(ref, UseStore, r.Limits.Redis.Credentials)
		}
	}
}

func (f *finder) listener(ref ir.Ref, t *ir.ServerTLS) {
	if t == nil {
		return
	}
	f.add(ref, UseListener, t.Certificates...)
	// Who lets everybody in checks nobody.
	if v := t.ClientValidation; v != nil && !v.AllowInsecureFallback {
		f.add(ref, UseClientAuthority, v.CAs...)
	}
}

// add notes that user has a use for secrets.
func (f *finder) add(user ir.Ref, use Use, secrets ...string) {
	for _, name := range secrets {
		at := place{name, use}
		c, known := f.found[at]
		if !known {
			c = read(f.secrets[name], use)
			f.found[at] = c
		}
		if c != nil {
			c.Users = append(c.Users, user)
		}
	}
}

// read returns what a Secret holds for a use; nil: nothing that can be read.
func read(s *ir.Secret, use Use) *Certificate {
	if s == nil {
		return nil
	}
	var end time.Time
	switch use {
	case UseClientAuthority, UseBackendAuthority, UseStoreAuthority:
		end = Bundle(s.CA)
	case UseListener, UseBackend, UseStore:
		end = Chain(s.Certificate)
	}
	if end.IsZero() {
		return nil
	}
	return &Certificate{Source: s.Source, Use: use, NotAfter: end}
}

// Chain returns when the first certificate of a PEM chain ends; the zero time:
// there is none.
func Chain(chain []byte) time.Time {
	return pick(chain, func(a, b time.Time) bool { return a.Before(b) })
}

// Bundle returns when the last authority of a PEM bundle ends; the zero time:
// there is none.
func Bundle(bundle []byte) time.Time {
	return pick(bundle, func(a, b time.Time) bool { return a.After(b) })
}

// pick returns the end that goes before all others.
func pick(certificates []byte, before func(a, b time.Time) bool) (end time.Time) {
	for {
		var block *pem.Block
		if block, certificates = pem.Decode(certificates); block == nil {
			return end
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue // a key, say
		}
		if end.IsZero() || before(c.NotAfter, end) {
			end = c.NotAfter
		}
	}
}

func compareRefs(a, b ir.Ref) int {
	return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Name, b.Name))
}
