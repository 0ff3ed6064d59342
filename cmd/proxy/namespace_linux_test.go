package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/redirect/redirecttest"
)

// asProxy has the test program be the proxy, as this user.
const asProxy = "CITOROUTE_TEST_AS_PROXY"

func TestMain(m *testing.M) {
	switch os.Getenv(asProxy) {
	case "":
		os.Exit(m.Run())
	case "sidecar":
		if err := syscall.Setuid(bootstrap.SidecarUserID); err != nil {
			panic(err)
		}
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// Addresses in the namespace: those of Services nobody has, except for plain.
const (
	service4, service6 = "10.96.0.10", "fd00:96::10"
	plain4, plain6     = "10.0.0.3", "fd00::3" // a Service without routes
	endpoint           = "10.0.0.2"
)

// namespace is a network namespace of which the goroutine of a test, on a
// thread of its own, is a part.
type namespace struct{ t *testing.T }

func newNamespace(t *testing.T) namespace {
	t.Helper()
	redirecttest.Namespace(t,
		"link set lo up",
		"address add "+endpoint+"/32 dev lo", "address add "+plain4+"/32 dev lo", "address add "+plain6+"/128 dev lo nodad",
		"route add 10.96.0.0/16 dev lo", "route add fd00:96::/64 dev lo",
	)
	return namespace{t}
}

// proxy starts the proxy in a mode.
func (n namespace) proxy(mode string, args ...string) *exec.Cmd {
	n.t.Helper()
	self, err := os.Executable()
	if err != nil {
		n.t.Fatal(err)
	}
	// The context of a test ends before its cleanups, in which a sidecar drains.
	cmd := exec.CommandContext(context.WithoutCancel(n.t.Context()), self, append([]string{"--mode=" + mode}, args...)...)
	cmd.Env = append(os.Environ(), asProxy+"="+mode)
	cmd.Stdout, cmd.Stderr = n.t.Output(), n.t.Output()
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	return cmd
}

// listen binds an address of the namespace.
func (n namespace) listen(address string) net.Listener {
	n.t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(n.t.Context(), "tcp", address)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = ln.Close() })
	return ln
}

