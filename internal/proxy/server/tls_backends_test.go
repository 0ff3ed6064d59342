package server

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// Rows TL-015 and TL-035 to TL-038 of the security catalogue: TLS between
// the proxy and backends.

// tlsBackend answers with what it sees of the proxy, and counts the requests.
func tlsBackend(t *testing.T, config *tls.Config) (address string, requests *atomic.Int64) {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests = new(atomic.Int64)
	srv := &http.Server{TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		shown := "nobody"
		if len(r.TLS.PeerCertificates) > 0 {
			shown = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		_, _ = fmt.Fprintf(w, "%s %s %s", r.TLS.ServerName, shown, r.RemoteAddr)
	})}
	go func() { _ = srv.ServeTLS(ln, "", "") }()
	t.Cleanup(func() { _ = srv.Close() })
	return ln.Addr().String(), requests
}

// reach are the resources of a backend at an address, and a route to it by the
// path of its name.
func reach(l *ir.Listener, name, address string, config *ir.ClientTLS) []ir.Resource {
	at := netip.MustParseAddrPort(address)
	return []ir.Resource{
		&ir.Endpoints{Name: name, Addresses: []ir.Endpoint{{Host: at.Addr().String(), Port: at.Port()}}},
		&ir.Backend{Name: name, Protocol: ir.ProtocolHTTP, Endpoints: name, TLS: config, ConnectTimeout: time.Second},
		&ir.Route{Name: name, Listener: l.Name, Rules: []ir.Rule{{
			Matches:  []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: "/" + name}}},
			Backends: []ir.WeightedBackend{{Backend: name, Weight: 1}},
		}}},
	}
}

func TestBackends_Certificates(t *testing.T) {
	root, elsewhere := issue(t, nil, authorityOf("root")), issue(t, nil, authorityOf("root"))
	named := func(by *issuer, change func(c *x509.Certificate)) *tls.Certificate {
		return issue(t, by, func(c *x509.Certificate) {
			c.DNSNames, c.ExtKeyUsage = []string{"a.test"}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
			change(c)
		}).show()
	}
	dns := func(names ...string) func(*x509.Certificate) { return func(c *x509.Certificate) { c.DNSNames = names } }
	uri := func(s string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			u, err := url.Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			c.DNSNames, c.URIs = nil, []*url.URL{u}
		}
	}
	policy := &ir.ClientTLS{ServerName: "a.test", CAs: []string{"ca"}}
	byURI := &ir.ClientTLS{ServerName: "a.test", CAs: []string{"ca"}, SubjectAltNames: []ir.SANMatch{{URI: "spiffe://a/b"}}}
	byName := &ir.ClientTLS{ServerName: "a.test", CAs: []string{"ca"}, SubjectAltNames: []ir.SANMatch{{Hostname: "b.test"}}}
	l := httpListener(80)
	srv, _ := start(t, Options{})
	for row, c := range map[string]struct {
		policy *ir.ClientTLS
		shown  *tls.Certificate
		ok     bool
	}{
		"TL-035 good":                   {policy, named(root, same), true},
		"TL-035 wildcard":               {policy, named(root, dns("*.test")), true},
		"TL-035 wildcard of two labels": {&ir.ClientTLS{ServerName: "b.a.test", CAs: []string{"ca"}}, named(root, dns("*.test")), false},
		"TL-035 other name":             {policy, named(root, dns("b.test")), false},
		"TL-035 longer name":            {policy, named(root, dns("a.test.evil.test")), false},
		"TL-035 NUL in a name":          {policy, named(root, dns("a.test\x00.evil.test")), false},
		"TL-035 common name only":       {policy, named(root, func(c *x509.Certificate) { c.DNSNames, c.Subject.CommonName = nil, "a.test" }), false},
		"TL-035 e-mail address":         {policy, named(root, func(c *x509.Certificate) { c.DNSNames, c.EmailAddresses = nil, []string{"a.test"} }), false},
		"TL-035 URI for a name":         {policy, named(root, uri("https://a.test")), false},
		"TL-035 URI":                    {byURI, named(root, uri("spiffe://a/b")), true},
		"TL-035 longer URI":             {byURI, named(root, uri("spiffe://a/b/c")), false},
		"TL-035 name for a URI":         {byURI, named(root, dns("a.test", "spiffe://a/b")), false},
		"TL-035 other of the names":     {byName, named(root, same), false},
		"TL-035 one of the names":       {byName, named(root, dns("x.test", "b.test")), true},
		"TL-035 names, other authority": {byName, named(elsewhere, dns("b.test")), false},
		"TL-035 expired":                {policy, named(root, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) }), false},
		"TL-035 names, expired":         {byName, named(root, func(c *x509.Certificate) { dns("b.test")(c); c.NotAfter = time.Now().Add(-time.Second) }), false},
		"TL-035 for clients":            {policy, named(root, usage(x509.ExtKeyUsageClientAuth)), false},
		"TL-035 names, for clients":     {byName, named(root, func(c *x509.Certificate) { dns("b.test")(c); usage(x509.ExtKeyUsageClientAuth)(c) }), false},
		"TL-035 unknown authority":      {policy, named(elsewhere, same), false},
		"TL-035 self-signed":            {policy, named(nil, same), false},
		"TL-035 authority missing":      {&ir.ClientTLS{ServerName: "a.test", CAs: []string{"gone"}}, named(root, same), false},
		"TL-035 authority empty":        {&ir.ClientTLS{ServerName: "a.test", CAs: []string{"empty"}}, named(root, same), false},
		"TL-035 no authority":           {&ir.ClientTLS{ServerName: "a.test"}, named(root, same), false},
		"TL-035 system's authorities":   {&ir.ClientTLS{ServerName: "a.test", SystemCAs: true}, named(root, same), false},
	} {
		t.Run(row, func(t *testing.T) {
			address, requests := tlsBackend(t, &tls.Config{Certificates: []tls.Certificate{*c.shown}})
			apply(t, srv, append(reach(l, "b", address, c.policy), l, &ir.Secret{Name: "ca", CA: root.PEM()}, &ir.Secret{Name: "empty"})...)
			status, body := askRaw(t, addr(t, srv, 80), "/b")
			if (status == http.StatusOK) != c.ok || !c.ok && (status < 500 || requests.Load() > 0) {
				t.Errorf("%d %s, %d requests reached the backend", status, body, requests.Load())
			}
		})
	}
}

