package h2

import (
	"io"
	"net/http"
	"testing"
)

// BenchmarkProxy sends small requests over HTTP/2 to an HTTP/2 backend, all in
// one process.
func BenchmarkProxy(b *testing.B) {
	to := backend(b, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "pong") })
	url := "http://" + proxy(b, to) + "/"
	c := client(b)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, http.NoBody)
			if err != nil {
				b.Error(err)
				return
			}
			resp, err := c.RoundTrip(req)
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	})
}
