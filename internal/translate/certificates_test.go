package translate_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/certtest"
)

// Rows TL-026, TL-035 and TL-038 of the security catalogue, as far as objects
// decide them: certificates and authorities in Secrets and ConfigMaps.

// keyPair is a self-signed certificate with its key, in PEM.
func keyPair(t *testing.T, key crypto.Signer) (certificate, private []byte) {
	t.Helper()
	pair := certtest.Sign(t, key, &x509.Certificate{}, nil)
	return pair.PEM(), pair.KeyPEM(t)
}

func ecKey(t *testing.T, curve elliptic.Curve) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T, bits int) crypto.Signer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// bad is a Secret of that name with a certificate and a key.
func bad(certificate, private []byte) string {
	return fmt.Sprintf("\napiVersion: v1\nkind: Secret\nmetadata: {name: bad, namespace: infra}\ntype: kubernetes.io/tls\ndata: {tls.crt: %s, tls.key: %s}",
		base64.StdEncoding.EncodeToString(certificate), base64.StdEncoding.EncodeToString(private))
}

func TestCertificates_OfListeners(t *testing.T) {
	certificate, key := keyPair(t, ecKey(t, elliptic.P256()))
	other, otherKey := keyPair(t, ecKey(t, elliptic.P256()))
	edCertificate, edKey := keyPair(t, func() crypto.Signer { _, k, _ := ed25519.GenerateKey(rand.Reader); return k }())
	p224, p224Key := keyPair(t, ecKey(t, elliptic.P224()))
	p384, p384Key := keyPair(t, ecKey(t, elliptic.P384()))
	short, shortKey := keyPair(t, rsaKey(t, 1024))
	shorter := readFile(t, "testdata/rsa512.pem")
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{0x30, 3, 2, 1, 0}})
	for row, c := range map[string]struct {
		secret string
		ok     bool
	}{
		"TL-026 good":             {bad(certificate, key), true},
		"TL-026 P-384":            {bad(p384, p384Key), true},
		"TL-026 Ed25519":          {bad(edCertificate, edKey), true},
		"TL-026 chain":            {bad(append(bytes.Clone(certificate), other...), key), true},
		"TL-026 trailing garbage": {bad(append(bytes.Clone(certificate), "garbage"...), key), true},
		"TL-026 1 MiB":            {bad(bytes.Repeat(certificate, 1<<20/len(certificate)), key), true},
		"TL-026 wrong order":      {bad(append(bytes.Clone(other), certificate...), key), false},
		"TL-026 other key":        {bad(certificate, otherKey), false},
		"TL-026 empty":            {bad(nil, nil), false},
		"TL-026 no key":           {bad(certificate, nil), false},
		"TL-026 no PEM":           {bad([]byte("x"), key), false},
		"TL-026 no DER":           {bad([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), key), false},
		"TL-026 swapped":          {bad(key, certificate), false},
		"TL-026 encrypted key":    {bad(certificate, encrypted), false},
		"TL-026 P-224":            {bad(p224, p224Key), false},
		"TL-026 RSA 1024":         {bad(short, shortKey), false},
		"TL-026 RSA 512":          {bad(shorter, shorter), false},
		"TL-026 other type":       {strings.NewReplacer("tls.crt", "a", "tls.key", "b", "kubernetes.io/tls", "Opaque").Replace(bad(certificate, key)), false},
	} {
		t.Run(row, func(t *testing.T) {
			w := newWorld(t, c.secret, listenerOf(strings.Replace(ownCert, "name: cert", "name: bad", 1)+
				", {name: good, port: 443, hostname: good.test, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}"))
			w.expect(c.ok, "- secret/infra/bad")
			w.expect(!c.ok, "ResolvedRefs=False InvalidCertificateRef")
			w.expect(true, "- secret/infra/cert", "name: infra/gw/good")
		})
	}
}

// TestCertificates_Gone is row TL-030: whose certificate cannot be used keeps the
// name, so that no other listener speaks for it.
func TestCertificates_Gone(t *testing.T) {
	gone := "{name: gone, port: 443, hostname: a.shop.test, protocol: HTTPS, tls: {certificateRefs: [{name: none}]}}"
	const held = "hostname: a.shop.test\n  name: infra/gw/gone"
	for row, c := range map[string]struct {
		other string
		held  bool
	}{
		"TL-030 beside any name":        {ownCert, true},
		"TL-030 beside a wildcard":      {strings.Replace(ownCert, "protocol", "hostname: '*.shop.test', protocol", 1), true},
		"TL-030 beside passthrough":     {"{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}}", true},
		"TL-030 alone":                  {"{name: http, port: 80, protocol: HTTP}", false},
		"TL-030 beside another name":    {strings.Replace(ownCert, "protocol", "hostname: b.shop.test, protocol", 1), false},
		"TL-030 beside UDP":             {"{name: udp, port: 443, protocol: UDP}", false},
		"TL-030 beside one without any": {strings.NewReplacer("name: cert", "name: none").Replace(ownCert), false},
	} {
		t.Run(row, func(t *testing.T) {
			w := newWorld(t, listenerOf(gone+", "+c.other), rowRoute)
			w.expect(c.held, held)
			w.expect(true, "ResolvedRefs=False InvalidCertificateRef", "Programmed=False Invalid")
			w.expect(false, "@infra/gw/gone")
		})
	}
}

