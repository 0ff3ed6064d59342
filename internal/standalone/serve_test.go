package standalone

import (
	"context"
	"crypto/tls"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/echo"
	"github.com/citoroute/citoroute/internal/fakellm"
	"github.com/citoroute/citoroute/internal/proxy/observe"
)

// running is a Standalone that serves a folder on ports of its own.
type running struct {
	t   *testing.T
	dir string
	*Standalone
	stop func() // drains; the end of the test does so, too

	mu      sync.Mutex
	reports []Report
	changed chan struct{}
}

// TestMain keeps the examples that use the machine's own AWS identity from asking
// the machine's metadata service for it.
func TestMain(m *testing.M) {
	if err := os.Setenv("AWS_EC2_METADATA_DISABLED", "true"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// serve runs the manifests, each a file by name, until the test ends.
func serve(t *testing.T, files map[string]string) *running {
	t.Helper()
	return serveWith(t, files, nil)
}

// serveWith is serve with an observer of the test's own.
func serveWith(t *testing.T, files map[string]string, observer *observe.Observer) *running {
	t.Helper()
	r := &running{t: t, dir: t.TempDir(), changed: make(chan struct{}, 1)}
	for name, content := range files {
		r.write(name, content)
	}
	var err error
	r.Standalone, err = New(Options{
		Paths: []string{r.dir},
		Bind:  netip.MustParseAddr("127.0.0.1"),
		Port:  func(uint16) uint16 { return 0 },

		Observe: observer,
	}, true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, r.take) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	r.wait(func(reports []Report) bool { return len(reports) > 0 })
	return r
}

func (r *running) take(report Report) {
	r.mu.Lock()
	r.reports = append(r.reports, report)
	r.mu.Unlock()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// wait waits until the reports so far satisfy enough.
func (r *running) wait(enough func([]Report) bool) {
	r.t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		r.mu.Lock()
		done, reports := enough(r.reports), len(r.reports)
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-r.changed:
		case <-timeout:
			r.t.Fatalf("not reported, of %d reports", reports)
		}
	}
}

func (r *running) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// answer is what a request got.
type answer struct {
	status int
	header http.Header
	body   string
}

// get sends a request to the listeners on port.
func (r *running) get(port uint16, target string, header map[string]string) answer {
	r.t.Helper()
	return r.send(port, http.MethodGet, target, header, "")
}

func (r *running) send(port uint16, method, target string, header map[string]string, body string) answer {
	r.t.Helper()
	addr, ok := r.Addr(port)
	if !ok {
		r.t.Fatalf("nothing is bound for port %d: %+v", port, r.reports)
	}
	u, err := url.Parse(target)
	if err != nil {
		r.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", addr.String())
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: u.Hostname()},
	}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(b)}
}

// backend starts a server and returns its port.
func backend(t *testing.T, handler http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	_, port, err := net.SplitHostPort(srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// example returns the manifests of an example, with backends of the test's own.
func example(t *testing.T, name string) map[string]string {
	t.Helper()
	return exampleWith(t, name, backend(t, fakellm.New(fakellm.Options{})))
}

// exampleWith is example with a fake LLM provider that is there already, at a port.
func exampleWith(t *testing.T, name, fake string) map[string]string {
	t.Helper()
	ports := strings.NewReplacer(
		"9001", backend(t, echo.Handler("echo-1")),
		"9002", backend(t, echo.Handler("echo-2")),
		"9090", fake,
	)
	out := map[string]string{}
	dir := filepath.Join("..", "..", "examples", name)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = ports.Replace(string(b))
	}
	return out
}

// Addr returns where the listeners on port are served, at the first Gateway by
// name that has such.
func (s *Standalone) Addr(port uint16) (netip.AddrPort, bool) {
	s.fleet.mu.Lock()
	defer s.fleet.mu.Unlock()
	for _, node := range slices.Sorted(maps.Keys(s.fleet.gateways)) {
		if g := s.fleet.gateways[node]; g.server != nil {
			if addr, ok := g.server.Addr(port); ok {
				return addr, true
			}
		}
	}
	return netip.AddrPort{}, false
}
