package expiry

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/citoroute/citoroute/internal/certtest"
	"github.com/citoroute/citoroute/internal/ir"
)

// day is the n-th of a month.
func day(n int) time.Time { return time.Date(2027, 1, n, 0, 0, 0, 0, time.UTC) }

// until returns PEM certificates that end on these days.
func until(t *testing.T, days ...int) []byte {
	t.Helper()
	var out []byte
	for _, n := range days {
		out = append(out, certtest.New(t, &x509.Certificate{NotAfter: day(n)}, nil).PEM()...)
	}
	return out
}

func source(name string) ir.Source { return ir.Source{Kind: "Secret", Namespace: "a", Name: name} }

func secret(name string, chain, ca []byte) *ir.Secret {
	return &ir.Secret{Name: name, Source: source(name), Certificate: chain, CA: ca}
}

func TestOf(t *testing.T) {
	https := func(name string, v *ir.ClientValidation, certificates ...string) *ir.Listener {
		return &ir.Listener{Name: name, TLS: &ir.ServerTLS{Certificates: certificates, ClientValidation: v}}
	}
	listener := func(name string) ir.Ref { return ir.Ref{Type: ir.TypeListener, Name: name} }
	for name, c := range map[string]struct {
		resources []ir.Resource
		want      []Certificate
	}{
		"Nothing":   {},
		"Unused":    {resources: []ir.Resource{secret("s", until(t, 1), nil)}},
		"Plain":     {resources: []ir.Resource{&ir.Listener{Name: "l"}, &ir.Backend{Name: "b"}}},
		"Missing":   {resources: []ir.Resource{https("l", nil, "s")}},
		"Malformed": {resources: []ir.Resource{https("l", nil, "s"), secret("s", []byte("no PEM"), nil)}},
		"Served": {
			resources: []ir.Resource{https("l", nil, "s"), https("k", nil, "s"), secret("s", until(t, 3), nil)},
			want:      []Certificate{{source("s"), UseListener, day(3), []ir.Ref{listener("k"), listener("l")}}},
		},
		"FirstOfAChain": {
			resources: []ir.Resource{https("l", nil, "s"), secret("s", until(t, 5, 2, 9), nil)},
			want:      []Certificate{{source("s"), UseListener, day(2), []ir.Ref{listener("l")}}},
		},
		"ClientAuthorities": {
			resources: []ir.Resource{https("l", &ir.ClientValidation{CAs: []string{"ca"}}), secret("ca", until(t, 1), until(t, 5, 9, 2))},
			want:      []Certificate{{source("ca"), UseClientAuthority, day(9), []ir.Ref{listener("l")}}},
		},
		"NobodyIsChecked": {
			resources: []ir.Resource{https("l", &ir.ClientValidation{CAs: []string{"ca"}, AllowInsecureFallback: true}), secret("ca", nil, until(t, 5))},
		},
		"Backend": {
			resources: []ir.Resource{
				&ir.Backend{Name: "b", TLS: &ir.ClientTLS{CAs: []string{"s"}, Certificate: "s"}},
				&ir.Backend{Name: "public", TLS: &ir.ClientTLS{SystemCAs: true}},
				secret("s", until(t, 1), until(t, 2)),
			},
			want: []Certificate{
				{source("s"), UseBackend, day(1), []ir.Ref{{Type: ir.TypeBackend, Name: "b"}}},
				{source("s"), UseBackendAuthority, day(2), []ir.Ref{{Type: ir.TypeBackend, Name: "b"}}},
			},
		},
		"Store": {
			resources: []ir.Resource{
				&ir.Policy{Name: "p", Limits: &ir.LimitPolicy{Redis: &ir.Redis{TLS: true, Credentials: "s"}}},
				&ir.Policy{Name: "clear", Limits: &ir.LimitPolicy{Redis: &ir.Redis{Credentials: "s"}}},
				secret("s", until(t, 1), until(t, 2)),
			},
			want: []Certificate{
				{source("s"), UseStore, day(1), []ir.Ref{{Type: ir.TypePolicy, Name: "p"}}},
				{source("s"), UseStoreAuthority, day(2), []ir.Ref{{Type: ir.TypePolicy, Name: "p"}}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			slices.Reverse(c.resources) // their order does not matter
			if diff := cmp.Diff(c.want, Of(c.resources), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestChainAndBundle(t *testing.T) {
	key := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x")})
	both := slices.Concat([]byte("a comment\n"), until(t, 4), key, until(t, 7))
	if got := Chain(both); !got.Equal(day(4)) {
		t.Errorf("the chain ends at %v", got)
	}
	if got := Bundle(both); !got.Equal(day(7)) {
		t.Errorf("the bundle ends at %v", got)
	}
	if got := Chain(key); !got.IsZero() {
		t.Errorf("a key ends at %v", got)
	}
}
