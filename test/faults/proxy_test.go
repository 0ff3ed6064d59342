package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/porttest"
	"github.com/citoroute/citoroute/internal/proxy/source"
)

// timeout is how long anything here may take before the test gives up.
const timeout = 20 * time.Second

// program is the file of the proxy.
func program() string { return filepath.Join(os.Getenv(programDir), "proxy") }

const programDir = "CITOROUTE_TEST_PROGRAMS"

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	if os.Getenv(isolatedTest) != "" {
		return m.Run() // of who has built it
	}
	dir, err := os.MkdirTemp("", "faults-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Setenv(programDir, dir); err != nil {
		panic(err)
	}
	cmd := exec.CommandContext(context.Background(), "go", "build", "-o", program(), "../../cmd/proxy")
	if out, err := cmd.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("go build: %v\n%s", err, out))
	}
	return m.Run()
}

// proxy is a process that serves one port.
type proxy struct {
	t        *testing.T
	settings settings
	dir      string // of its files and its state
	config   string // file
	port     uint16
	admin    string
	metrics  string
	command  *exec.Cmd
	done     chan struct{} // closed when it has ended, with err
	err      error
}

// settings are what a test may want to be different.
type settings struct {
	wrap   []string    // words before the program
	stdout io.Writer   // nil: no access log
	follow *controller // nil: a file
	change func(*bootstrap.Config)
}

// start runs a proxy and waits until it serves resources.
func start(t *testing.T, s settings, resources ...ir.Resource) *proxy {
	t.Helper()
	p := prepare(t, s)
	p.configure(resources...)
	p.launch()
	eventually(t, "the proxy to be ready", p.ready)
	return p
}

// prepare returns a proxy that does not run yet.
func prepare(t *testing.T, s settings) *proxy {
	t.Helper()
	dir := t.TempDir()
	p := &proxy{
		t: t, settings: s, dir: dir, config: filepath.Join(dir, "config.json"), port: porttest.Free(t),
		admin: porttest.Address(t), metrics: porttest.Address(t),
	}
	b := bootstrap.Default()
	b.Node, b.Source, b.File.Path = node, bootstrap.SourceFile, p.config
	if s.follow != nil {
		b.Source, b.Stream, b.StateDir = bootstrap.SourceStream, s.follow.stream, dir
	}
	b.Admin, b.Metrics, b.Log.Access = p.admin, p.metrics, s.stdout != nil
	b.Timeouts.Drain = bootstrap.Duration(10 * time.Second)
	if s.change != nil {
		s.change(&b)
	}
	content, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.bootstrap(), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *proxy) bootstrap() string { return filepath.Join(p.dir, "proxy.toml") }

// launch starts the process, which ends with the test.
func (p *proxy) launch() {
	p.t.Helper()
	words := slices.Concat(p.settings.wrap, []string{program(), "--bootstrap", p.bootstrap()})
	p.command = exec.CommandContext(context.WithoutCancel(p.t.Context()), words[0], words[1:]...)
	stderr, done := new(output), make(chan struct{})
	p.command.Stdout, p.command.Stderr = p.settings.stdout, stderr
	p.done = done
	if err := p.command.Start(); err != nil {
		p.t.Fatal(err)
	}
	command := p.command
	go func() {
		defer close(done)
		p.err = command.Wait()
	}()
	p.t.Cleanup(func() {
		_ = command.Process.Kill()
		<-done
		if p.t.Failed() {
			p.t.Logf("the proxy said:\n%s", stderr)
		}
	})
}

// kill ends the process as a lack of memory would.
func (p *proxy) kill() {
	_ = p.command.Process.Kill()
	<-p.done
}

// with are resources behind the proxy's listener.
func (p *proxy) with(resources ...ir.Resource) []ir.Resource {
	return append([]ir.Resource{&ir.Listener{Name: listener, Port: p.port, Protocol: ir.ProtocolHTTP}}, resources...)
}

// configure has the proxy serve these resources.
func (p *proxy) configure(resources ...ir.Resource) {
	p.t.Helper()
	content, err := source.Marshal(p.with(resources...))
	if err != nil {
		p.t.Fatal(err)
	}
	next := p.config + ".next"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(next, p.config); err != nil {
		p.t.Fatal(err)
	}
}

func (p *proxy) address() string { return local(p.port) }

func (p *proxy) url(path string) string { return "http://" + p.address() + path }

func (p *proxy) ready() bool {
	status, _ := ask(p.t, new(http.Transport), "GET", "http://"+p.metrics+"/readyz", "")
	return status == http.StatusOK
}

const (
	node     = "gateway/ns/gw"
	listener = "ns/gw/http"
)

// route is a route with one rule, to endpoints.
func route(name, path string, rule ir.Rule, protocol ir.Protocol, endpoints ...string) []ir.Resource {
	addresses := make([]ir.Endpoint, len(endpoints))
	for i, e := range endpoints {
		host, port, _ := net.SplitHostPort(e)
		_, _ = fmt.Sscan(port, &addresses[i].Port)
		addresses[i].Host = host
	}
	rule.Matches = []ir.Match{{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: path}}}
	rule.Backends = []ir.WeightedBackend{{Backend: name, Weight: 1}}
	return []ir.Resource{
		&ir.Endpoints{Name: name, Addresses: addresses},
		&ir.Backend{Name: name, Protocol: protocol, Endpoints: name},
		&ir.Route{Name: "HTTPRoute/ns/" + name + "@" + listener, Listener: listener, Rules: []ir.Rule{rule}},
	}
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(timeout))
	return c.(*net.TCPConn)
}

func local(port uint16) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// ask returns status and body of an answer; status 0 is an error, and body says
// which. An answer that broke off is an error.
func ask(t *testing.T, client http.RoundTripper, method, url, id string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Id", id)
	resp, err := client.RoundTrip(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(b)
}

// eventually waits for what.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	until := time.After(timeout)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-until:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// output is what a process writes.
type output struct {
	mutex sync.Mutex
	b     bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.b.String()
}
