// Package authority keeps the certificates of the config stream: a certificate
// authority of the controller's own and the serving certificate that it
// signed. [Material.Renew] is pure but for the randomness of new keys; package
// controller stores the result in a Secret.
//
// The package must not import k8s.io or sigs.k8s.io, and must not ask for the
// time.
package authority

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

const (
	authorityLife = 365 * 24 * time.Hour
	servingLife   = 90 * 24 * time.Hour
	// settleTime is how long a new authority is only trusted, before anything
	// is signed with it: mounted ConfigMaps take a minute or two to arrive.
	settleTime = time.Hour
	// skew tolerates clocks that run slow.
	skew = 5 * time.Minute
)

// Material is what the Secret holds, PEM encoded.
type Material struct {
	// Authorities are the certificates of all authorities to trust, newest
	// first; AuthorityKeys are their keys in the same order.
	Authorities, AuthorityKeys []byte
	// Certificate and Key are the server's.
	Certificate, Key []byte
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Renew returns what should be stored at the time now for a server of these
// host names, and whether that differs from m. What cannot be read is made
// anew. Certificates are replaced when a third of their life is left.
func (m Material) Renew(hosts []string, now time.Time) (renewed Material, changed bool, err error) {
	known := m.authorities(now)
	if len(known) == 0 || due(known[0].cert, now) {
		a, err := newAuthority(now)
		if err != nil {
			return Material{}, false, err
		}
		known = append([]authority{a}, known...)
		changed = true
	}
	signer := signer(known, now)
	if !changed && m.serves(hosts, signer, now) {
		return m, false, nil
	}
	if m.Authorities, m.AuthorityKeys, err = encodeAuthorities(known); err != nil {
		return Material{}, false, err
	}
	if !m.serves(hosts, signer, now) {
		if m.Certificate, m.Key, err = signer.issue(hosts, now); err != nil {
			return Material{}, false, err
		}
	}
	return m, true, nil
}

// TLS returns the serving certificate.
func (m Material) TLS() (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(m.Certificate, m.Key)
	if err != nil {
		return nil, fmt.Errorf("serving certificate: %w", err)
	}
	return &pair, nil
}

// authorities returns those that are still valid and whose key is there,
// newest first.
func (m Material) authorities(now time.Time) []authority {
	var out []authority
	certs, keys := m.Authorities, m.AuthorityKeys
	for {
		var c, k *pem.Block
		c, certs = pem.Decode(certs)
		k, keys = pem.Decode(keys)
		if c == nil || k == nil {
			return out
		}
		a, err := parseAuthority(c.Bytes, k.Bytes)
		if err != nil {
			return out
		}
		if now.Before(a.cert.NotAfter) {
			out = append(out, a)
		}
	}
}

// parseAuthority reads a certificate and its key, in DER.
func parseAuthority(certificate, private []byte) (authority, error) {
	cert, err := x509.ParseCertificate(certificate)
	if err != nil {
		return authority{}, err
	}
	key, err := x509.ParseECPrivateKey(private)
	if err != nil {
		return authority{}, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return authority{}, errors.New("key is not the certificate's")
	}
	return authority{cert, key}, nil
}

// signer returns the newest authority that everyone had time to learn of.
func signer(known []authority, now time.Time) authority {
	for _, a := range known {
		if now.After(a.cert.NotBefore.Add(skew + settleTime)) {
			return a
		}
	}
	return known[len(known)-1]
}

// serves says that the serving certificate is good for hosts, by signer, and
// for a while yet.
func (m Material) serves(hosts []string, by authority, now time.Time) bool {
	pair, err := m.TLS()
	if err != nil || due(pair.Leaf, now) || pair.Leaf.CheckSignatureFrom(by.cert) != nil {
		return false
	}
	return slices.Equal(pair.Leaf.DNSNames, hosts)
}

// due says that less than a third of a certificate's life is left.
func due(cert *x509.Certificate, now time.Time) bool {
	return now.After(cert.NotAfter.Add(-cert.NotAfter.Sub(cert.NotBefore) / 3))
}

func newAuthority(now time.Time) (authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return authority{}, fmt.Errorf("generate the authority's key: %w", err)
	}
	template := authorityTemplate(now)
	cert, err := sign(template, authority{template, key}, &key.PublicKey)
	if err != nil {
		return authority{}, err
	}
	return authority{cert, key}, nil
}

func authorityTemplate(now time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: "citoroute-controller-ca"},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(authorityLife),
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
}

// issue returns a new serving certificate and its key.
func (a authority) issue(hosts []string, now time.Time) (certPEM, keyPEM []byte, err error) {
	if len(hosts) == 0 {
		return nil, nil, errors.New("serving certificate: no host names")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate the server's key: %w", err)
	}
	cert, err := sign(a.servingTemplate(hosts, now), a, &key.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	if keyPEM, err = encodeKey(key); err != nil {
		return nil, nil, err
	}
	return encodeCert(cert), keyPEM, nil
}

// servingTemplate ends no later than the authority.
func (a authority) servingTemplate(hosts []string, now time.Time) *x509.Certificate {
	notAfter := now.Add(servingLife)
	if a.cert.NotAfter.Before(notAfter) {
		notAfter = a.cert.NotAfter
	}
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: "citoroute-controller"},
		DNSNames:    hosts,
		NotBefore:   now.Add(-skew),
		NotAfter:    notAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

func sign(template *x509.Certificate, by authority, public *ecdsa.PublicKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, public, by.key)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

func encodeAuthorities(known []authority) (certs, keys []byte, err error) {
	var c, k bytes.Buffer
	for _, a := range known {
		c.Write(encodeCert(a.cert))
		key, err := encodeKey(a.key)
		if err != nil {
			return nil, nil, err
		}
		k.Write(key)
	}
	return c.Bytes(), k.Bytes(), nil
}

func encodeCert(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