// TestBackends_Identities is rows TL-036 and TL-038: one address, and backends
// that differ in how TLS is spoken to it.
func TestBackends_Identities(t *testing.T) {
	ca, clients := newAuthority(t), newAuthority(t)
	shown := ca.secret("x", "a.test", "b.test")
	pair, err := tls.X509KeyPair(shown.Certificate, shown.Key)
	if err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"http/1.1", "h2"} {
		address, _ := tlsBackend(t, &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{protocol}, ClientAuth: tls.RequestClientCert})
		l := httpListener(80)
		resources := []ir.Resource{l, &ir.Secret{Name: "ca", CA: ca.PEM()}, &ir.Secret{Name: "other", CA: clients.PEM()}, clients.secret("c", "gateway")}
		for name, config := range map[string]*ir.ClientTLS{
			"a": {ServerName: "a.test"}, "b": {ServerName: "b.test"}, "shows": {ServerName: "a.test", Certificate: "c"},
			"names": {ServerName: "a.test", SubjectAltNames: []ir.SANMatch{{Hostname: "b.test"}}},
		} {
			config.CAs = []string{"ca"}
			resources = append(resources, reach(l, name, address, config)...)
		}
		resources = append(resources, reach(l, "distrusts", address, &ir.ClientTLS{ServerName: "a.test", CAs: []string{"other"}})...)
		srv, _ := start(t, Options{})
		apply(t, srv, resources...)
		at := addr(t, srv, 80)
		connections := map[string]string{}
		for row, want := range map[string]string{"TL-036 a": "a.test nobody ", "TL-036 b": "b.test nobody ", "TL-036 names": "a.test nobody ", "TL-038 shows": "a.test gateway "} {
			t.Run(row+"/"+protocol, func(t *testing.T) {
				_, path, _ := strings.Cut(row, " ")
				for range 3 {
					status, body := askRaw(t, at, "/"+path)
					connection, ok := strings.CutPrefix(body, want)
					if status != http.StatusOK || !ok {
						t.Fatalf("%d %q, want %q", status, body, want)
					}
					if by := connections[connection]; by != "" && by != path {
						t.Errorf("shares a connection with %s", by)
					}
					connections[connection] = path
				}
			})
		}
		if len(connections) != 4 {
			t.Errorf("TL-036: %d connections by 4 identities: %v", len(connections), connections)
		}
		t.Run("TL-036 another authority/"+protocol, func(t *testing.T) {
			if status, body := askRaw(t, at, "/distrusts"); status < 500 {
				t.Errorf("%d %q", status, body)
			}
		})
	}
}

