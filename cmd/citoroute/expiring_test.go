package main

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/certtest"
)

// httpsManifest is a Gateway with a certificate that ends then, and a route.
func httpsManifest(t *testing.T, end time.Time) string {
	t.Helper()
	pair := certtest.New(t, &x509.Certificate{NotAfter: end}, nil)
	encode := base64.StdEncoding.EncodeToString
	return strings.Replace(gatewayManifest, "protocol: HTTP, port: 80", "protocol: HTTPS, port: 443, tls: {certificateRefs: [{name: cert}]}", 1) +
		"---" + routeManifest + fmt.Sprintf("---\napiVersion: v1\nkind: Secret\nmetadata: {name: cert}\ntype: kubernetes.io/tls\ndata: {tls.crt: %s, tls.key: %s}\n",
		encode(pair.PEM()), encode(pair.KeyPEM(t)))
}

// TestExecute_WarnsOfCertificates, which is no reason to fail: the same files
// are as good as they were yesterday.
func TestExecute_WarnsOfCertificates(t *testing.T) {
	soon := folder(t, httpsManifest(t, time.Now().Add(3*24*time.Hour+time.Hour)))
	later := folder(t, httpsManifest(t, time.Now().Add(15*24*time.Hour)))
	const warning = "the certificate of listener default/g/http expires in 3 days"
	for _, args := range [][]string{{"validate", "-q"}, {"explain", "--path", "/old"}, {"explain", "--path", "/old", "-o", "json"}} {
		for dir, warned := range map[string]bool{soon: true, later: false} {
			var out bytes.Buffer
			code := execute(t.Context(), newRoot(), append(args, dir), &out, &out)
			if code != 0 || strings.Contains(out.String(), warning) != warned {
				t.Errorf("%v: exit code %d, warned: %t, want 0, %t:\n%s", args, code, !warned, warned, out.String())
			}
		}
	}
}
