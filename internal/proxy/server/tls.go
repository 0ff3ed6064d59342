package server

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/router"
)

// identities are TLS configurations by a hash of all that they are made of, so
// that an unchanged one keeps its sessions and is not parsed again.
type identities map[[sha256.Size]byte]*tls.Config

// serverNames finds the listener of a TLS port by server name, in the same way
// as the runtime finds it by host: whoever a handshake was with must be whose
// requests are served. It is immutable.
type serverNames struct {
	hosts router.Hosts[*tlsListener]
	// passthrough says that one of them leaves TLS to its backends.
	passthrough bool
}

// tlsListener is a listener and how it ends TLS; config is nil where it does
// not.
type tlsListener struct {
	*ir.Listener
	config *tls.Config
}

// newServerNames builds the table of a port. Configurations are taken from
// old where they are unchanged, and all of them go into next. The error names
// listeners whose clients will be refused; the table is complete all the same.
func newServerNames(listeners []*ir.Listener, secret func(string) *ir.Secret, old, next identities) (*serverNames, error) {
	t := &serverNames{}
	edit := t.hosts.Edit()
	var errs []error
	for _, l := range listeners {
		tl := &tlsListener{Listener: l}
		if l.TLS != nil && l.TLS.Passthrough {
			t.passthrough = true
		} else {
			config, err := identity(l, secret, old, next)
			if err != nil {
				errs = append(errs, &ir.ResourceError{Resource: ir.RefOf(l), Err: err})
				config = refusal()
			}
			tl.config = config
		}
		if _, taken := edit.Get(l.Hostname); !taken { // the first counts, as it does to the runtime
			edit.Set(l.Hostname, tl)
		}
	}
	t.hosts = edit.Done()
	return t, errors.Join(errs...)
}

// find returns the listener for a server name, the most specific hostname
// first, or nil.
func (t *serverNames) find(name string) (found *tlsListener) {
	t.hosts.Find(name, func(l *tlsListener) bool {
		found = l
		return true
	})
	return found
}

// configFor is tls.Config.GetConfigForClient.
func (t *serverNames) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if l := t.find(hello.ServerName); l != nil && l.config != nil {
		return l.config, nil
	}
	return refusal(), nil
}

var errNoCertificate = errors.New("tls: no certificate is configured")

// refusal ends a handshake with the alert unrecognized_name, as crypto/tls
// does without a certificate.
func refusal() *tls.Config { return &tls.Config{MinVersion: tls.VersionTLS12} }

// identity returns the TLS configuration of a listener.
func identity(l *ir.Listener, secret func(string) *ir.Secret, old, next identities) (*tls.Config, error) {
	key, err := identityKey(l, secret)
	if err != nil {
		return nil, err
	}
	if config := old[key]; config != nil {
		next[key] = config
		return config, nil
	}
	config, err := newIdentity(l, secret)
	if err != nil {
		return nil, err
	}
	next[key] = config
	return config, nil
}

// identityKey hashes what newIdentity reads. The listener's name is part of
// it: two listeners never share sessions, even with the same certificate.
func identityKey(l *ir.Listener, secret func(string) *ir.Secret) (key [sha256.Size]byte, err error) {
	if l.TLS == nil {
		return key, errNoCertificate
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	_ = enc.Encode(struct { // into memory, of strings only: it cannot fail
		Name     string
		Protocol ir.Protocol
		TLS      *ir.ServerTLS
	}{l.Name, l.Protocol, l.TLS})
	for _, name := range secretsOf(l.TLS) {
		s := secret(name)
		if s == nil {
			return key, fmt.Errorf("tls: secret %s is missing", name)
		}
		for _, part := range [][]byte{s.Certificate, s.Key, s.CA} {
			sum := sha256.Sum256(part)
			b.Write(sum[:])
		}
	}
	return sha256.Sum256(b.Bytes()), nil
}

func secretsOf(t *ir.ServerTLS) []string {
	if v := t.ClientValidation; v != nil {
		return slices.Concat(t.Certificates, v.CAs)
	}
	return t.Certificates
}

func newIdentity(l *ir.Listener, secret func(string) *ir.Secret) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: cipherSuites()}
	if l.Protocol == ir.ProtocolHTTPS {
		config.NextProtos = []string{"h2", "http/1.1"}
	}
	if err := present(config, l.TLS.Certificates, secret); err != nil {
		return nil, err
	}
	if err := validateClients(config, l.TLS.ClientValidation, secret); err != nil {
		return nil, err
	}
	// A configuration that comes from GetConfigForClient would otherwise use
	// its parent's ticket keys, and a session of one listener could be resumed
	// at another. These use keys of its own, which crypto/tls rotates.
	config.WrapSession, config.UnwrapSession = config.EncryptTicket, config.DecryptTicket
	return config, nil
}

// cipherSuites are, with TLS 1.2, only what RFC 9113 section 9.2.2 lets HTTP/2
// use.
func cipherSuites() []uint16 {
	return []uint16{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	}
}

// present adds the certificates that config shows. Without any, handshakes end as
// those of refusal do.
func present(config *tls.Config, secrets []string, secret func(string) *ir.Secret) error {
	for _, name := range secrets {
		s := secret(name)
		pair, err := tls.X509KeyPair(s.Certificate, s.Key)
		if err != nil {
			return fmt.Errorf("tls: secret %s: %w", name, err)
		}
		config.Certificates = append(config.Certificates, pair)
	}
	return nil
}

// validateClients sets what config demands of clients.
func validateClients(config *tls.Config, v *ir.ClientValidation, secret func(string) *ir.Secret) error {
	if v == nil {
		return nil
	}
	// A resumed session would not be checked against the current authorities.
	config.SessionTicketsDisabled = true
	if v.AllowInsecureFallback {
		config.ClientAuth = tls.RequestClientCert
		return nil
	}
	pool, err := authorities(v.CAs, secret)
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, pool
	return err
}

func authorities(secrets []string, secret func(string) *ir.Secret) (*x509.CertPool, error) {
	if len(secrets) == 0 {
		return nil, errors.New("tls: client validation names no certificate authority")
	}
	pool := x509.NewCertPool()
	for _, name := range secrets {
		if !pool.AppendCertsFromPEM(secret(name).CA) {
			return nil, fmt.Errorf("tls: %s holds no certificate authority", name)
		}
	}
	return pool, nil
}
