package h2

import (
	"crypto/tls"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// TestTransport_ConnectionsThatEnd is a backend that often ends a connection in
// order, with GOAWAY, while others take streams on it.
func TestTransport_ConnectionsThatEnd(t *testing.T) {
	var asked atomic.Int64
	front := proxy(t, backend(t, func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1)%10 == 0 {
			w.Header().Set("Connection", "close")
		}
	}))
	var wg sync.WaitGroup
	for range 8 {
		c := client(t)
		wg.Go(func() {
			for range 200 {
				resp, err := c.RoundTrip(request(t, "POST", "http://"+front+"/", nil))
				if err != nil {
					t.Error(err)
					return
				}
				_ = resp.Body.Close()
				if resp.StatusCode != 200 {
					t.Errorf("got %d", resp.StatusCode)
				}
			}
		})
	}
	wg.Wait()
}

// TestPool_ForgetsBackendsOfHTTP1 is a backend that was found to speak HTTP/1.1:
// that is known while somebody asks for it, and no longer.
func TestPool_ForgetsBackendsOfHTTP1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := NewTransport(nil, nil)
		to := &exchange.Target{Addr: "10.0.0.1:443", TLS: &tls.Config{MinVersion: tls.VersionTLS12}, ConnectTimeout: timeout}
		p := tr.pool(to)
		p.mu.Lock()
		p.learnHTTP1()
		p.mu.Unlock()
		for range 100 {
			time.Sleep(http1Memory / 2)
			if _, _, err := tr.pool(to).acquire(t.Context(), timeout); !errors.Is(err, errHTTP1) {
				t.Fatalf("what was asked for was forgotten: %v", err)
			}
		}
		time.Sleep(3 * http1Memory)
		tr.mu.Lock()
		defer tr.mu.Unlock()
		if len(tr.pools) != 0 {
			t.Errorf("%d pools are kept that nobody asks for", len(tr.pools))
		}
	})
}
