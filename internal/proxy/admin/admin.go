package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/citoroute/citoroute/internal/ir"
)

// headTimeout limits a request head on the admin and metrics ports.
const headTimeout = 5 * time.Second

// Options are what an Admin answers from. All fields are required.
type Options struct {
	// Ready says whether traffic can be served.
	Ready func() bool
	// Resources returns the live configuration.
	Resources func() []ir.Resource
	Metrics   prometheus.Gatherer
	// Level is read and set by /log-level.
	Level *slog.LevelVar
}

// Admin answers questions about a proxy.
type Admin struct{ opts Options }

// New returns an Admin.
func New(opts Options) *Admin { return &Admin{opts} }

// Handler answers everything. It belongs on a loopback address: whoever
// reaches it can read the configuration, take profiles and set the log level.
func (a *Admin) Handler() http.Handler {
	mux := a.public()
	mux.HandleFunc("GET /config", a.config)
	mux.HandleFunc("GET /log-level", a.logLevel)
	mux.HandleFunc("PUT /log-level", a.setLogLevel)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	return mux
}

// PublicHandler answers only what may be asked from outside: /readyz, /livez
// and /metrics.
func (a *Admin) PublicHandler() http.Handler { return a.public() }

func (a *Admin) public() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { writeText(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if a.opts.Ready() {
			writeText(w, http.StatusOK, "ok")
			return
		}
		writeText(w, http.StatusServiceUnavailable, "no complete configuration is being served, or the proxy is shutting down")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.opts.Metrics, promhttp.HandlerOpts{}))
	return mux
}

// dumped is a resource as /config shows it.
type dumped struct {
	Type ir.Type `json:"type"`
	// Resource is encoded by encoding/json, which redacts secret bytes.
	Resource ir.Resource `json:"resource"`
}

func (a *Admin) config(w http.ResponseWriter, _ *http.Request) {
	resources := a.opts.Resources()
	out := make([]dumped, len(resources))
	for i, r := range resources {
		out[i] = dumped{r.ResourceType(), r}
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(out) // the client has gone
}

func (a *Admin) logLevel(w http.ResponseWriter, _ *http.Request) {
	writeText(w, http.StatusOK, a.opts.Level.Level().String())
}

// setLogLevel sets the level given as ?level=debug.
func (a *Admin) setLogLevel(w http.ResponseWriter, r *http.Request) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(r.URL.Query().Get("level"))); err != nil {
		writeText(w, http.StatusBadRequest, "level must be debug, info, warn or error")
		return
	}
	a.opts.Level.Set(level)
	writeText(w, http.StatusOK, level.String())
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, text) // the client has gone
}

// Serve answers on addr until ctx is done.
func Serve(ctx context.Context, addr string, handler http.Handler) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("admin: %w", err)
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: headTimeout}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}