// TestCertificates_OfClients is row TL-034: listeners of one port demand the same
// of clients, whatever their hostnames.
func TestCertificates_OfClients(t *testing.T) {
	const ref = `{caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}`
	w := newWorld(t, strings.Replace(frontend("default: {}, perPort: [{port: 443, tls: {validation: "+ref+"}}]"), ownCert,
		strings.Replace(ownCert, "protocol", "hostname: a.test, protocol", 1)+", "+strings.Replace(ownCert, "name: https", "name: rest", 1)+", "+strings.NewReplacer("name: https", "name: other", "443", "8443").Replace(ownCert), 1))
	for name, demands := range map[string]bool{"https": true, "rest": true, "other": false} {
		t.Run("TL-034 "+name, func(t *testing.T) {
			_, resource, ok := strings.Cut(w.resources(), "name: infra/gw/"+name+"\n")
			resource, _, _ = strings.Cut(resource, "listener:")
			if !ok || strings.Contains(resource, "clientValidation") != demands {
				t.Errorf("got %q, which should demand certificates: %v", resource, demands)
			}
		})
	}
}

// TestCertificates_OfBackends is what a BackendTLSPolicy may say.
func TestCertificates_OfBackends(t *testing.T) {
	policy := `
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: p, namespace: infra, generation: 1}
spec:
  targetRefs: [{group: "", kind: Service, name: v1}]
  validation: {caCertificateRefs: [{group: "", kind: ConfigMap, name: own}], hostname: abc.example.com}`
	config := "\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: own, namespace: infra}\ndata: {%s}"
	for row, c := range map[string]struct{ policy, config string }{
		"TL-035 missing ConfigMap":   {policy, ""},
		"TL-035 without ca.crt":      {policy, fmt.Sprintf(config, "other: x")},
		"TL-035 empty bundle":        {policy, fmt.Sprintf(config, `ca.crt: ""`)},
		"TL-035 no PEM":              {policy, fmt.Sprintf(config, `ca.crt: "x"`)},
		"TL-035 of other namespace":  {policy, strings.Replace(fmt.Sprintf(config, "ca.crt: x"), "infra", "web", 1)},
		"TL-035 no authority named":  {strings.Replace(policy, `{group: "", kind: ConfigMap, name: own}`, "", 1), ""},
		"TL-035 unknown well-known":  {strings.Replace(policy, `caCertificateRefs: [{group: "", kind: ConfigMap, name: own}]`, "wellKnownCACertificates: Mine", 1), ""},
		"TL-035 hostname is no name": {strings.NewReplacer("name: own", "name: ca", "abc.example.com", `"10.0.0.1"`).Replace(policy), ""},
		"TL-035 kind":                {strings.Replace(policy, "kind: ConfigMap", "kind: Pod", 1), ""},
	} {
		t.Run(row, func(t *testing.T) {
			w := newWorld(t, gateway, rowRoute, c.config)
			w.expect(true, "10.0.1.1")
			w.apply(c.policy)
			w.expect(true, "Accepted=False", "endpoints: none", "  tls:\n")
			w.expect(false, "10.0.1.1")
		})
	}
	t.Run("TL-035 good", func(t *testing.T) {
		newWorld(t, gateway, rowRoute, strings.Replace(policy, "name: own", "name: ca", 1)).expect(true, "10.0.1.1", "- configmap/infra/ca", "serverName: abc.example.com")
	})
	t.Run("TL-038 only of the Gateway that says so", func(t *testing.T) {
		withCertificate := strings.Replace(gateway, "  allowed", "  tls: {backend: {clientCertificateRef: {name: cert}}}\n  allowed", 1)
		second := strings.Replace(gateway, "name: gw", "name: other", 1)
		w := newWorld(t, withCertificate, second, strings.Replace(policy, "name: own", "name: ca", 1), strings.Replace(rowRoute, "{name: gw}", "{name: gw}, {name: other}", 1))
		first, other, ok := strings.Cut(w.resources(), "# gateway/infra/other")
		if !ok || !strings.Contains(first, "certificate: secret/infra/cert") || strings.Contains(other, "secret/infra/cert") {
			t.Errorf("who shows the certificate:\n%s", w.resources())
		}
		if !strings.Contains(other, "10.0.1.1") {
			t.Error("the other Gateway does not reach the backend")
		}
	})
}