// dial connects as a program of the pod does.
func (n namespace) dial(address string) net.Conn {
	n.t.Helper()
	conn, err := (&net.Dialer{Timeout: timeout}).DialContext(n.t.Context(), "tcp", address)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// client is one that has a single connection, to an address.
func (n namespace) client(address string) *http.Transport {
	n.t.Helper()
	conn := n.dial(address)
	c := &http.Transport{MaxConnsPerHost: 1, DialContext: func(context.Context, string, string) (net.Conn, error) {
		if conn == nil {
			return nil, net.ErrClosed
		}
		one := conn
		conn = nil
		return one, nil
	}}
	n.t.Cleanup(c.CloseIdleConnections)
	return c
}

// get asks an address for a path.
func (n namespace) get(address, path string) (status int, body string) {
	n.t.Helper()
	return n.ask(n.client(address), path)
}

// ask asks for a path.
func (n namespace) ask(c *http.Transport, path string) (status int, body string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://svc.test"+path, http.NoBody)
	if err != nil {
		n.t.Fatal(err)
	}
	resp, err := c.RoundTrip(req)
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

// check asks a gRPC server for its health.
func (n namespace) check(address string) error {
	n.t.Helper()
	conn := n.dial(address)
	client, err := grpc.NewClient("passthrough:///svc.test", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return conn, nil }))
	if err != nil {
		n.t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	ctx, cancel := context.WithTimeout(n.t.Context(), timeout)
	defer cancel()
	_, err = healthpb.NewHealthClient(client).Check(ctx, &healthpb.HealthCheckRequest{})
	return err
}

// meshed is a mesh listener on a port of the Service, with one route.
func meshed(port uint16, protocol ir.Protocol, to net.Listener, match ir.Match) []ir.Resource {
	l := &ir.Listener{
		Name: "mesh/ns/svc/" + local(port), Port: port, Protocol: ir.ProtocolHTTP, Sniff: true,
		Addresses: []netip.Addr{netip.MustParseAddr(service4), netip.MustParseAddr(service6)},
	}
	at := to.Addr().(*net.TCPAddr).AddrPort()
	return []ir.Resource{
		l, &ir.Endpoints{Name: l.Name, Addresses: []ir.Endpoint{{Host: at.Addr().String(), Port: at.Port()}}},
		&ir.Backend{Name: l.Name, Protocol: protocol, Endpoints: l.Name},
		&ir.Route{Name: "r@" + l.Name, Listener: l.Name, Rules: []ir.Rule{{
			Matches: []ir.Match{match}, Backends: []ir.WeightedBackend{{Backend: l.Name, Weight: 1}},
		}}},
	}
}

func answerWith(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
}

// TestSidecar_InANetworkNamespace has the kernel redirect what leaves the
// namespace to a sidecar.
func TestSidecar_InANetworkNamespace(t *testing.T) {
	n := newNamespace(t)
	behind := n.listen(endpoint + ":0")
	go func() { _ = (&http.Server{Handler: answerWith("routed")}).Serve(behind) }()
	for _, host := range []string{plain4, plain6} {
		ln := n.listen(net.JoinHostPort(host, "80"))
		go func() { _ = (&http.Server{Handler: answerWith("plain")}).Serve(ln) }()
	}
	services := grpc.NewServer()
	healthpb.RegisterHealthServer(services, health.NewServer())
	behindGRPC := n.listen(endpoint + ":0")
	go func() { _ = services.Serve(behindGRPC) }()
	t.Cleanup(services.Stop)

	if err := n.proxy(modeRedirect).Wait(); err != nil {
		t.Skipf("connections are not redirected here: %v", err)
	}
	routes := append(meshed(80, ir.ProtocolHTTP, behind, ir.Match{Path: ir.PathMatch{Type: ir.MatchPrefix, Value: "/v1"}}),
		meshed(50051, ir.ProtocolH2C, behindGRPC, ir.Match{Path: ir.PathMatch{Type: ir.MatchExact, Value: "/grpc.health.v1.Health/Check"}})...)
	config := n.startSidecar(routes)
	for name, c := range map[string]struct {
		host, path string
		status     int
		body       string
	}{
		"IPv4":       {service4, "/v1", 200, "routed"},
		"IPv6":       {service6, "/v1", 200, "routed"},
		"NoMatch":    {service4, "/v2", 404, "no route matches\n"},
		"NoRoute":    {plain4, "/v1", 200, "plain"},
		"NoRouteIP6": {plain6, "/v1", 200, "plain"},
	} {
		if status, body := n.get(net.JoinHostPort(c.host, "80"), c.path); status != c.status || body != c.body {
			t.Errorf("%s: got %d %q, want %d %q", name, status, body, c.status, c.body)
		}
	}
	for _, host := range []string{service4, service6} {
		if err := n.check(net.JoinHostPort(host, "50051")); err != nil {
			t.Errorf("gRPC to %s: %v", host, err)
		}
	}
	if err := n.check(service4 + ":80"); grpcstatus.Code(err) != codes.Unimplemented {
		t.Errorf("gRPC to a port with no route for it: %v", err)
	}
	n.comesAndGoes(config, routes)
}

// comesAndGoes has the plain Service taken by a route for a while. Requests on a
// connection that was made meanwhile follow without a failure.
func (n namespace) comesAndGoes(config string, routes []ir.Resource) {
	n.t.Helper()
	l := *routes[0].(*ir.Listener)
	l.Addresses = append(l.Addresses, netip.MustParseAddr(plain4))
	with := append([]ir.Resource{&l}, routes[1:]...)
	writeFile(n.t, config, with)
	n.until(func() bool { _, body := n.get(plain4+":80", "/v1"); return body == "routed" })
	kept := n.client(plain4 + ":80")
	for i, resources := range [][]ir.Resource{with, routes, with, routes} {
		want := []string{"routed", "plain"}[i%2]
		writeFile(n.t, config, resources)
		n.until(func() bool {
			status, body := n.ask(kept, "/v1")
			if status != http.StatusOK {
				n.t.Fatalf("got %d %q, want %s", status, body, want)
			}
			return body == want
		})
	}
}

// until waits until ok.
func (n namespace) until(ok func() bool) {
	n.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !ok(); <-tick.C {
		if time.Since(began) > timeout {
			n.t.Fatal("it does not come")
		}
	}
}

// startSidecar starts one with a configuration, waits until it is ready, and
// returns the file of the configuration.
func (n namespace) startSidecar(resources []ir.Resource) (path string) {
	n.t.Helper()
	dir := n.t.TempDir()
	config := bootstrap.DefaultSidecar()
	config.Source, config.File.Path = bootstrap.SourceFile, filepath.Join(dir, "config.json")
	config.Timeouts.Drain = bootstrap.Duration(timeout)
	writeFile(n.t, config.File.Path, resources)
	b, err := config.Marshal()
	if err != nil {
		n.t.Fatal(err)
	}
	file := filepath.Join(dir, "bootstrap.toml")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		n.t.Fatal(err)
	}
	for _, path := range []string{filepath.Dir(dir), dir, config.File.Path} {
		if err := os.Chmod(path, 0o755); err != nil {
			n.t.Fatal(err)
		}
	}
	cmd := n.proxy(modeSidecar, "--bootstrap="+file)
	n.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			n.t.Errorf("the sidecar ended with %v", err)
		}
	})
	n.until(func() bool { return n.listening(config.Admin) && n.ready(config.Admin) })
	return config.File.Path
}

func (n namespace) listening(address string) bool {
	conn, err := (&net.Dialer{}).DialContext(n.t.Context(), "tcp", address)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func (n namespace) ready(admin string) bool {
	status, _ := n.get(admin, "/readyz")
	return status == http.StatusOK
}
