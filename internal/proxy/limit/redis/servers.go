package redis

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"runtime"
	"strings"
	"sync"
	"weak"

	"github.com/citoroute/citoroute/internal/ir"
)

// Servers opens stores, one for each server and way to reach it. The zero value
// is ready.
type Servers struct {
	mu   sync.Mutex
	open map[server]weak.Pointer[Store]
}

// server is all that tells stores apart.
type server struct {
	ir.Redis

	username, password, ca string
	certificate, key       string // PEM; shown to a server that asks for it
}

// Open returns the store of a server; secret may be nil. Connections are closed
// when nothing refers to the store any more: no policy, and no request that has
// yet to settle.
func (s *Servers) Open(r *ir.Redis, secret *ir.Secret) *Store {
	id := newServer(r, secret)
	s.mu.Lock()
	defer s.mu.Unlock()
	if store := s.open[id].Value(); store != nil {
		return store
	}
	store := Open(id.options())
	runtime.AddCleanup(store, func(c closer) { _ = c.Close() }, closer(store.client))
	if s.open == nil {
		s.open = make(map[server]weak.Pointer[Store])
	}
	for old, store := range s.open {
		if store.Value() == nil {
			delete(s.open, old)
		}
	}
	s.open[id] = weak.Make(store)
	return store
}

func newServer(r *ir.Redis, secret *ir.Secret) server {
	if secret == nil {
		return server{Redis: *r}
	}
	return server{
		Redis: *r, username: trim(secret.Values["username"]), password: trim(secret.Values["password"]),
		ca: string(secret.CA), certificate: string(secret.Certificate), key: string(secret.Key),
	}
}

// trim cuts off the end of the line that files have.
func trim(b ir.Bytes) string { return strings.TrimSpace(string(b)) }

type closer interface{ Close() error }

func (id *server) options() Options {
	o := Options{Address: id.Address, Username: id.username, Password: id.password, Prefix: id.Prefix}
	if !id.TLS {
		return o
	}
	host, _, _ := net.SplitHostPort(id.Address)
	o.TLS = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if id.ca != "" { // an unreadable one trusts nobody
		o.TLS.RootCAs = x509.NewCertPool()
		o.TLS.RootCAs.AppendCertsFromPEM([]byte(id.ca))
	}
	if id.certificate != "" {
		pair, err := tls.X509KeyPair([]byte(id.certificate), []byte(id.key))
		o.TLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, err }
	}
	return o
}
