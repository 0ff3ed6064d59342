package server

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

// TestServer_CrossesProtocols sends every kind of message from clients of each
// HTTP version to backends of each.
func TestServer_CrossesProtocols(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	waiting, cancelled := make(chan struct{}, 1), make(chan struct{}, 1)
	backend := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			_ = http.NewResponseController(w).EnableFullDuplex()
			_, _ = io.Copy(w, r.Body)
		case "/early":
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		case "/empty":
			w.WriteHeader(http.StatusNoContent)
		case "/broken":
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/wait":
			waiting <- struct{}{}
			<-r.Context().Done()
			cancelled <- struct{}{}
		}
	})
	for from, set := range map[string]func(*http.Protocols){"HTTP1": http1, "H2C": h2c} {
		for to, protocol := range map[string]ir.Protocol{"HTTP1": ir.ProtocolHTTP, "H2C": ir.ProtocolH2C} {
			t.Run(from+"To"+to, func(t *testing.T) {
				srv, _ := start(t, Options{})
				l := httpListener(80)
				apply(t, srv, append(forward(l, protocol, backend), l)...)
				c, url := client(t, nil, "", set), "http://"+addr(t, srv, 80)

				for name, body := range map[string]io.Reader{
					"KnownLength":   bytes.NewReader(big),
					"UnknownLength": io.MultiReader(bytes.NewReader(big)),
				} {
					status, got, err := send(t, c, http.MethodPost, url+"/echo", body)
					if err != nil || status != http.StatusOK || got != string(big) {
						t.Errorf("%s: got %d, %d bytes, %v", name, status, len(got), err)
					}
				}
				if status, _, err := send(t, c, http.MethodPost, url+"/early", bytes.NewReader(big)); status != http.StatusRequestEntityTooLarge {
					t.Errorf("early answer: got %d, %v", status, err)
				}
				if status, got, err := send(t, c, http.MethodGet, url+"/empty", http.NoBody); status != http.StatusNoContent || got != "" || err != nil {
					t.Errorf("empty: got %d %q, %v", status, got, err)
				}
				if _, got, err := send(t, c, http.MethodGet, url+"/broken", http.NoBody); err == nil {
					t.Errorf("broken: got %q as if it were whole", got)
				}
				leave(t, c, url+"/wait", waiting)
				<-cancelled
			})
		}
	}
}

func send(t *testing.T, c *http.Transport, method, url string, body io.Reader) (status int, got string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

// leave gives a request up when its backend has it.
func leave(t *testing.T, c *http.Transport, url string, waiting <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-waiting
		cancel()
	}()
	resp, err := c.RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}
