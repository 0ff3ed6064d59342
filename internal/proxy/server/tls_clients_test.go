package server

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/certtest"
	"github.com/citoroute/citoroute/internal/ir"
)

// Row TL-031 of the security catalogue: certificates that clients show.

// issuer is a certificate with its key.
type issuer struct{ *certtest.Pair }

// issue signs a certificate with what change makes of a good one. by nil: by
// itself.
func issue(t *testing.T, by *issuer, change func(c *x509.Certificate)) *issuer {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "client"}, DNSNames: []string{"client.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	change(template)
	if by == nil {
		return &issuer{certtest.New(t, template, nil)}
	}
	return &issuer{certtest.New(t, template, by.Pair)}
}

// authorityOf makes a certificate one of an authority; subject keeps chains apart.
func authorityOf(subject string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject.CommonName, c.DNSNames, c.ExtKeyUsage = subject, nil, nil
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	}
}

func (i *issuer) show(others ...*issuer) *tls.Certificate {
	out := i.TLS()
	for _, o := range others {
		out.Certificate = append(out.Certificate, o.Cert.Raw)
	}
	return &out
}

func same(*x509.Certificate) {}

func usage(u ...x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.ExtKeyUsage = u }
}

// clientCertificates are the certificates by row, and whether they are let in.
func clientCertificates(t *testing.T, root *issuer) map[string]struct {
	shown *tls.Certificate
	ok    bool
} {
	t.Helper()
	type shown = struct {
		shown *tls.Certificate
		ok    bool
	}
	middle, elsewhere := issue(t, root, authorityOf("middle")), issue(t, nil, authorityOf("root"))
	leafOnly := issue(t, root, func(c *x509.Certificate) {
		authorityOf("no deeper")(c)
		c.MaxPathLenZero = true
	})
	below := issue(t, leafOnly, authorityOf("too deep"))
	limited := issue(t, root, func(c *x509.Certificate) {
		authorityOf("limited")(c)
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"other.test"}
	})
	noAuthority := issue(t, root, same)
	serverOnly := issue(t, root, func(c *x509.Certificate) {
		authorityOf("for servers")(c)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	extra := make([]*issuer, 100)
	for i := range extra {
		extra[i] = elsewhere
	}
	long := issue(t, root, func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Value: make([]byte, 300<<10)}}
	})
	return map[string]shown{
		"TL-031 good":                    {issue(t, root, same).show(), true},
		"TL-031 with intermediate":       {issue(t, middle, same).show(middle), true},
		"TL-031 any usage":               {issue(t, root, usage(x509.ExtKeyUsageAny)).show(), true},
		"TL-031 usage not limited":       {issue(t, root, usage()).show(), true},
		"TL-031 none":                    {nil, false},
		"TL-031 self-signed":             {issue(t, nil, same).show(), false},
		"TL-031 other authority":         {issue(t, elsewhere, same).show(), false},
		"TL-031 other authority shown":   {issue(t, elsewhere, same).show(elsewhere), false},
		"TL-031 expired":                 {issue(t, root, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }).show(), false},
		"TL-031 not yet valid":           {issue(t, root, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }).show(), false},
		"TL-031 for servers":             {issue(t, root, usage(x509.ExtKeyUsageServerAuth)).show(), false},
		"TL-031 for e-mail":              {issue(t, root, usage(x509.ExtKeyUsageEmailProtection)).show(), false},
		"TL-031 authority for servers":   {issue(t, serverOnly, same).show(serverOnly), false},
		"TL-031 missing intermediate":    {issue(t, middle, same).show(), false},
		"TL-031 path too long":           {issue(t, below, same).show(below, leafOnly), false},
		"TL-031 name constraints":        {issue(t, limited, same).show(limited), false},
		"TL-031 issuer is no authority":  {issue(t, noAuthority, same).show(noAuthority), false},
		"TL-031 SHA-1":                   {issue(t, root, func(c *x509.Certificate) { c.SignatureAlgorithm = x509.ECDSAWithSHA1 }).show(), false},
		"TL-031 unknown critical":        {issue(t, root, func(c *x509.Certificate) { c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Critical: true}} }).show(), false},
		"TL-031 certificate of 300 KiB":  {long.show(), false},
		"TL-031 100 useless ones beside": {issue(t, elsewhere, same).show(extra...), false},
		"TL-031 key of another":          {&tls.Certificate{Certificate: [][]byte{issue(t, root, same).Cert.Raw}, PrivateKey: elsewhere.Key}, false},
	}
}

