package h2

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
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
