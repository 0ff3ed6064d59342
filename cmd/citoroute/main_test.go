package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/porttest"
)

const (
	gatewayManifest = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec:
  gatewayClassName: citoroute
  listeners: [{name: http, protocol: HTTP, port: 80}]
`
	routeManifest = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{name: g}]
  rules:
  - matches: [{path: {value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example}}]
`
	meshManifest = `
apiVersion: v1
kind: Service
metadata: {name: s}
spec: {ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  parentRefs: [{group: "", kind: Service, name: s, port: 80}]
  rules: [{backendRefs: [{name: s, port: 80}]}]
`
)

// folder writes a manifest into a folder of its own.
func folder(t *testing.T, manifest string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestValidate_TakesStandardInput(t *testing.T) {
	for name, tc := range map[string]struct {
		input string
		code  int
		want  string
	}{
		"Good":    {gatewayManifest + "---" + routeManifest, 0, "All 2 objects are fine\n"},
		"Refused": {strings.Replace(gatewayManifest, "port: 80", "port: 0", 1), exitBad, "error  (standard input):2: Gateway/default/g: spec.listeners[0].port"},
		"Nothing": {"", exitBad, "there is no object to check"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			root := newRoot()
			root.SetIn(strings.NewReader(tc.input))
			if code := execute(t.Context(), root, []string{"validate", "-q", "-"}, &out, &out); code != tc.code || !strings.Contains(out.String(), tc.want) {
				t.Errorf("exit code %d, want %d; want %q in\n%s", code, tc.code, tc.want, out.String())
			}
		})
	}
}

func TestExecute_ExitCodes(t *testing.T) {
	good := folder(t, gatewayManifest+"---"+routeManifest)
	refused := folder(t, gatewayManifest+"---"+strings.Replace(routeManifest, "/old", "old", 1))
	broken := folder(t, gatewayManifest+"---"+strings.Replace(routeManifest, "filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example}}]", "backendRefs: [{name: nobody, port: 80}]", 1))
	noPort := folder(t, strings.Replace(meshManifest, "name: s, port: 80}]\n  rules", "name: s, port: 81}]\n  rules", 1))
	twice := folder(t, gatewayManifest+"---"+strings.NewReplacer("/old", "old", "rules:", "wrong: 1\n  rules:").Replace(routeManifest))
	nobody := folder(t, routeManifest)
	closed := "127.0.0.1:1"
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"Version":         {[]string{"version"}, 0, "\n"},
		"VersionFlag":     {[]string{"--version"}, 0, "\n"},
		"Help":            {nil, 0, "validate"},
		"UnknownCommand":  {[]string{"dance"}, exitUsage, "\"dance\" for \"citoroute\"; see citoroute --help"},
		"UnknownFlag":     {[]string{"run", "--dance"}, exitUsage, "--dance"},
		"NoPath":          {[]string{"validate"}, exitUsage, "PATH is missing, a file or folder of manifests; see citoroute validate --help"},
		"BadLogLevel":     {[]string{"run", "--log-level", "loud", good}, exitUsage, "--log-level loud: want debug, info"},
		"BadPortMap":      {[]string{"run", "--port", "a=1", good}, exitUsage, "--port a=1"},
		"BadPortMapTail":  {[]string{"run", "--port", "80x=1", good}, exitUsage, "--port 80x=1"},
		"BadOutput":       {[]string{"explain", good, "-o", "yaml"}, exitUsage, "--output yaml: want text or json"},
		"BadAddress":      {[]string{"run", "--address", "nowhere", good}, exitUsage, "--address"},
		"ValidateGood":    {[]string{"validate", good}, 0, "All 2 objects are fine"},
		"ValidateExample": {[]string{"validate", "../../examples/quickstart"}, 0, "All 7 objects are fine"},
		"ValidateRefused": {[]string{"validate", refused}, exitBad, "a.yaml:9: HTTPRoute/default/r: spec.rules[0].matches[0].path"},
		"ValidateBroken":  {[]string{"validate", "-q", broken}, exitBad, "BackendNotFound: spec.rules[0].backendRefs[0]"},
		"ValidateMesh":    {[]string{"validate", folder(t, meshManifest)}, 0, "parent Service/s:80: Accepted"},
		"ValidateNoPort":  {[]string{"validate", noPort}, exitBad, "NoMatchingParent: spec.parentRefs[0]: Service/default/s has no TCP port 81"},
		"ValidateQuiet":   {[]string{"validate", "-q", good}, 0, "All 2 objects are fine"},
		"ValidateTwice":   {[]string{"validate", twice}, exitBad, "\n1 of 2 objects cannot be used as they are"},
		"ValidateNobody":  {[]string{"validate", "-q", nobody}, 0, "a.yaml:2: HTTPRoute/default/r: not served: spec.parentRefs[0]: there is no Gateway/default/g\n\nAll 1 objects are fine, but not served by what is here: 1"},
		"ExplainNobody":   {[]string{"explain", folder(t, gatewayManifest+"---"+strings.Replace(routeManifest, "name: g", "name: h", 1))}, exitBad, "HTTPRoute/default/r: not served: spec.parentRefs[0]: there is no Gateway/default/h"},
		"ValidateEmpty":   {[]string{"validate", folder(t, "# nothing\n")}, exitBad, "there is no object to check"},
		"ValidateNoFile":  {[]string{"validate", "/no/such/folder"}, exitBad, "no such file"},
		"Explain":         {[]string{"explain", good, "--path", "/old/x"}, 0, "HTTPRoute/default/r"},
		"ExplainJSON":     {[]string{"explain", good, "--path", "/old/x", "-o", "json"}, 0, `"route": "HTTPRoute/default/r"`},
		"ExplainNoRoute":  {[]string{"explain", good, "--path", "/new"}, exitBad, "404"},
		"ExplainHeader":   {[]string{"explain", good, "--header", "x"}, exitUsage, "--header"},
		"ExplainPort":     {[]string{"explain", good, "--port", "81"}, exitBad, "--port 81: no HTTP listener; there are those of default/g:80"},
		"ExplainGateway":  {[]string{"explain", good, "--gateway", "x/y"}, exitBad, "--gateway x/y: no HTTP listener; there are those of default/g:80"},
		"ExplainNothing":  {[]string{"explain", nobody}, exitBad, "citoroute validate says why"},
		"ExplainPath":     {[]string{"explain", good, "--path", "old"}, exitUsage, "--path old: want a path that begins with /"},
		"StatusNoGateway": {[]string{"status", "--admin", closed}, exitBad, "no gateway answers"},
		"ConfigType":      {[]string{"config", "--type", "routes"}, exitUsage, "--type routes: want listener, route"},
		"EchoNoAddress":   {[]string{"echo", "--listen", "9001"}, exitBad, "--listen: listen tcp: address 9001: missing port"},
		"ConfigNoGateway": {[]string{"config", "--admin", closed}, exitBad, "no gateway answers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			if code := execute(t.Context(), newRoot(), tc.args, &out, &out); code != tc.code || !strings.Contains(out.String(), tc.want) {
				t.Errorf("exit code %d, want %d; want %q in\n%s", code, tc.code, tc.want, out.String())
			}
		})
	}
}

