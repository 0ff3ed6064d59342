package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
)

// The subtests named H2-nnn are the requirements for HTTP/2 that are not its
// codec's; see internal/proxy/h2.

func TestHTTP2_PrefaceByteByByte(t *testing.T) {
	t.Run("H2-021/Cleartext", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			const header = 10 * time.Second
			ours, theirs := net.Pipe()
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for i := range len(preface) {
					time.Sleep(header / 2)
					if _, err := io.WriteString(theirs, preface[i:i+1]); err != nil {
						return
					}
				}
			}()
			start := time.Now()
			if _, _, err := sniff(ours, nil, time.Minute, header); err == nil {
				t.Error("waited for the whole preface")
			}
			if took := time.Since(start); took > 2*header {
				t.Errorf("waited for %v", took)
			}
			_ = ours.Close()
			<-sent
		})
	})
}

func TestHTTP2_WeakTLS(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	apply(t, srv, httpsListener("l", "a.test", "s"), ca.secret("s", "a.test"))
	for name, c := range map[string]struct {
		version uint16
		suite   uint16
		ok      bool
	}{
		"H2-040/TLS11":    {tls.VersionTLS11, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		"H2-040/CBC":      {tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		"H2-040/CBC256":   {tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, false},
		"H2-040/TLS12GCM": {tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true},
	} {
		t.Run(name, func(t *testing.T) {
			config := clientTLS(ca)
			config.MinVersion, config.MaxVersion, config.ServerName = tls.VersionTLS10, c.version, "a.test"
			config.CipherSuites, config.NextProtos = []uint16{c.suite}, []string{"h2"}
			conn := tls.Client(dial(t, addr(t, srv, 443)), config)
			err := conn.HandshakeContext(t.Context())
			if got := err == nil && conn.ConnectionState().NegotiatedProtocol == "h2"; got != c.ok {
				t.Errorf("HTTP/2: %t, %v", got, err)
			}
		})
	}
}

// TestHTTP2_HowItBegins: by prior knowledge on cleartext, which gRPC needs
// (GRPCRoute), by ALPN on TLS, and in no other way.
func TestHTTP2_HowItBegins(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	l, secure := httpListener(80), httpsListener("l", "a.test", "s")
	backend := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto+" "+r.Header.Get("Upgrade")+r.Header.Get("Http2-Settings")+r.Header.Get("Connection"))
	})
	apply(t, srv, append(forward(l, ir.ProtocolHTTP, backend), l, secure, ca.secret("s", "a.test"))...)
	t.Run("H2-041/PriorKnowledge", func(t *testing.T) {
		if status, body, err := get(t, client(t, nil, "", h2c), "http://"+addr(t, srv, 80)); status != 200 || body != "HTTP/1.1 " {
			t.Errorf("got %d %q, %v", status, body, err)
		}
	})
	t.Run("H2-041/Upgrade", func(t *testing.T) {
		conn := dial(t, addr(t, srv, 80))
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		if body, err := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(body) != "HTTP/1.1 " {
			t.Errorf("got %d %q, %v", resp.StatusCode, body, err)
		}
	})
	t.Run("H2-041/PrefaceWithoutALPN", func(t *testing.T) {
		config := clientTLS(ca)
		config.ServerName = "a.test"
		conn := tls.Client(dial(t, addr(t, srv, 443)), config)
		_, _ = io.WriteString(conn, preface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		if got, _ := io.ReadAll(conn); !strings.HasPrefix(string(got), "HTTP/1.1 505 ") {
			t.Errorf("got %q", got)
		}
	})
}

// TestHTTP2_SharedConnection: a connection for one name is none for another
// listener's, whatever its certificate covers.
func TestHTTP2_SharedConnection(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	a, b := httpsListener("a", "a.test", "s"), httpsListener("b", "b.test", "s")
	ra, rb := answer(a, 200, "a"), answer(b, 200, "b")
	rb.Name += "b"
	apply(t, srv, a, b, ra, rb, ca.secret("s", "a.test", "b.test"))
	c := client(t, clientTLS(ca), addr(t, srv, 443), both)
	for _, step := range []struct {
		host   string
		status int
		body   string
	}{{"a.test", 200, "a"}, {"b.test", 421, ""}, {"a.test", 200, "a"}} {
		t.Run("H2-042/"+step.host, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://a.test/", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = step.host
			resp, err := c.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			body, _ := io.ReadAll(resp.Body)
			if resp.ProtoMajor != 2 || resp.StatusCode != step.status || step.body != "" && string(body) != step.body {
				t.Errorf("got HTTP/%d, %d %q", resp.ProtoMajor, resp.StatusCode, body)
			}
		})
	}
}
