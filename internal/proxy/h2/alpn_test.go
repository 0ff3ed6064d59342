package h2

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// counting is a Transport that only counts.
type counting struct{ n atomic.Int64 }

func (c *counting) RoundTrip(ex *exchange.Exchange, _ *exchange.Target) error {
	c.n.Add(1)
	ex.Response.Status = 200
	return nil
}

func TestTransport_FollowsALPN(t *testing.T) {
	for name, c := range map[string]struct {
		http2 bool
		want  int64 // requests left to HTTP/1.1
	}{"HTTP2": {true, 0}, "HTTP1": {false, 2}} {
		t.Run(name, func(t *testing.T) {
			var served atomic.Int64
			backend := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				served.Add(int64(r.ProtoMajor))
				_, _ = io.WriteString(w, "pong")
			}))
			backend.EnableHTTP2 = c.http2
			backend.StartTLS()
			t.Cleanup(backend.Close)
			roots := x509.NewCertPool()
			roots.AddCert(backend.Certificate())
			to := &exchange.Target{
				Addr: backend.Listener.Addr().String(), ConnectTimeout: timeout,
				TLS: &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12},
			}
			other := &counting{}
			tr := NewTransport(other, nil)
			t.Cleanup(tr.Close)
			for range 2 {
				if stage := attemptStage(t, tr, to, nil); stage != 0 {
					t.Fatalf("failed at stage %d", stage)
				}
			}
			if got := other.n.Load(); got != c.want {
				t.Errorf("%d requests were left to HTTP/1.1, want %d", got, c.want)
			}
			if c.http2 && served.Load() != 4 {
				t.Error("the backend was not asked twice over HTTP/2")
			}
		})
	}
}

func TestTransport_WrongCertificateFailsClosed(t *testing.T) {
	backend := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(backend.Close)
	tr := NewTransport(&counting{}, nil)
	t.Cleanup(tr.Close)
	to := &exchange.Target{
		Addr: backend.Listener.Addr().String(), ConnectTimeout: timeout,
		TLS: &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "example.com", MinVersion: tls.VersionTLS12},
	}
	if stage := attemptStage(t, tr, to, nil); stage != exchange.StageConnect {
		t.Errorf("stage %d, want %d", stage, exchange.StageConnect)
	}
}
