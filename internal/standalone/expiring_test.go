package standalone

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/certtest"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
)

// tlsManifest has a Gateway with the Secret cert, a backend that is checked
// against the authority of ca, and one that is not.
const tlsManifest = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec:
  gatewayClassName: citoroute
  listeners:
  - {name: plain, protocol: HTTP, port: 80}
  - {name: https, protocol: HTTPS, port: 443, tls: {certificateRefs: [{name: cert}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: g}]
  rules:
  - {matches: [{path: {value: /safe}}], backendRefs: [{name: safe, port: 443}]}
  - {matches: [{path: {value: /plain}}], backendRefs: [{name: plain, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: safe}
spec: {type: ExternalName, externalName: localhost, ports: [{port: 443}]}
---
apiVersion: v1
kind: Service
metadata: {name: plain}
spec: {type: ExternalName, externalName: localhost, ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: safe}
spec:
  targetRefs: [{group: "", kind: Service, name: safe}]
  validation: {hostname: localhost, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: ca}
data: {ca.crt: %q}
---
apiVersion: v1
kind: Secret
metadata: {name: cert}
type: kubernetes.io/tls
data: {tls.crt: %s, tls.key: %s}
`

// certificateUntil returns a certificate and its key, in PEM.
func certificateUntil(t *testing.T, end time.Time) (chain, key []byte) {
	t.Helper()
	pair := certtest.New(t, &x509.Certificate{NotAfter: end, DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true}, nil)
	return pair.PEM(), pair.KeyPEM(t)
}

func TestExpiring(t *testing.T) {
	now := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
	chain, key := certificateUntil(t, now.Add(3*24*time.Hour))
	ca, _ := certificateUntil(t, now.Add(15*24*time.Hour))
	encode := base64.StdEncoding.EncodeToString
	path := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, tlsManifest, ca, encode(chain), encode(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{Paths: []string{path}, Bind: netip.IPv4Unspecified()}, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		after time.Duration
		want  []string
	}{
		"LongBefore": {after: -30 * day},
		"Soon":       {after: 0, want: []string{path + ":42: Secret/default/cert: the certificate of listener default/g/https expires in 3 days, at 2027-01-04 12:00 UTC"}},
		"Both": {after: 2 * day, want: []string{
			path + ":37: ConfigMap/default/ca: the authority for backend service/default/safe:443 expires in 13 days, at 2027-01-16 12:00 UTC",
			path + ":42: Secret/default/cert: the certificate of listener default/g/https expires in 24 hours, at 2027-01-04 12:00 UTC",
		}},
		"Gone": {after: 16 * day, want: []string{
			path + ":37: ConfigMap/default/ca: the authority for backend service/default/safe:443 has expired at 2027-01-16 12:00 UTC",
			path + ":42: Secret/default/cert: the certificate of listener default/g/https has expired at 2027-01-04 12:00 UTC",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range s.Expiring(now.Add(c.after)) {
				got = append(got, e.String())
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}

	// explain names those that the request meets.
	all := s.Expiring(now.Add(2 * day))
	for _, c := range []struct {
		port uint16
		path string
		want []string
	}{
		{80, "/plain", nil},
		{80, "/safe", []string{"ConfigMap/default/ca"}},
		{443, "/plain", []string{"Secret/default/cert"}},
		{443, "/safe", []string{"ConfigMap/default/ca", "Secret/default/cert"}},
	} {
		ways := s.Explain("", runtime.Question{Port: c.port, Host: "localhost", Target: c.path})
		if len(ways) != 1 {
			t.Fatalf("%d%s: %d ways", c.port, c.path, len(ways))
		}
		ways[0].Warn(all)
		var got []string
		for _, e := range ways[0].Expiring {
			got = append(got, e.Certificate)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d%s meets %v, want %v", c.port, c.path, got, c.want)
		}
	}
}
