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
	used, err := trust(config, c, find)
	if err != nil {
		return nil, used, err
	}
	shown, err := present(config, c.Certificate, find)
	used = append(used, shown...)
	if err != nil {
		return nil, used, err
	}
	if len(c.SubjectAltNames) > 0 {
		checkNames(config, c.SubjectAltNames)
	}
	return config, used, nil
}

// trust sets the authorities that config believes, and returns the secrets that
// they come from.
func trust(config *tls.Config, c *ir.ClientTLS, find SecretSource) (used []*ir.Secret, err error) {
	if c.SystemCAs {
		return nil, nil
	}
	if len(c.CAs) == 0 {
		return nil, errors.New("no certificate authority is named")
	}
	config.RootCAs = x509.NewCertPool()
	for _, name := range c.CAs {
		s := find(name)
		used = append(used, s)
		if s == nil || !config.RootCAs.AppendCertsFromPEM(s.CA) {
			return used, fmt.Errorf("%s holds no certificate authority", name)
		}
	}
	return used, nil
}

// present sets the client's certificate, if one is named, and returns the
// secret that it comes from.
func present(config *tls.Config, name string, find SecretSource) (used []*ir.Secret, err error) {
	if name == "" {
		return nil, nil
	}
	s := find(name)
	if s == nil {
		return []*ir.Secret{s}, fmt.Errorf("%s is not known", name)
	}
	pair, err := tls.X509KeyPair(s.Certificate, s.Key)
	if err != nil {
		return []*ir.Secret{s}, fmt.Errorf("%s: %w", name, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return []*ir.Secret{s}, nil
}

// checkNames has one of names be in the certificate instead of the server
// name. The chain is verified here, since crypto/tls can not do one without
// the other.
func checkNames(config *tls.Config, names []ir.SANMatch) {
	roots := config.RootCAs
	config.InsecureSkipVerify = true // VerifyConnection verifies, also for resumed sessions
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if err := verifyChain(state.PeerCertificates, roots); err != nil {
			return err
		}
		leaf := state.PeerCertificates[0]
		if !slices.ContainsFunc(names, func(n ir.SANMatch) bool { return inCertificate(leaf, n) }) {
			return errors.New("certificate of backend has none of the wanted subject alternative names")
		}
		return nil
	}
}

// verifyChain checks the first certificate with the help of the others.
func verifyChain(chain []*x509.Certificate, roots *x509.CertPool) error {
	if len(chain) == 0 {
		return errors.New("backend sent no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain[1:] {
		intermediates.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
	return err
}

func inCertificate(leaf *x509.Certificate, n ir.SANMatch) bool {
	if n.URI != "" {
		return slices.ContainsFunc(leaf.URIs, func(u *url.URL) bool { return u.String() == n.URI })
	}
	return n.Hostname != "" && leaf.VerifyHostname(n.Hostname) == nil
}
