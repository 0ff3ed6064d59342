package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"path/filepath"

	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// metricsSettings say where /metrics is served and who may read it.
type metricsSettings struct {
	address string
	// secure serves HTTPS, to whom the API server says may read.
	secure bool
	// certPath is the folder of the files certName and certKey. Empty: the server
	// makes itself a certificate.
	certPath, certName, certKey string
}

// flags declares the flags, named as kubebuilder names them.
func (m *metricsSettings) flags(f *flag.FlagSet) {
	f.StringVar(&m.address, "metrics-bind-address", ":8443",
		"where /metrics is served; 0 turns it off")
	f.StringVar(&m.address, "metrics-address", ":8443",
		"the former name of --metrics-bind-address")
	f.BoolVar(&m.secure, "metrics-secure", true,
		"serve /metrics over HTTPS, and only to callers whose token may get it; false: over HTTP to everybody")
	f.StringVar(&m.certPath, "metrics-cert-path", "",
		"folder of the certificate of /metrics; empty: a self-signed one is made at every start")
	f.StringVar(&m.certName, "metrics-cert-name", "tls.crt",
		"name of the certificate's file in that folder")
	f.StringVar(&m.certKey, "metrics-cert-key", "tls.key",
		"name of its key's file in that folder")
}

// options returns those of the manager's metrics server. A certificate that was
// asked for must be there: the server would make itself another one.
func (m *metricsSettings) options() (metricsserver.Options, error) {
	o := metricsserver.Options{BindAddress: m.address}
	if m.address == "0" || !m.secure {
		return o, nil
	}
	o.SecureServing = true
	o.FilterProvider = filters.WithAuthenticationAndAuthorization
	o.TLSOpts = []func(*tls.Config){onlyHTTP1}
	if m.certPath != "" {
		o.CertDir, o.CertName, o.KeyName = m.certPath, m.certName, m.certKey
		if _, err := tls.LoadX509KeyPair(filepath.Join(m.certPath, m.certName), filepath.Join(m.certPath, m.certKey)); err != nil {
			return o, fmt.Errorf("--metrics-cert-path: %w", err)
		}
	}
	return o, nil
}

// onlyHTTP1 offers no HTTP/2: one scrape at a time needs none, and callers are
// told from strangers only after they have opened their streams.
func onlyHTTP1(c *tls.Config) {
	c.NextProtos = []string{"http/1.1"}
	c.MinVersion = tls.VersionTLS12
}
