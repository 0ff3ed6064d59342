package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/certtest"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/observe"
)

// timeout is how long a test waits for what must happen.
const timeout = 10 * time.Second

// start runs a Server on loopback, on ports that the system chooses. stop ends
// it and waits until it has drained.
func start(t *testing.T, opts Options) (srv *Server, stop func()) {
	t.Helper()
	if opts.Observe == nil {
		opts.Observe = observe.New(observe.Options{})
	}
	if opts.Runtime == nil {
		opts.Runtime = NewRuntime(opts.Observe, nil, opts.Dial)
	}
	opts.Bind = netip.MustParseAddr("127.0.0.1")
	if opts.Port == nil {
		opts.Port = func(uint16) uint16 { return 0 }
	}
	srv = New(opts)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return srv, stop
}

// serveEach calls serve for every connection to ln, for each beside the others, and
// returns where that is.
func serveEach(t *testing.T, ln net.Listener, serve func(net.Conn)) (address string) {
	t.Helper()
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return ln.Addr().String()
}

// apply replaces the configuration.
func apply(t *testing.T, srv *Server, resources ...ir.Resource) {
	t.Helper()
	if err := srv.Apply(ir.Update{Upserts: resources, Complete: true}); err != nil {
		t.Fatal(err)
	}
}

// addr is where a listener port is bound.
func addr(t *testing.T, srv *Server, port uint16) string {
	t.Helper()
	a, ok := srv.Addr(port)
	if !ok {
		t.Fatalf("port %d is not bound", port)
	}
	return a.String()
}

// httpListener is a cleartext listener.
func httpListener(port uint16) *ir.Listener {
	return &ir.Listener{Name: "ns/gw/http" + strconv.Itoa(int(port)), Port: port, Protocol: ir.ProtocolHTTP}
}

// answer is a route of l that answers every request with status and body.
func answer(l *ir.Listener, status int, body string) *ir.Route {
	return &ir.Route{
		Name: "HTTPRoute/ns/r@" + l.Name, Listener: l.Name, Source: ir.Source{Kind: "HTTPRoute", Namespace: "ns", Name: "r"},
		Rules: []ir.Rule{{Direct: &ir.Direct{Status: status, Body: body}}},
	}
}

// forward returns a route of l to a backend at address, with the backend.
func forward(l *ir.Listener, protocol ir.Protocol, address string) []ir.Resource {
	at := netip.MustParseAddrPort(address)
	return []ir.Resource{
		&ir.Endpoints{Name: "e", Addresses: []ir.Endpoint{{Host: at.Addr().String(), Port: at.Port()}}},
		&ir.Backend{Name: "b", Protocol: protocol, Endpoints: "e"},
		&ir.Route{
			Name: "HTTPRoute/ns/r@" + l.Name, Listener: l.Name,
			Rules: []ir.Rule{{Backends: []ir.WeightedBackend{{Backend: "b", Weight: 1}}}},
		},
	}
}

// serve runs a backend that speaks HTTP/1.1 and HTTP/2 in cleartext.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{Handler: h, Protocols: protocols}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return ln.Addr().String()
}

// get asks for a URL, on a connection of its own, and returns status and body.
func get(t *testing.T, c *http.Transport, url string) (status int, body string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	resp, err := c.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// http1 returns a client; dial, where not nil, is the address that it connects
// to whatever the URL says.
func client(t *testing.T, config *tls.Config, dial string, set func(*http.Protocols)) *http.Transport {
	t.Helper()
	protocols := new(http.Protocols)
	set(protocols)
	c := &http.Transport{Protocols: protocols, TLSClientConfig: config, DisableCompression: true, MaxIdleConnsPerHost: 100}
	if dial != "" {
		c.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", dial)
		}
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func http1(p *http.Protocols) { p.SetHTTP1(true) }
func h2c(p *http.Protocols)   { p.SetUnencryptedHTTP2(true) }
func both(p *http.Protocols)  { p.SetHTTP1(true); p.SetHTTP2(true) }

// authority signs certificates for one test.
type authority struct {
	*certtest.Pair

	t *testing.T
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	return &authority{certtest.Authority(t, "test CA"), t}
}

// secret is a Secret with a certificate for names.
func (a *authority) secret(name string, names ...string) *ir.Secret {
	a.t.Helper()
	pair := certtest.New(a.t, &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.Pair)
	return &ir.Secret{Name: name, Certificate: pair.PEM(), Key: pair.KeyPEM(a.t)}
}

// httpsListener is a listener for a hostname, with a certificate.
func httpsListener(name, hostname, secret string) *ir.Listener {
	return &ir.Listener{
		Name: "ns/gw/" + name, Port: 443, Protocol: ir.ProtocolHTTPS, Hostname: hostname,
		TLS: &ir.ServerTLS{Certificates: []string{secret}},
	}
}
