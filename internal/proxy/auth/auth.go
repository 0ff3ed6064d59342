// Package auth says who sent a request. A gate of bearer tokens takes what a
// policy demands and puts jwt and jwks to work for it; API keys are looked up by
// their hashes.
//
//	policies ──> Gate ──Enter──┐
//	                           ├──> Caller ──Is──> consumer
//	consumers ─> Keys ──Find───┘
//
// It must not import net/http.
package auth

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/filter/headers"
	"github.com/citoroute/citoroute/internal/proxy/jwks"
	"github.com/citoroute/citoroute/internal/proxy/jwt"
)

// Gate demands a valid token of one of its policies' issuers.
type Gate struct {
	verifier jwt.Verifier
	claims   map[string][]ir.ClaimHeader // by the issuer's name
	strip    []string                    // fields that only we may set
	release  []func()
}

// New returns the gate of policies, each of which demands a token. The error names
// the policy and provider at fault. Close must be called when
// the gate is no longer used.
func New(policies []*ir.Policy, keys *jwks.Store) (*Gate, error) {
	g := &Gate{verifier: jwt.Verifier{Leeway: jwt.DefaultLeeway}, claims: map[string][]ir.ClaimHeader{}}
	for _, p := range policies {
		if p.JWT == nil { // of a controller that is newer: it demands what is not known here
			g.Close()
			return nil, fmt.Errorf("%s: its kind is not known", p.Source)
		}
		for i := range p.JWT.Providers {
			if err := g.add(p, &p.JWT.Providers[i], keys); err != nil {
				g.Close()
				return nil, fmt.Errorf("%s: provider %q: %w", p.Source, p.JWT.Providers[i].Name, err)
			}
		}
	}
	return g, nil
}

func (g *Gate) add(p *ir.Policy, in *ir.JWTProvider, keys *jwks.Store) error {
	issuer := jwt.Issuer{Name: p.Name + "/" + in.Name, Issuer: in.Issuer, Audiences: in.Audiences, Algorithms: in.Algorithms}
	switch {
	case in.RemoteJWKS != "":
		remote, release := keys.Use(in.RemoteJWKS)
		g.release = append(g.release, release)
		issuer.Keys, issuer.Unknown = remote.Keys, remote.Unknown
	case in.JWKS != "":
		set, _, err := jwt.ParseKeys([]byte(in.JWKS))
		if err != nil {
			return fmt.Errorf("key set: %w", err)
		}
		issuer.Keys = func() *jwt.KeySet { return set }
	default:
		return errors.New("it has no keys")
	}
	g.verifier.Issuers = append(g.verifier.Issuers, issuer)
	g.claims[issuer.Name] = in.ClaimHeaders
	for _, h := range in.ClaimHeaders {
		g.strip = append(g.strip, h.Header)
	}
	return nil
}

// Close gives up the keys that the gate has fetched for it.
func (g *Gate) Close() {
	for _, release := range g.release {
		release()
	}
	g.release = nil
}

// Caller is who sent a request, by one credential.
type Caller struct {
	claims *jwt.Claims
	keyOf  []string // the names of the consumers whose key it is
}

// Is says whether the caller is the consumer of a policy.
func (c Caller) Is(p *ir.Policy) bool {
	if slices.Contains(c.keyOf, p.Name) {
		return true
	}
	return c.claims != nil && p.Consumer.Claim != "" && c.claims.Has(p.Consumer.Claim, p.Consumer.Value)
}

// Refusal is why a request may not enter: a 401.
type Refusal struct{ reason error }

// Error says what is wrong with the credential, without repeating any of it.
func (r *Refusal) Error() string { return r.reason.Error() }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.reason }

// Challenge is the value of the WWW-Authenticate field where a request has no
// credential at all.
const Challenge = `Bearer realm="citoroute"`

// Insufficient is its value where the caller is known and may not (RFC 6750
// section 3.1).
const Insufficient = Challenge + `, error="insufficient_scope"`

// Challenge is the value of the WWW-Authenticate field that goes with the
// refusal (RFC 6750 section 3).
func (r *Refusal) Challenge() string {
	if errors.Is(r.reason, jwt.ErrMissing) {
		return Challenge
	}
	return Challenge + `, error="invalid_token", error_description="` + r.reason.Error() + `"`
}

// Enter checks the token of a request. Fields that carry claims are taken out
// first, whatever becomes of the request, and set from the token after. The
// error is a *Refusal.
func (g *Gate) Enter(req *exchange.Request, now time.Time) (Caller, error) {
	g.Strip(req)
	token, err := jwt.Bearer(req.Header.Values("Authorization"))
	if err != nil {
		return Caller{}, &Refusal{err}
	}
	claims, issuer, err := g.verifier.Verify(token, now)
	if err != nil {
		return Caller{}, &Refusal{err}
	}
	for _, h := range g.claims[issuer.Name] {
		if value, ok := claims.Header(h.Claim); ok {
			req.Header.Set(h.Header, value)
		}
	}
	return Caller{claims: claims}, nil
}

// Strip removes the fields that carry claims, which a client must not set, in
// every spelling that a backend may take for them: from the header at once, and
// from the trailer when the body has been read.
func (g *Gate) Strip(req *exchange.Request) {
	if len(g.strip) == 0 {
		return
	}
	g.clean(&req.Header)
	if req.Body != nil {
		req.Body = &strippedBody{req.Body, g, &req.Trailer}
	}
}

func (g *Gate) clean(h *exchange.Header) {
	h.Filter(func(f exchange.Field) bool {
		for _, name := range g.strip {
			if exchange.EqualFold(f.Name, name) || headers.IsAlias(f.Name, name) {
				return false
			}
		}
		return true
	})
}

// strippedBody is a body whose trailer is cleaned at its end.
type strippedBody struct {
	exchange.Body
	gate    *Gate
	trailer *exchange.Header
}

// Read implements io.Reader.
func (b *strippedBody) Read(p []byte) (int, error) {
	n, err := b.Body.Read(p)
	if err == io.EOF {
		b.gate.clean(b.trailer)
	}
	return n, err
}
