package redistest

import (
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/citoroute/citoroute/internal/certtest"
)

// NewAuthority returns a certificate that has signed itself: that of an
// authority, of its server at 127.0.0.1, and of the clients that the server lets
// in.
func NewAuthority(t testing.TB) *certtest.Pair {
	t.Helper()
	return certtest.New(t, &x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}, nil)
}

// files writes a certificate and its key to files of the test.
func files(t testing.TB, pair *certtest.Pair) (certificate, key string) {
	t.Helper()
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for name, data := range map[string][]byte{certificate: pair.PEM(), key: pair.KeyPEM(t)} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}
