package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/clientaddr"
)

// Rows WG-024 to WG-026: what a header of the PROXY protocol does to a
// connection. Which headers are right is tested in package clientaddr.

const (
	proxy1 = "PROXY TCP4 203.0.113.9 192.0.2.2 4711 80\r\n"
	proxy2 = "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x09\xc0\x00\x02\x02\x12\x67\x00\x50"
	local2 = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
)

// prefixed puts a header before what is first written, in the same segment or
// byte by byte.
type prefixed struct {
	net.Conn
	header string
	slowly bool
}

func (c *prefixed) Write(p []byte) (int, error) {
	if c.header == "" {
		return c.Conn.Write(p)
	}
	b := append([]byte(c.header), p...)
	c.header = ""
	for c.slowly && len(b) > 1 {
		if _, err := c.Conn.Write(b[:1]); err != nil {
			return 0, err
		}
		b = b[1:]
	}
	_, err := c.Conn.Write(b)
	return len(p), err
}

// ends are all kinds of listeners, on one port each, and how to speak to them.
type ends struct {
	srv *Server
	ca  *authority
}

// balanced serves all kinds of listeners behind load balancers in a network.
func balanced(t *testing.T, network string, opts Options) *ends {
	t.Helper()
	seen := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For"))
	})
	echo, ca := endpoint(t, lines(t)), newAuthority(t)
	srv, _ := start(t, opts)
	clients := &ir.Clients{ProxyProtocol: []netip.Prefix{netip.MustParsePrefix(network)}}
	cleartext, https := httpListener(80), httpsListener("https", "", "s")
	tcp := &ir.Listener{Name: "ns/gw/tcp", Port: 5000, Protocol: ir.ProtocolTCP}
	ended := &ir.Listener{Name: "ns/gw/ended", Port: 5001, Protocol: ir.ProtocolTLS, Hostname: "ended.test", TLS: &ir.ServerTLS{Certificates: []string{"s"}}}
	passed := &ir.Listener{Name: "ns/gw/passed", Port: 5001, Protocol: ir.ProtocolTLS, Hostname: "passed.test", TLS: &ir.ServerTLS{Passthrough: true}}
	resources := append(forward(cleartext, ir.ProtocolHTTP, seen), ca.secret("s", "a.test", "ended.test"),
		&ir.Route{Name: "HTTPRoute/ns/r@" + https.Name, Listener: https.Name, Rules: []ir.Rule{{Backends: to("b")}}},
		&ir.Endpoints{Name: "echo", Addresses: []ir.Endpoint{echo}},
		&ir.Backend{Name: "echo", Protocol: ir.ProtocolTCP, Endpoints: "echo"},
		&ir.Endpoints{Name: "secret", Addresses: []ir.Endpoint{endpoint(t, tlsEcho(t, ca))}},
		&ir.Backend{Name: "secret", Protocol: ir.ProtocolTCP, Endpoints: "secret"},
	)
	for _, l := range []*ir.Listener{cleartext, https, tcp, ended, passed} {
		l.Clients = clients
		resources = append(resources, l)
	}
	for l, b := range map[*ir.Listener]string{tcp: "echo", ended: "echo", passed: "secret"} {
		resources = append(resources, &ir.Route{Name: "TCPRoute/ns/r@" + l.Name, Listener: l.Name, Rules: []ir.Rule{{Backends: to(b)}}})
	}
	apply(t, srv, resources...)
	return &ends{srv, ca}
}

