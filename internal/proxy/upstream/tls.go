package upstream

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/citoroute/citoroute/internal/ir"
)

// SecretSource finds a Secret resource by name; nil where there is none.
type SecretSource func(name string) *ir.Secret

// newTLS compiles how the certificate of a backend is checked, and returns the
// secrets it is made from. It never falls back to something less strict.
func newTLS(c *ir.ClientTLS, http2 bool, find SecretSource) (*tls.Config, []*ir.Secret, error) {
	var used []*ir.Secret
	config := &tls.Config{
		ServerName: c.ServerName,
		MinVersion: tls.VersionTLS12,
		// One per backend configuration, so a session is never resumed past a
		// changed authority.
		ClientSessionCache: tls.NewLRUClientSessionCache(64),
	}
	if http2 { // else the transport offers what it speaks
		config.NextProtos = []string{"h2"}
	}
	if !c.SystemCAs {
		config.RootCAs = x509.NewCertPool()
		for _, name := range c.CAs {
			s := find(name)
			used = append(used, s)
			if s == nil || !config.RootCAs.AppendCertsFromPEM(s.CA) {
				return nil, used, fmt.Errorf("%s holds no certificate authority", name)
			}
		}
		if len(c.CAs) == 0 {
			return nil, nil, errors.New("no certificate authority is named")
		}
	}
	if c.Certificate != "" {
		s := find(c.Certificate)
		used = append(used, s)
		if s == nil {
			return nil, used, fmt.Errorf("%s is not known", c.Certificate)
		}
		pair, err := tls.X509KeyPair(s.Certificate, s.Key)
		if err != nil {
			return nil, used, fmt.Errorf("%s: %w", c.Certificate, err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if len(c.SubjectAltNames) > 0 {
		checkNames(config, c.SubjectAltNames)
	}
	return config, used, nil
}

// checkNames has one of names be in the certificate instead of the server
// name. The chain is verified here, since crypto/tls can not do one without
// the other.
func checkNames(config *tls.Config, names []ir.SANMatch) {
	roots := config.RootCAs
	config.InsecureSkipVerify = true // VerifyConnection verifies, also for resumed sessions
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("backend sent no certificate")
		}
		leaf := state.PeerCertificates[0]
		intermediates := x509.NewCertPool()
		for _, c := range state.PeerCertificates[1:] {
			intermediates.AddCert(c)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates}); err != nil {
			return err
		}
		if !slices.ContainsFunc(names, func(n ir.SANMatch) bool { return inCertificate(leaf, n) }) {
			return errors.New("certificate of backend has none of the wanted subject alternative names")
		}
		return nil
	}
}

func inCertificate(leaf *x509.Certificate, n ir.SANMatch) bool {
	if n.URI != "" {
		return slices.ContainsFunc(leaf.URIs, func(u *url.URL) bool { return u.String() == n.URI })
	}
	return n.Hostname != "" && leaf.VerifyHostname(n.Hostname) == nil
}
