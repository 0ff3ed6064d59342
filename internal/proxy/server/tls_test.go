package server

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

// clientTLS trusts ca.
func clientTLS(ca *authority) *tls.Config {
	return &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS12}
}

// connect shakes hands with a server name. The error is the alert.
func connect(t *testing.T, srv *Server, config *tls.Config, name string) (tls.ConnectionState, error) {
	t.Helper()
	config = config.Clone()
	config.ServerName = name
	conn := tls.Client(dial(t, addr(t, srv, 443)), config)
	if err := conn.HandshakeContext(t.Context()); err != nil {
		return tls.ConnectionState{}, err
	}
	// With TLS 1.3 a client learns only from the first read that its own
	// certificate was refused.
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+name+"\r\n\r\n"); err != nil {
		return tls.ConnectionState{}, err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return tls.ConnectionState{}, err
	}
	return conn.ConnectionState(), nil
}

func TestTLS_ChoosesByServerName(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	apply(
		t, srv,
		httpsListener("exact", "a.example.com", "exact"), ca.secret("exact", "a.example.com"),
		httpsListener("wild", "*.example.com", "wild"), ca.secret("wild", "*.example.com", "b.a.example.com"),
		httpsListener("narrow", "*.b.example.com", "narrow"), ca.secret("narrow", "*.b.example.com"),
		httpsListener("other", "other.test", "other"), ca.secret("other", "other.test"),
	)
	for name, c := range map[string]struct{ sni, want string }{
		"Exact":               {"a.example.com", "a.example.com"},
		"ExactInCapitals":     {"A.Example.COM", "a.example.com"},
		"Wildcard":            {"c.example.com", "*.example.com"},
		"WildcardManyLabels":  {"b.a.example.com", "*.example.com"},
		"MostSpecific":        {"c.b.example.com", "*.b.example.com"},
		"AnotherListener":     {"other.test", "other.test"},
		"ParentOfWildcard":    {"example.com", ""},
		"Unknown":             {"evil.test", ""},
		"SuffixWithoutTheDot": {"xexample.com", ""},
	} {
		t.Run(name, func(t *testing.T) {
			state, err := connect(t, srv, clientTLS(ca), c.sni)
			if c.want == "" {
				if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
					t.Errorf("got %v, want the alert unrecognized_name", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := state.PeerCertificates[0].Subject.CommonName; got != c.want {
				t.Errorf("got the certificate of %s, want %s", got, c.want)
			}
		})
	}
}

func TestTLS_ListenerWithoutHostnameTakesTheRest(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	apply(t, srv, httpsListener("any", "", "any"), ca.secret("any", "x.test"))
	if _, err := connect(t, srv, clientTLS(ca), "x.test"); err != nil {
		t.Error(err)
	}
}

func TestTLS_Versions(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	apply(t, srv, httpsListener("l", "a.test", "s"), ca.secret("s", "a.test"))
	for name, c := range map[string]struct {
		version uint16
		ok      bool
	}{"TLS11": {tls.VersionTLS11, false}, "TLS12": {tls.VersionTLS12, true}, "TLS13": {tls.VersionTLS13, true}} {
		t.Run(name, func(t *testing.T) {
			config := clientTLS(ca)
			config.MinVersion, config.MaxVersion = tls.VersionTLS10, c.version
			if _, err := connect(t, srv, config, "a.test"); (err == nil) != c.ok {
				t.Errorf("handshake: %v", err)
			}
		})
	}
}

func TestTLS_ALPN(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	l := httpsListener("l", "a.test", "s")
	apply(t, srv, append(forward(l, ir.ProtocolHTTP, serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
	})), l, ca.secret("s", "a.test"))...)
	for name, set := range map[string]func(*http.Protocols){"HTTP1": http1, "HTTP2": func(p *http.Protocols) { p.SetHTTP2(true) }} {
		t.Run(name, func(t *testing.T) {
			c := client(t, clientTLS(ca), addr(t, srv, 443), set)
			if status, body, err := get(t, c, "https://a.test/"); status != 200 || body != "https" {
				t.Errorf("got %d %q, %v", status, body, err)
			}
		})
	}
	t.Run("Unknown", func(t *testing.T) {
		config := clientTLS(ca)
		config.NextProtos = []string{"smtp"}
		if _, err := connect(t, srv, config, "a.test"); err == nil || !strings.Contains(err.Error(), "no application protocol") {
			t.Errorf("got %v, want the alert no_application_protocol", err)
		}
	})
}