// tlsEcho is lines with TLS.
func tlsEcho(t *testing.T, ca *authority) string {
	t.Helper()
	s := ca.secret("", "passed.test")
	pair, err := tls.X509KeyPair(s.Certificate, s.Key)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	return serveEach(t, ln, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
}

// dial connects to a port and begins with a header.
func (e *ends) dial(t *testing.T, port uint16, header string, slowly bool) net.Conn {
	t.Helper()
	conn := dial(t, addr(t, e.srv, port))
	_ = conn.SetDeadline(time.Now().Add(timeout))
	return &prefixed{Conn: conn, header: header, slowly: slowly}
}

// clientSeen makes a request and returns the client that the backend was told of.
func clientSeen(t *testing.T, conn net.Conn, config *tls.Config, protocols func(*http.Protocols)) (string, error) {
	t.Helper()
	scheme := "http"
	if config != nil {
		scheme = "https"
	}
	c := client(t, config, "", protocols)
	c.DialContext = func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	_, body, err := get(t, c, scheme+"://a.test/")
	return body, err
}

// echoes says whether a byte comes back over a connection, or a TLS session over
// it with a server of that name.
func (e *ends) echoes(conn net.Conn, name string) bool {
	if name != "" {
		conn = tls.Client(conn, &tls.Config{ServerName: name, RootCAs: e.ca.Pool()})
	}
	b := []byte("x")
	if _, err := conn.Write(b); err != nil {
		return false
	}
	b[0] = 0
	_, err := io.ReadFull(conn, b)
	return err == nil && b[0] == 'x'
}

// answers says for every kind of client what it gets on a connection that begins
// with a header: who the backend takes it for, "x" from a stream, "" for nothing.
func (e *ends) answers(t *testing.T, header string, slowly bool) map[string]string {
	t.Helper()
	got := map[string]string{}
	session := &tls.Config{RootCAs: e.ca.Pool(), ServerName: "a.test"}
	for name, c := range map[string]struct {
		port      uint16
		config    *tls.Config
		protocols func(*http.Protocols)
	}{
		"http1": {80, nil, http1}, "h2c": {80, nil, h2c},
		"https1": {443, session.Clone(), http1}, "h2": {443, session.Clone(), func(p *http.Protocols) { p.SetHTTP2(true) }},
	} {
		body, err := clientSeen(t, e.dial(t, c.port, header, slowly), c.config, c.protocols)
		if err != nil {
			body = ""
		}
		got[name] = body
	}
	for name, server := range map[string]string{"tcp": "", "ended": "ended.test", "passed": "passed.test"} {
		port := uint16(5001)
		if server == "" {
			port = 5000
		}
		got[name] = ""
		if e.echoes(e.dial(t, port, header, slowly), server) {
			got[name] = "x"
		}
	}
	return got
}

// all is an outcome that is the same for every kind of client.
func all(address string) map[string]string {
	stream := "x"
	if address == "" {
		stream = ""
	}
	return map[string]string{
		"http1": address, "h2c": address, "https1": address, "h2": address, "tcp": stream, "ended": stream, "passed": stream,
	}
}

func TestProxyProtocol_Rows(t *testing.T) {
	trusted := balanced(t, "127.0.0.0/8", Options{})
	other := balanced(t, "192.0.2.0/24", Options{})
	for name, c := range map[string]struct {
		to     *ends
		header string
		slowly bool
		want   map[string]string
	}{
		"WG-024/FusedWithWhatFollows":  {trusted, proxy1, false, all("203.0.113.9")},
		"WG-024/ByteByByte":            {trusted, proxy1, true, all("203.0.113.9")},
		"WG-024/Unknown":               {trusted, "PROXY UNKNOWN\r\n", false, all("127.0.0.1")},
		"WG-024/Malformed":             {trusted, "PROXY TCP4 203.0.113.9\r\n", false, all("")},
		"WG-024/Absent":                {trusted, "", false, all("")},
		"WG-024/TwoHeaders":            {trusted, proxy1 + proxy1, false, nil},
		"WG-024/TwoHeadersByteByByte":  {trusted, proxy1 + proxy2, true, nil},
		"WG-024/FromOthers":            {other, proxy1, false, nil},
		"WG-024/FromOthersByteByByte":  {other, proxy1, true, nil},
		"WG-024/NoneFromOthers":        {other, "", false, all("127.0.0.1")},
		"WG-025/FusedWithWhatFollows":  {trusted, proxy2, false, all("203.0.113.9")},
		"WG-025/ByteByByte":            {trusted, proxy2, true, all("203.0.113.9")},
		"WG-025/Local":                 {trusted, local2, false, all("127.0.0.1")},
		"WG-025/Longer":                {trusted, long2(), false, all("203.0.113.9")},
		"WG-025/TwoVersions":           {trusted, proxy2 + proxy1, false, nil},
		"WG-025/FromOthers":            {other, proxy2, false, nil},
		"WG-025/FromOthersByteByByte":  {other, proxy2, true, nil},
		"WG-025/LocalFromOthersIsALie": {other, local2, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.want
			if want == nil { // HTTP/1 is answered, with 400
				want = all("")
			}
			for kind, got := range c.to.answers(t, c.header, c.slowly) {
				if c.want == nil && kind == "http1" {
					continue
				}
				if got != want[kind] {
					t.Errorf("%s: got %q, want %q", kind, got, want[kind])
				}
			}
		})
	}
	for name, header := range map[string]string{"WG-024/LieIsAnswered": proxy1, "WG-025/LieIsAnswered": proxy2} {
		t.Run(name, func(t *testing.T) {
			conn := other.dial(t, 80, header, false)
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
			b, _ := io.ReadAll(conn)
			if !bytes.HasPrefix(b, []byte("HTTP/1.1 400 ")) {
				t.Errorf("got %q", b)
			}
		})
	}
}