// transcript is what a command that runs has printed so far.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *transcript) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *transcript) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits until the command has printed want.
func (o *transcript) await(t *testing.T, want string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !strings.Contains(o.String(), want) {
		if time.Now().After(deadline) {
			t.Fatalf("not printed: %q; printed:\n%s", want, o.String())
		}
		<-time.After(5 * time.Millisecond) // between two looks
	}
}

func TestRun_ServesAndCanBeLookedInto(t *testing.T) {
	admin := porttest.Address(t)
	dir := folder(t, gatewayManifest+"---"+routeManifest)
	ctx, cancel := context.WithCancel(t.Context())
	var out transcript
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, newRoot(), []string{"run", "--admin", admin, "--port", "80=0", dir}, &out, &out)
	}()
	out.await(t, "Try:")
	out.await(t, "/old")
	var status, config bytes.Buffer
	deadline := time.Now().Add(20 * time.Second)
	for execute(t.Context(), newRoot(), []string{"status", "--admin", admin}, &status, &status) != 0 {
		if time.Now().After(deadline) {
			t.Fatalf("status: %s", status.String())
		}
		<-time.After(5 * time.Millisecond) // until the admin address is bound
	}
	if want := "HTTP 80, any host"; !strings.Contains(status.String(), want) {
		t.Errorf("status says\n%s\nwant %q", status.String(), want)
	}
	if code := execute(t.Context(), newRoot(), []string{"config", "--admin", admin, "--type", "route"}, &config, &config); code != 0 || !strings.Contains(config.String(), "new.example") || strings.Contains(config.String(), `"listener": {`) {
		t.Errorf("config ends with %d:\n%s", code, config.String())
	}
	if err := os.WriteFile(filepath.Join(dir, "b.yaml"), []byte("kind: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	out.await(t, "b.yaml:1: not YAML")
	if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	out.await(t, "All files can be read again")
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("run ended with %d", code)
	}
}