func TestTLS_ClientCertificates(t *testing.T) {
	ca, clients, strangers := newAuthority(t), newAuthority(t), newAuthority(t)
	srv, _ := start(t, Options{})
	strict, lax := httpsListener("strict", "strict.test", "s"), httpsListener("lax", "lax.test", "s")
	strict.TLS.ClientValidation = &ir.ClientValidation{CAs: []string{"ca"}}
	lax.TLS.ClientValidation = &ir.ClientValidation{CAs: []string{"ca"}, AllowInsecureFallback: true}
	apply(t, srv, strict, lax, ca.secret("s", "strict.test", "lax.test"), &ir.Secret{Name: "ca", CA: clients.PEM()})
	for name, c := range map[string]struct {
		host string
		from *authority
		ok   bool
	}{
		"StrictGood":     {"strict.test", clients, true},
		"StrictNone":     {"strict.test", nil, false},
		"StrictStranger": {"strict.test", strangers, false},
		"LaxNone":        {"lax.test", nil, true},
		"LaxStranger":    {"lax.test", strangers, true},
	} {
		t.Run(name, func(t *testing.T) {
			config := clientTLS(ca)
			if c.from != nil {
				s := c.from.secret("c", "client.test")
				pair, err := tls.X509KeyPair(s.Certificate, s.Key)
				if err != nil {
					t.Fatal(err)
				}
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			}
			if _, err := connect(t, srv, config, c.host); (err == nil) != c.ok {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestTLS_SessionsStayWithTheirListener is TL-022, and TL-021
// without client certificates.
func TestTLS_SessionsStayWithTheirListener(t *testing.T) {
	for name, version := range map[string]uint16{"TL-022 TLS12": tls.VersionTLS12, "TL-022 TLS13": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			ca := newAuthority(t)
			srv, _ := start(t, Options{})
			secret := ca.secret("s", "a.test", "b.test")
			resources := []ir.Resource{httpsListener("a", "a.test", "s"), httpsListener("b", "b.test", "s"), secret}
			apply(t, srv, resources...)
			config := clientTLS(ca)
			config.MaxVersion = version
			shared := &oneSession{}
			config.ClientSessionCache = shared
			resumed := func(name string) bool {
				state, err := connect(t, srv, config, name)
				if err != nil {
					t.Fatal(err)
				}
				return state.DidResume
			}
			if resumed("a.test") {
				t.Error("resumed without a session")
			}
			apply(t, srv, resources...)
			if !resumed("a.test") {
				t.Error("an unchanged listener has forgotten its sessions")
			}
			if resumed("b.test") {
				t.Error("a session of one listener was resumed at another")
			}
		})
	}
}

// oneSession offers the last session to every server.
type oneSession struct{ last *tls.ClientSessionState }

func (c *oneSession) Get(string) (*tls.ClientSessionState, bool) { return c.last, c.last != nil }

func (c *oneSession) Put(_ string, s *tls.ClientSessionState) {
	if s != nil {
		c.last = s
	}
}

func TestTLS_BadCertificateLeavesOthersAlone(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	bad := httpsListener("bad", "bad.test", "bad")
	err := srv.Apply(ir.Update{Complete: true, Upserts: []ir.Resource{
		httpsListener("good", "good.test", "good"), ca.secret("good", "good.test"),
		bad, &ir.Secret{Name: "bad", Certificate: []byte("no PEM"), Key: ir.Bytes("none")},
	}})
	if err == nil || !strings.Contains(err.Error(), bad.Name) || !strings.Contains(err.Error(), "secret bad") {
		t.Errorf("got %v, want an error that names listener and secret", err)
	}
	if _, err := connect(t, srv, clientTLS(ca), "good.test"); err != nil {
		t.Errorf("the good listener: %v", err)
	}
	if _, err := connect(t, srv, clientTLS(ca), "bad.test"); err == nil {
		t.Error("the bad listener has shaken hands")
	}
}

func TestTLS_PlainHTTPIsToldSo(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	apply(t, srv, httpsListener("l", "a.test", "s"), ca.secret("s", "a.test"))
	for row, say := range map[string]string{
		"TL-005 GET":  "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"TL-005 POST": "POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 100\r\n\r\n",
	} {
		t.Run(row, func(t *testing.T) {
			conn := dial(t, addr(t, srv, 443))
			_, _ = io.WriteString(conn, say)
			b := make([]byte, len("HTTP/1.1 400 "))
			if _, err := io.ReadFull(conn, b); err != nil || string(b) != "HTTP/1.1 400 " {
				t.Errorf("got %q, %v", b, err)
			}
		})
	}
}

// TestTLS_OnAnHTTPPort is the other half of row TL-005.
func TestTLS_OnAnHTTPPort(t *testing.T) {
	srv, _ := start(t, Options{})
	l := httpListener(80)
	apply(t, srv, l, answer(l, 200, "yes"))
	t.Run("TL-005 hello", func(t *testing.T) {
		conn := dial(t, addr(t, srv, 80))
		_, _ = conn.Write(newHello("a.test").bytes())
		_ = conn.CloseWrite()
		if b, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 400 ") {
			t.Errorf("got %q, %v", b, err)
		}
	})
}