func TestClients_Certificates(t *testing.T) {
	ca, root := newAuthority(t), issue(t, nil, authorityOf("root"))
	srv, _ := start(t, Options{})
	strict, lax := httpsListener("strict", "strict.test", "s"), httpsListener("lax", "lax.test", "s")
	strict.TLS.ClientValidation = &ir.ClientValidation{CAs: []string{"ca"}}
	lax.TLS.ClientValidation = &ir.ClientValidation{CAs: []string{"ca"}, AllowInsecureFallback: true}
	apply(t, srv, strict, lax, ca.secret("s", "strict.test", "lax.test"), &ir.Secret{Name: "ca", CA: root.PEM()})
	for row, c := range clientCertificates(t, root) {
		t.Run(row, func(t *testing.T) {
			for name, version := range map[string]uint16{"TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13} {
				config := clientTLS(ca)
				config.MaxVersion = version
				if c.shown != nil {
					config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.shown, nil }
				}
				if _, err := connect(t, srv, config, "strict.test"); (err == nil) != c.ok {
					t.Errorf("%s: %v", name, err)
				}
				if broken := strings.HasSuffix(row, "of another") || strings.HasSuffix(row, "KiB"); broken {
					continue // no valid handshake at all
				}
				if _, err := connect(t, srv, config, "lax.test"); err != nil {
					t.Errorf("%s, with AllowInsecureFallback: %v", name, err)
				}
			}
		})
	}
}

// TestClients_DecisionsAreMadeAgain is rows TL-021 and TL-023: no session takes a
// client past what its listener demands now.
func TestClients_DecisionsAreMadeAgain(t *testing.T) {
	ca, first, second := newAuthority(t), newAuthority(t), newAuthority(t)
	for version, number := range map[string]uint16{"TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13} {
		srv, _ := start(t, Options{})
		a, b, open := httpsListener("a", "a.test", "s"), httpsListener("b", "b.test", "s"), httpsListener("open", "open.test", "s")
		a.TLS.ClientValidation = &ir.ClientValidation{CAs: []string{"first"}}
		b.TLS.ClientValidation = &ir.ClientValidation{CAs: []string{"second"}}
		secret := ca.secret("s", "a.test", "b.test", "open.test")
		configure := func(pem []byte) {
			apply(t, srv, a, b, open, secret, &ir.Secret{Name: "first", CA: pem}, &ir.Secret{Name: "second", CA: second.PEM()})
		}
		configure(first.PEM())
		config := clientTLS(ca)
		config.MaxVersion, config.ClientSessionCache = number, &oneSession{}
		with := func(from *authority) *tls.Config {
			s, c := from.secret("c", "client.test"), config.Clone()
			pair, err := tls.X509KeyPair(s.Certificate, s.Key)
			if err != nil {
				t.Fatal(err)
			}
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			return c
		}
		refused := func(t *testing.T, config *tls.Config, name string) {
			t.Helper()
			if state, err := connect(t, srv, config, name); err == nil {
				t.Errorf("%s lets in (resumed: %v)", name, state.DidResume)
			}
		}
		t.Run("TL-021 session of an open listener/"+version, func(t *testing.T) {
			if _, err := connect(t, srv, config, "open.test"); err != nil {
				t.Fatal(err)
			}
			refused(t, config, "a.test")
		})
		t.Run("TL-021 session of another authority/"+version, func(t *testing.T) {
			if _, err := connect(t, srv, with(first), "a.test"); err != nil {
				t.Fatal(err)
			}
			refused(t, config, "b.test")
			refused(t, with(first), "b.test")
		})
		t.Run("TL-023 authority replaced/"+version, func(t *testing.T) {
			client := with(first)
			for range 2 {
				if state, err := connect(t, srv, client, "a.test"); err != nil || state.DidResume {
					t.Fatalf("resumed %v, %v", state.DidResume, err)
				}
			}
			configure(second.PEM())
			refused(t, client, "a.test")
			if _, err := connect(t, srv, with(second), "a.test"); err != nil {
				t.Error(err)
			}
		})
		t.Run("TL-023 demanded from now on/"+version, func(t *testing.T) {
			if _, err := connect(t, srv, config, "open.test"); err != nil {
				t.Fatal(err)
			}
			closed := *open
			closed.TLS = &ir.ServerTLS{Certificates: []string{"s"}, ClientValidation: b.TLS.ClientValidation}
			apply(t, srv, &closed, secret, &ir.Secret{Name: "second", CA: second.PEM()})
			refused(t, config, "open.test")
		})
	}
}