// TestBackends_BrokenHandshakes is rows TL-037 and TL-035: what is no TLS gets
// nothing but a ClientHello.
func TestBackends_BrokenHandshakes(t *testing.T) {
	ca := newAuthority(t)
	for row, c := range map[string]struct {
		says  string
		close bool
		want  int
	}{
		"TL-037 stall":         {"", false, 503},
		"TL-037 close":         {"", true, 503},
		"TL-037 alert":         {"\x15\x03\x03\x00\x02\x02\x28", true, 503},
		"TL-035 plain HTTP":    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno", true, 503},
		"TL-037 half a record": {"\x16\x03\x03\x40\x00\x02", false, 503},
	} {
		t.Run(row, func(t *testing.T) {
			ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var plain atomic.Int64
			backend := serveEach(t, ln, func(conn net.Conn) {
				b := make([]byte, 1<<16)
				n, _ := conn.Read(b)
				if n > 0 && b[0] != 22 {
					plain.Add(1)
				}
				_, _ = io.WriteString(conn, c.says)
				if !c.close {
					_, _ = io.Copy(io.Discard, conn)
				}
			})
			srv, _ := start(t, Options{})
			l := httpListener(80)
			apply(t, srv, append(reach(l, "b", backend, &ir.ClientTLS{ServerName: "a.test", CAs: []string{"ca"}}), l, &ir.Secret{Name: "ca", CA: ca.PEM()})...)
			if status, body := askRaw(t, addr(t, srv, 80), "/b"); status != c.want || plain.Load() > 0 {
				t.Errorf("%d %q, want %d; %d connections without TLS", status, body, c.want, plain.Load())
			}
		})
	}
}

// TestBackends_Passthrough is row TL-015: what was read of a hello is handed on
// once, and a client who says none is closed.
func TestBackends_Passthrough(t *testing.T) {
	srv, _ := start(t, Options{HeaderTimeout: 500 * time.Millisecond, Dial: upstream.Dialer{}})
	through := func(address string) {
		l := &ir.Listener{Name: "ns/gw/through", Port: 443, Protocol: ir.ProtocolTLS, TLS: &ir.ServerTLS{Passthrough: true}}
		apply(t, srv, append(forward(l, ir.ProtocolTCP, address), l)...)
	}
	exchange := func(t *testing.T, sends ...string) string {
		t.Helper()
		conn := dial(t, addr(t, srv, 443))
		for _, s := range sends {
			_, _ = io.WriteString(conn, s)
		}
		_ = conn.CloseWrite()
		b, _ := io.ReadAll(conn)
		return string(b)
	}
	whole := string(newHello("a.test").bytes())
	through(echo(t))
	t.Run("TL-015 once and in order", func(t *testing.T) {
		if got, want := exchange(t, whole[:7], whole[7:]+"more", "and more"), "echo "+whole+"moreand more"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("TL-015 larger than what is looked at", func(t *testing.T) {
		if got := exchange(t, "\x16\x03\x01\x40\x00\x01\x02\x00\x00", strings.Repeat(strings.Repeat("x", 1<<14-4)+"\x16\x03\x01\x40\x00", 20)); got != "" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("TL-015 stall", func(t *testing.T) {
		conn := dial(t, addr(t, srv, 443))
		_, _ = io.WriteString(conn, whole[:20])
		if b, err := io.ReadAll(conn); err != nil || len(b) > 0 {
			t.Errorf("got %q, %v", b, err)
		}
	})
	through(closed(t))
	t.Run("TL-015 backend refuses", func(t *testing.T) {
		if got := exchange(t, whole); got != "" {
			t.Errorf("got %q", got)
		}
	})
}
