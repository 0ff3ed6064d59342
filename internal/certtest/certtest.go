// Package certtest makes certificates for tests. It is for tests only.
package certtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"testing"
	"time"
)

// Pair is a certificate with its key.
type Pair struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// Authority returns an authority of that name, which has signed itself.
func Authority(t testing.TB, name string) *Pair {
	t.Helper()
	return New(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
}

// Server returns the certificate of a server of these names that is its own
// authority.
func Server(t testing.TB, names ...string) *Pair {
	t.Helper()
	return New(t, &x509.Certificate{DNSNames: names, IsCA: true, BasicConstraintsValid: true}, nil)
}

// New returns the certificate of a template, with a new key (ECDSA, P-256), that
// by has signed; nil: itself has. See [Sign].
func New(t testing.TB, template *x509.Certificate, by *Pair) *Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Sign(t, key, template, by)
}

// Sign is New for a key that there is. Where the template has no time at all the
// certificate has begun an hour ago and ends in an hour; where it has no serial
// number, that is another one each time.
func Sign(t testing.TB, key crypto.Signer, template *x509.Certificate, by *Pair) *Pair {
	t.Helper()
	complete(t, template)
	if by == nil {
		by = &Pair{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.Cert, key.Public(), by.Key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Pair{cert, key}
}

// complete fills in what a template may leave out.
func complete(t testing.TB, template *x509.Certificate) {
	t.Helper()
	if template.NotBefore.IsZero() && template.NotAfter.IsZero() {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	}
	if template.SerialNumber == nil {
		serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
		if err != nil {
			t.Fatal(err)
		}
		template.SerialNumber = serial
	}
}

// PEM returns the certificate.
func (p *Pair) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Cert.Raw})
}

// KeyPEM returns the key, in PKCS #8.
func (p *Pair) KeyPEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// TLS returns the pair as crypto/tls shows it, followed by the certificates of
// others.
func (p *Pair) TLS(others ...*Pair) tls.Certificate {
	out := tls.Certificate{Certificate: [][]byte{p.Cert.Raw}, PrivateKey: p.Key, Leaf: p.Cert}
	for _, o := range others {
		out.Certificate = append(out.Certificate, o.Cert.Raw)
	}
	return out
}

// Pool trusts the certificate.
func (p *Pair) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Cert)
	return pool
}
