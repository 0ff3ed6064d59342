package admin

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/citoroute/citoroute/internal/ir"
)

func ask(t *testing.T, h http.Handler, method, target string) (status int, body string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, target, nil))
	b, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(b)
}

func newAdmin(ready bool, resources ...ir.Resource) (*Admin, *slog.LevelVar) {
	level := new(slog.LevelVar)
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "citoroute_test"}))
	return New(Options{
		Ready: func() bool { return ready }, Resources: func() []ir.Resource { return resources },
		Metrics: registry, Level: level,
	}), level
}

func TestAdmin_Readiness(t *testing.T) {
	for name, c := range map[string]struct {
		ready bool
		want  int
	}{"Ready": {true, 200}, "NotReady": {false, 503}} {
		t.Run(name, func(t *testing.T) {
			a, _ := newAdmin(c.ready)
			for _, h := range []http.Handler{a.Handler(), a.PublicHandler()} {
				if status, body := ask(t, h, "GET", "/readyz"); status != c.want {
					t.Errorf("got %d %q, want %d", status, body, c.want)
				}
				if status, _ := ask(t, h, "GET", "/livez"); status != 200 {
					t.Errorf("/livez: got %d", status)
				}
				if status, body := ask(t, h, "GET", "/metrics"); status != 200 || !strings.Contains(body, "citoroute_test 0") {
					t.Errorf("/metrics: got %d %q", status, body)
				}
			}
		})
	}
}

func TestAdmin_ConfigShowsNoSecret(t *testing.T) {
	const secret = "hunter2"
	a, _ := newAdmin(true,
		&ir.Secret{Name: "s", Certificate: []byte("public"), Key: ir.Bytes(secret), Values: map[string]ir.Bytes{"apiKey": ir.Bytes(secret)}},
		&ir.Listener{Name: "l", Port: 80, Protocol: ir.ProtocolHTTP},
	)
	status, body := ask(t, a.Handler(), "GET", "/config")
	if status != 200 {
		t.Fatalf("got %d %q", status, body)
	}
	for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
		if strings.Contains(body, form) {
			t.Errorf("the dump holds %q:\n%s", form, body)
		}
	}
	var got []struct {
		Type     ir.Type
		Resource struct{ Name string }
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0].Resource.Name != "s" || got[1].Type != ir.TypeListener {
		t.Errorf("got %+v", got)
	}
}

func TestAdmin_PublicHandlerKeepsTheRestPrivate(t *testing.T) {
	a, level := newAdmin(true)
	for _, target := range []string{"/config", "/log-level"} {
		if status, _ := ask(t, a.PublicHandler(), "GET", target); status != 404 {
			t.Errorf("%s: got %d, want 404", target, status)
		}
	}
	if status, _ := ask(t, a.PublicHandler(), "PUT", "/log-level?level=debug"); status != 404 || level.Level() != slog.LevelInfo {
		t.Errorf("got %d, and the level is %v", status, level.Level())
	}
}

func TestAdmin_LogLevel(t *testing.T) {
	a, level := newAdmin(true)
	if status, body := ask(t, a.Handler(), "PUT", "/log-level?level=debug"); status != 200 || level.Level() != slog.LevelDebug {
		t.Errorf("got %d %q, and the level is %v", status, body, level.Level())
	}
	if _, body := ask(t, a.Handler(), "GET", "/log-level"); strings.TrimSpace(body) != "DEBUG" {
		t.Errorf("got %q", body)
	}
	if status, _ := ask(t, a.Handler(), "PUT", "/log-level?level=loud"); status != 400 || level.Level() != slog.LevelDebug {
		t.Errorf("got %d, and the level is %v", status, level.Level())
	}
}
