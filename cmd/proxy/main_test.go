package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/certtest"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/porttest"
	"github.com/citoroute/citoroute/internal/proxy/source"
	"github.com/citoroute/citoroute/internal/push"
)

// timeout is how long a test waits for what must happen.
const timeout = 10 * time.Second

func TestRun_RefusesWhatItCannotDo(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.toml")
	if err := os.WriteFile(bad, []byte("source = \"file\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"NoBootstrap":     {nil, "--bootstrap: required"},
		"AbsentBootstrap": {[]string{"--bootstrap", filepath.Join(dir, "absent")}, "no such file"},
		"BadBootstrap":    {[]string{"--bootstrap", bad}, "file.path"},
		"UnknownFlag":     {[]string{"--teapot"}, "teapot"},
		"UnknownMode":     {[]string{"--mode=teapot"}, "teapot"},
		"SidecarOfNobody": {[]string{"--mode=sidecar"}, "--bootstrap: required"},
		"BadNetwork":      {[]string{"--mode=redirect-init", "--exclude-cidrs=10.0.0.0/8,everywhere"}, "everywhere"},
		"BadPort":         {[]string{"--mode=redirect-init", "--exclude-ports=80,65536"}, "65536"},
	} {
		t.Run(name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := run(c.args, io.Discard, &stderr); code != exitUsage || !strings.Contains(stderr.String(), c.want) {
				t.Errorf("exit %d: %s; want 2 and %q", code, &stderr, c.want)
			}
		})
	}
}

func TestRun_Version(t *testing.T) {
	var stdout bytes.Buffer
	if code := run([]string{"--version"}, &stdout, io.Discard); code != 0 || stdout.Len() == 0 {
		t.Errorf("exit %d, %q", code, &stdout)
	}
}

func local(port uint16) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// answering is a listener on a port with a route that answers body.
func answering(port uint16, body string) []ir.Resource {
	l := &ir.Listener{Name: "ns/gw/http", Port: port, Protocol: ir.ProtocolHTTP}
	return []ir.Resource{l, &ir.Route{
		Name: "HTTPRoute/ns/r@" + l.Name, Listener: l.Name, Rules: []ir.Rule{{Direct: &ir.Direct{Status: 200, Body: body}}},
	}}
}

func writeFile(t *testing.T, path string, resources []ir.Resource) {
	t.Helper()
	b, err := source.Marshal(resources)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs a proxy; stop ends it and returns what serve returned.
func start(t *testing.T, config *bootstrap.Config) (stop func() error) {
	t.Helper()
	config.Node = "gateway/ns/gw"
	config.Admin, config.Metrics = porttest.Address(t), porttest.Address(t)
	config.Timeouts = bootstrap.Timeouts{
		Header: bootstrap.Duration(timeout), Idle: bootstrap.Duration(timeout), Drain: bootstrap.Duration(200 * time.Millisecond),
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, config, new(slog.LevelVar), io.Discard, slog.New(slog.DiscardHandler)) }()
	stop = func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(timeout):
			return errors.New("it does not stop")
		}
	}
	return stop
}

// get returns status and body, or 0 and the error.
func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
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

// eventually asks until body is answered.
func eventually(t *testing.T, url, body string) {
	t.Helper()
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		status, got := get(t, url)
		if status == http.StatusOK && got == body {
			return
		}
		if time.Since(began) > timeout {
			t.Fatalf("%s: got %d %q, want %q", url, status, got, body)
		}
		<-tick.C
	}
}

func TestServe_FollowsAFile(t *testing.T) {
	at := porttest.Free(t)
	config := bootstrap.Default()
	config.Source, config.File.Path = bootstrap.SourceFile, filepath.Join(t.TempDir(), "config.json")
	stop := start(t, &config)
	for _, admin := range []string{config.Admin, config.Metrics} {
		eventually(t, "http://"+admin+"/livez", "ok\n")
		if status, _ := get(t, "http://"+admin+"/readyz"); status != http.StatusServiceUnavailable {
			t.Errorf("/readyz without a configuration: %d", status)
		}
	}
	writeFile(t, config.File.Path, answering(at, "one"))
	eventually(t, "http://"+local(at), "one")
	eventually(t, "http://"+config.Metrics+"/readyz", "ok\n")
	writeFile(t, config.File.Path, answering(at, "two"))
	eventually(t, "http://"+local(at), "two")
	if err := stop(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if status, _ := get(t, "http://"+local(at)); status != 0 {
		t.Error("the port is still served")
	}
}

func TestServe_AdminPortTakenIsAnError(t *testing.T) {
	config := bootstrap.Default()
	config.Source, config.File.Path = bootstrap.SourceFile, filepath.Join(t.TempDir(), "config.json")
	stop := start(t, &config)
	eventually(t, "http://"+config.Admin+"/livez", "ok\n")
	second := config
	if err := serve(t.Context(), &second, new(slog.LevelVar), io.Discard, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("two proxies share an admin port")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// controller serves configurations over TLS and fills the bootstrap's stream
// section.
func controller(t *testing.T, config *bootstrap.Config) *push.Server {
	t.Helper()
	cert := certtest.Server(t, "controller.test")
	dir := t.TempDir()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config.Stream = bootstrap.Stream{
		Servers: []string{ln.Addr().String()}, ServerName: "controller.test",
		CAFile: filepath.Join(dir, "ca.pem"), TokenFile: filepath.Join(dir, "token"),
	}
	for path, content := range map[string][]byte{
		config.Stream.CAFile:    cert.PEM(),
		config.Stream.TokenFile: []byte("good\n"),
	} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	srv := push.NewServer(push.ServerOptions{
		TLS: &tls.Config{Certificates: []tls.Certificate{cert.TLS()}, MinVersion: tls.VersionTLS13},
		Authorize: func(_ context.Context, token, node string) error {
			if token != "good" || node != "gateway/ns/gw" {
				return errors.New("not for you")
			}
			return nil
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ctx, ln)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return srv
}

func TestServe_FollowsAControllerAndOutlivesIt(t *testing.T) {
	at, state := porttest.Free(t), t.TempDir()
	config := bootstrap.Default()
	config.StateDir = state
	srv := controller(t, &config)
	stop := start(t, &config)
	update := func(body string) {
		if err := srv.Update("gateway/ns/gw", ir.Update{Upserts: answering(at, body)}); err != nil {
			t.Fatal(err)
		}
	}
	update("one")
	eventually(t, "http://"+local(at), "one")
	eventually(t, "http://"+config.Admin+"/readyz", "ok\n")
	update("two")
	eventually(t, "http://"+local(at), "two")
	if state := srv.State("gateway/ns/gw"); !state.Serving || state.Rejected != "" {
		t.Errorf("the controller saw %+v", state)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}

	// The next process finds no controller, but what the last one kept.
	orphan := bootstrap.Default()
	orphan.StateDir, orphan.Stream = state, config.Stream
	orphan.Stream.Servers = []string{porttest.Address(t)}
	stop = start(t, &orphan)
	eventually(t, "http://"+local(at), "two")
	eventually(t, "http://"+orphan.Admin+"/readyz", "ok\n")
	if err := stop(); err != nil {
		t.Error(err)
	}
}
