package server

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/certtest"
	"github.com/citoroute/citoroute/internal/ir"
)

// Rows of sections 3b and 3c of the security catalogue: sessions, and the
// certificates that the proxy shows.

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// TestSessions_OfAnotherProxy is row TL-025.
func TestSessions_OfAnotherProxy(t *testing.T) {
	for version, number := range map[string]uint16{"TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13} {
		t.Run("TL-025 "+version, func(t *testing.T) {
			ca := newAuthority(t)
			secret := ca.secret("s", "a.test")
			config := clientTLS(ca)
			config.MaxVersion, config.ClientSessionCache = number, &oneSession{}
			for range 2 { // a replica, or the same after a restart
				srv, _ := start(t, Options{})
				apply(t, srv, httpsListener("l", "a.test", "s"), secret)
				if state, err := connect(t, srv, config, "a.test"); err != nil || state.DidResume {
					t.Errorf("resumed %v, %v", state.DidResume, err)
				}
			}
		})
	}
}

// TestCertificates_Expired is row TL-027: whether it matters is for the client
// to say.
func TestCertificates_Expired(t *testing.T) {
	for row, change := range map[string]func(c *x509.Certificate){
		"TL-027 expired":       func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) },
		"TL-027 not yet valid": func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) },
	} {
		t.Run(row, func(t *testing.T) {
			root := issue(t, nil, authorityOf("root"))
			leaf := issue(t, root, func(c *x509.Certificate) {
				change(c)
				c.DNSNames, c.ExtKeyUsage = []string{"a.test"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			})
			srv, _ := start(t, Options{})
			apply(t, srv, httpsListener("l", "a.test", "s"), &ir.Secret{Name: "s", Certificate: leaf.PEM(), Key: leaf.KeyPEM(t)})
			if _, err := connect(t, srv, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}, "a.test"); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestCertificates_TwoOfOneListener is row TL-028.
func TestCertificates_TwoOfOneListener(t *testing.T) {
	ca := newAuthority(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rsaPair := certtest.Sign(t, key, &x509.Certificate{Subject: pkix.Name{CommonName: "rsa"}, DNSNames: []string{"a.test"}}, ca.Pair)
	srv, _ := start(t, Options{})
	l := httpsListener("l", "a.test", "rsa")
	l.TLS.Certificates = []string{"rsa", "first", "second"}
	first := ca.secret("first", "a.test")
	apply(t, srv, l, &ir.Secret{Name: "rsa", Certificate: rsaPair.PEM(), Key: rsaPair.KeyPEM(t)}, first, ca.secret("second", "a.test"))
	for row, c := range map[string]struct {
		suite uint16
		want  []byte
	}{
		"TL-028 client with RSA":                      {tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, rsaPair.PEM()},
		"TL-028 client with ECDSA, the first of both": {tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, first.Certificate},
	} {
		t.Run(row, func(t *testing.T) {
			config := clientTLS(ca)
			config.MaxVersion, config.CipherSuites = tls.VersionTLS12, []uint16{c.suite}
			for range 3 {
				state, err := connect(t, srv, config, "a.test")
				if err != nil {
					t.Fatal(err)
				}
				if got := pemOf(state.PeerCertificates[0].Raw); string(got) != string(c.want) {
					t.Errorf("got the certificate of a %T", state.PeerCertificates[0].PublicKey)
				}
			}
		})
	}
}

// TestCertificates_Rotate is row TL-029: clients shake hands all the time while
// the certificate is replaced, and one stays connected.
func TestCertificates_Rotate(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	l := httpsListener("l", "a.test", "s")
	secret := ca.secret("s", "a.test")
	apply(t, srv, l, answer(l, 200, "yes"), secret)
	at := addr(t, srv, 443)
	stays := client(t, clientTLS(ca), at, http1)
	if _, _, err := get(t, stays, "https://a.test/"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				c := client(t, clientTLS(ca), at, func(p *http.Protocols) { p.SetHTTP2(true) })
				if status, _, err := get(t, c, "https://a.test/"); err != nil || status != 200 {
					t.Errorf("TL-029: %d, %v", status, err)
				}
				c.CloseIdleConnections()
			}
		})
	}
	t.Run("TL-029 new handshakes", func(t *testing.T) {
		for range 20 {
			secret = ca.secret("s", "a.test")
			apply(t, srv, l, answer(l, 200, "yes"), secret)
			state, err := connect(t, srv, clientTLS(ca), "a.test")
			if err != nil {
				t.Fatal(err)
			}
			if string(pemOf(state.PeerCertificates[0].Raw)) != string(secret.Certificate) {
				t.Fatal("an old certificate is shown")
			}
		}
	})
	close(done)
	running.Wait()
	t.Run("TL-029 open connection", func(t *testing.T) {
		opened := 0
		stays.TLSClientConfig.VerifyConnection = func(tls.ConnectionState) error { opened++; return nil }
		if status, _, err := get(t, stays, "https://a.test/"); err != nil || status != 200 || opened > 0 {
			t.Errorf("%d, %v; %d new connections", status, err, opened)
		}
	})
}

// TestCertificates_OnlyOfTheirListener is rows TL-030 and GW-020.
func TestCertificates_OnlyOfTheirListener(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	a, tenant := httpsListener("a", "a.test", "a"), httpsListener("tenant", "shop.test", "bank")
	resources := []ir.Resource{a, tenant, answer(a, 200, "yes"), ca.secret("a", "a.test"), ca.secret("bank", "*.bank.test", "a.test", "shop.test")}
	apply(t, srv, resources...)
	none := func(t *testing.T, name string) {
		t.Helper()
		if state, err := connect(t, srv, clientTLS(ca), name); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s: %v, %v", name, state.PeerCertificates, err)
		}
	}
	t.Run("GW-020 names in a certificate", func(t *testing.T) {
		none(t, "www.bank.test")
		state, err := connect(t, srv, clientTLS(ca), "a.test")
		if err != nil || state.PeerCertificates[0].Subject.CommonName != "a.test" {
			t.Errorf("%v", err)
		}
	})
	t.Run("TL-030 certificate gone", func(t *testing.T) {
		c := client(t, clientTLS(ca), addr(t, srv, 443), http1)
		open := dialTLS(t, addr(t, srv, 443), clientTLS(ca), "a.test")
		if status, _, err := get(t, c, "https://a.test/"); err != nil || status != 200 {
			t.Fatal(status, err)
		}
		if err := srv.Apply(ir.Update{Complete: true, Upserts: resources[:3]}); err == nil || !strings.Contains(err.Error(), a.Name) {
			t.Errorf("got %v, want an error that names the listener", err)
		}
		none(t, "a.test")
		if _, err := io.WriteString(open, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(open); !strings.HasPrefix(string(b), "HTTP/1.1 200 ") {
			t.Errorf("an open connection gets %q", b)
		}
	})
}

// TestCertificates_OfNobody is the rest of row TL-030: a listener without a
// certificate keeps its name.
func TestCertificates_OfNobody(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	gone, rest := httpsListener("gone", "a.test", ""), httpsListener("rest", "", "rest")
	gone.TLS.Certificates = nil
	apply(t, srv, gone, rest, answer(rest, 200, "yes"), ca.secret("rest", "a.test", "b.test"))
	for row, c := range map[string]struct {
		name, host string
		want       int // 0: no handshake
	}{
		"TL-030 its name":         {"a.test", "a.test", 0},
		"TL-030 its host":         {"b.test", "a.test", 421},
		"TL-030 any other, too":   {"b.test", "b.test", 200},
		"TL-030 name with a port": {"a.test:1", "a.test", 0},
	} {
		t.Run(row, func(t *testing.T) {
			cl := client(t, &tls.Config{InsecureSkipVerify: true, ServerName: c.name}, addr(t, srv, 443), http1)
			if status, err := askHost(t, cl, addr(t, srv, 443), c.host); status != c.want || (err != nil) != (c.want == 0) {
				t.Errorf("%d, %v", status, err)
			}
		})
	}
}

func dialTLS(t *testing.T, at string, config *tls.Config, name string) *tls.Conn {
	t.Helper()
	config = config.Clone()
	config.ServerName = name
	conn := tls.Client(dial(t, at), config)
	if err := conn.HandshakeContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	return conn
}