// TestProxyProtocol_Lies has clients send headers that are not theirs to a backend
// that might believe them. It must not get a whole one, and the connection ends.
func TestProxyProtocol_Lies(t *testing.T) {
	trusted := balanced(t, "127.0.0.0/8", Options{})
	other := balanced(t, "192.0.2.0/24", Options{})
	for name, c := range map[string]struct {
		to          *ends
		header, lie string
	}{
		"WG-024/FromOthers": {other, "", proxy1},
		"WG-024/TwoHeaders": {trusted, proxy1, proxy1},
		"WG-025/FromOthers": {other, "", proxy2},
		"WG-025/TwoHeaders": {trusted, proxy2, proxy2},
	} {
		for pace, slowly := range map[string]bool{"AtOnce": false, "ByteByByte": true} {
			t.Run(name+"/"+pace, func(t *testing.T) {
				before := refusedHeaders(t, c.to.srv)
				conn := c.to.dial(t, 5000, c.header+c.lie, slowly)
				_, _ = conn.Write([]byte("x")) // which may meet the end
				echoed, err := io.ReadAll(conn)
				var late net.Error
				if errors.As(err, &late) && late.Timeout() {
					t.Error("the connection stays open")
				}
				if yes, _ := clientaddr.Begins(echoed); yes || !strings.HasPrefix(c.lie, string(echoed)) {
					t.Errorf("the backend got %q", echoed)
				}
				if n := refusedHeaders(t, c.to.srv) - before; n != 1 {
					t.Errorf("%v connections are counted", n)
				}
			})
		}
	}
}

// refusedHeaders is how many connections were closed for their header.
func refusedHeaders(t *testing.T, srv *Server) float64 {
	t.Helper()
	families, err := srv.opts.Observe.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "citoroute_proxy_protocol_errors_total" {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}

// TestProxyProtocol_Counts: a load balancer that only sees whether a port is open
// does nothing wrong.
func TestProxyProtocol_Counts(t *testing.T) {
	e := balanced(t, "127.0.0.0/8", Options{})
	for _, c := range []struct {
		says string
		want float64
	}{{"", 0}, {"GET / HTTP/1.1\r\n\r\n", 1}, {proxy2[:14], 2}, {proxy1, 2}, {local2, 2}} {
		conn := dial(t, addr(t, e.srv, 80))
		_, _ = io.WriteString(conn, c.says)
		_ = conn.CloseWrite()
		_, _ = io.ReadAll(conn)
		if got := refusedHeaders(t, e.srv); got != c.want {
			t.Errorf("%q: %v, want %v", c.says, got, c.want)
		}
	}
}

// long2 is a header that is longer than what is read at first.
func long2() string {
	b := []byte(proxy2 + "\x04")
	b = binary.BigEndian.AppendUint16(b, 3*sniffSize)
	b = append(b, strings.Repeat("x", 3*sniffSize)...)
	binary.BigEndian.PutUint16(b[14:], uint16(len(b)-16))
	return string(b)
}

// TestProxyProtocol_Deadline is row WG-026.
func TestProxyProtocol_Deadline(t *testing.T) {
	e := balanced(t, "127.0.0.0/8", Options{HeaderTimeout: 200 * time.Millisecond, IdleTimeout: 200 * time.Millisecond})
	for name, header := range map[string]string{
		"WG-026/Nothing": "", "WG-026/HalfAHeader": proxy2[:20], "WG-026/HeaderThenSilence": proxy1,
	} {
		t.Run(name, func(t *testing.T) {
			for _, port := range []uint16{80, 443, 5001} {
				conn := e.dial(t, port, "", false)
				if _, err := io.WriteString(conn, header); err != nil {
					t.Fatal(err)
				}
				isClosed(t, conn)
			}
		})
	}
	t.Run("WG-026/ServerBegins", func(t *testing.T) { // as many protocols have it: a stream may be silent
		if !e.echoes(e.dial(t, 5000, proxy1, false), "") {
			t.Error("the stream is not served")
		}
	})
}

// TestProxyProtocol_Follows has the setting change under a bound port.
func TestProxyProtocol_Follows(t *testing.T) {
	srv, _ := start(t, Options{})
	l := httpListener(80)
	for _, clients := range []*ir.Clients{nil, {ProxyProtocol: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, nil} {
		with := *l
		with.Clients = clients
		apply(t, srv, &with, answer(l, 200, "ok"))
		header := ""
		if clients != nil {
			header = proxy1
		}
		conn := &prefixed{Conn: dial(t, addr(t, srv, 80)), header: header}
		if body, err := clientSeen(t, conn, nil, http1); body != "ok" {
			t.Errorf("%v: got %q, %v", clients, body, err)
		}
	}
}
