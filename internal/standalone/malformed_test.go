package standalone

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// serviceManifest is a Service with a backend that nobody serves.
const serviceManifest = `
apiVersion: v1
kind: Service
metadata: {name: s}
spec: {ports: [{port: 80}]}
`

// TestLoad_NamesWhatIsWrong holds what `citoroute validate` and `run` say of
// manifests that are wrong, beside a good one that they must leave alone.
func TestLoad_NamesWhatIsWrong(t *testing.T) {
	good := routeTo("good", "/good", "good.example")
	shared, err := newDecoder() // compiling its schemas takes most of the time
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ manifest, want string }{
		"NotYAML":          {"kind: [", "bad.yaml:1: not YAML: line 1:"},
		"Binary":           {"\x00\x01\x02", "bad.yaml:1: not YAML: control characters are not allowed"},
		"Text":             {"hello", "bad.yaml:1: not a Kubernetes object: want apiVersion, kind, metadata and spec, found a text"},
		"List":             {"- a", "found a list"},
		"KeyTwice":         {"kind: A\nkind: B", `key "kind" already set`},
		"NoKind":           {"a: b", "bad.yaml:1: kind: required"},
		"NoAPIVersion":     {"kind: Gateway", "bad.yaml:1: Gateway: apiVersion: required"},
		"UnknownKind":      {"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoutes\nmetadata: {name: a}", `HTTPRoutes/default/a: kind: there is no kind "HTTPRoutes" in gateway.networking.k8s.io; there are BackendTLSPolicy, GRPCRoute, Gateway,`},
		"UnknownVersion":   {"apiVersion: gateway.networking.k8s.io/v9\nkind: HTTPRoute\nmetadata: {name: a}", `HTTPRoute/default/a: apiVersion: there is no version "v9" of HTTPRoute; use v1 or v1beta1`},
		"ForeignKind":      {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}", "Deployment/default/a: ignored: not a kind that routing depends on"},
		"MisspelledGroup":  {"apiVersion: gateway.networking.k8s.oi/v1\nkind: HTTPRoute\nmetadata: {name: a}", "HTTPRoute/default/a: ignored: not a kind that routing depends on; HTTPRoute of gateway.networking.k8s.io is"},
		"SecondDocument":   {good + "---\n\n# comment\nkind: Gateway", "bad.yaml:13: Gateway: apiVersion: required"},
		"UnknownField":     {strings.Replace(gatewayManifest, "port: 80", "prot: 80, port: 80", 1), "Gateway/default/g: spec.listeners[0].prot: Invalid value: unknown field"},
		"CoreUnknownField": {strings.Replace(serviceManifest, "ports", "ports: [{port: 1}], protz", 1), "Service/default/s: spec.protz: Invalid value: unknown field"},
		"CoreBadType":      {strings.Replace(serviceManifest, "80", "eighty", 1), "Service/default/s: Invalid value: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32"},
		"CoreNoPort":       {strings.Replace(serviceManifest, "80", "0", 1), "Service/default/s: spec.ports[0].port: Invalid value: 0"},
		"BadName":          {strings.Replace(gatewayManifest, "name: g", "name: G_", 1), `Gateway/default/G_: metadata.name: Invalid value: "G_"`},
		"NoName":           {strings.Replace(gatewayManifest, "name: g", "labels: {}", 1), "metadata.name: Required value"},
		"Rule":             {strings.Replace(good, "/good", "good", 1), "HTTPRoute/default/good: spec.rules[0].matches[0].path: Invalid value"},
		"RuleOfOurs":       {"apiVersion: citoroute.io/v1alpha1\nkind: LLMBackend\nmetadata: {name: b}\nspec: {provider: Bedrock}", "LLMBackend/default/b: spec.bedrock"},
		"RuleOfMaps":       {"apiVersion: citoroute.io/v1alpha1\nkind: GatewayParameters\nmetadata: {name: p}\nspec: {deployment: {labels: {citoroute.io/a: b}}}", "GatewayParameters/default/p: spec.deployment.labels: Invalid value"},
		"SameObject":       {good + "---" + good, "bad.yaml:11: HTTPRoute/default/good: metadata.name: this object is in"},
		"TLSSecretNoKey":   {"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: kubernetes.io/tls\nstringData: {tls.crt: a}", "Secret/default/s: data[tls.key]: Required value"},
		"SecretNotBase64":  {"apiVersion: v1\nkind: Secret\nmetadata: {name: s}\ndata: {a: '%%'}", "Secret/default/s: "},
		"BadAddress":       {"apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: e, labels: {kubernetes.io/service-name: s}}\naddressType: IPv4\nendpoints: [{addresses: [nowhere]}]", `endpoints[0].addresses[0]: Invalid value: "nowhere"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := emptyWorld(shared)
			changes, problems := w.load(t.Context(), map[string][]byte{
				"good.yaml": []byte(routeTo("bystander", "/b", "b.example")),
				"bad.yaml":  []byte(tc.manifest),
			}, nil)
			var all strings.Builder
			for _, p := range problems {
				all.WriteString(p.String() + "\n")
			}
			if !strings.Contains(all.String(), tc.want) {
				t.Errorf("said %q\nwant %q", all.String(), tc.want)
			}
			found := false
			for _, c := range changes {
				found = found || c.Key.Name == "bystander"
			}
			if !found {
				t.Error("the good file beside it was not taken")
			}
		})
	}
}

func TestLoad_PassesOverWhatIsOfKustomize(t *testing.T) {
	w, err := newWorld()
	if err != nil {
		t.Fatal(err)
	}
	_, problems := w.load(t.Context(), map[string][]byte{"a/kustomization.yaml": []byte("resources: [b.yaml]")}, nil)
	if len(problems) != 1 || !problems[0].Ignored {
		t.Errorf("%+v", problems)
	}
}

// TestLoad_StatusNamesWhatCannotWork holds conditions of objects that an API
// server takes and that cannot work.
func TestLoad_StatusNamesWhatCannotWork(t *testing.T) {
	for name, tc := range map[string]struct{ manifest, want string }{
		"NoSuchService": {
			gatewayManifest + "---\n" + strings.Replace(routeTo("r", "/", "x"), "filters: [{type: RequestRedirect, requestRedirect: {hostname: x}}]", "backendRefs: [{name: nobody, port: 80}]", 1),
			"BackendNotFound: spec.rules[0].backendRefs[0]",
		},
		"NoSuchGateway": {routeTo("r", "/", "x"), "not served: spec.parentRefs[0]: there is no Gateway/default/g\n"},
		"OtherNamespace": {
			gatewayManifest + "---\n" + strings.Replace(routeTo("r", "/", "x"), "name: r", "name: r, namespace: other", 1),
			"not served: spec.parentRefs[0]: there is no Gateway/other/g; the one of that name is in the namespace default",
		},
		"GatewayOfOtherClass": {
			strings.Replace(gatewayManifest, "citoroute", "other", 1) + "---\n" + routeTo("r", "/", "x"),
			"not served: spec.parentRefs[0]: Gateway/default/g is not served itself",
		},
		"PolicyForNobody": {
			"apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: p}\nspec: {targetRefs: [{group: \"\", kind: Service, name: s}], validation: {hostname: s.example, wellKnownCACertificates: System}}\n---" + serviceManifest,
			"not served: spec.targetRefs[0]: Service/default/s is served by nothing here\n",
		},
		"ForeignClass": {
			"apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: c}\nspec: {controllerName: example.com/c}",
			"not served: spec.controllerName: want citoroute.io/gateway-controller",
		},
		"SecretIsNoCertificate": {
			strings.Replace(gatewayManifest, "protocol: HTTP, port: 80", "protocol: HTTPS, port: 443, tls: {certificateRefs: [{name: s}]}", 1) +
				"---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\ntype: kubernetes.io/tls\nstringData: {tls.crt: no certificate, tls.key: no key}",
			"InvalidCertificateRef: ",
		},
		"NoSuchParameters": {
			strings.Replace(gatewayManifest, "gatewayClassName: citoroute", "gatewayClassName: citoroute\n  infrastructure: {parametersRef: {group: citoroute.io, kind: GatewayParameters, name: p}}", 1),
			"InvalidParameters: spec.infrastructure.parametersRef: GatewayParameters default/p does not exist",
		},
		"OtherClass": {strings.Replace(gatewayManifest, "citoroute", "other", 1), `not served: spec.gatewayClassName: "other" is no class of citoroute.io/gateway-controller; "citoroute" is`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			r := &running{t: t, dir: dir}
			r.write("a.yaml", tc.manifest)
			s, err := New(Options{Paths: []string{dir}, Bind: netip.MustParseAddr("127.0.0.1")}, false)
			if err != nil {
				t.Fatal(err)
			}
			report, err := s.Load(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			for _, st := range report.Statuses {
				Printer{Out: &out}.Status(st)
			}
			if !strings.Contains(out.String(), tc.want) {
				t.Errorf("printed\n%s\nwant %q", out.String(), tc.want)
			}
		})
	}
}

// TestServe_SurvivesMalformedRequests holds that requests that are wrong get an
// answer of 4xx or a closed connection, and leave the others alone.
func TestServe_SurvivesMalformedRequests(t *testing.T) {
	r := serve(t, example(t, "quickstart"))
	addr, _ := r.Addr(8080)
	for name, tc := range map[string]struct {
		request string
		want    string // the beginning of the answer; "": the connection is closed without one
	}{
		"HugeHeader":        {"GET /hello HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 2<<20) + "\r\n\r\n", "HTTP/1.1 431 "},
		"HugeTarget":        {"GET /" + strings.Repeat("a", 2<<20) + " HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 414 "},
		"Truncated":         {"GET /hello HTTP/1.1\r\nHo", ""},
		"NoHost":            {"GET /hello HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
		"TwoHosts":          {"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "HTTP/1.1 400 "},
		"LengthAndChunked":  {"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 400 "},
		"SpaceBeforeColon":  {"GET /hello HTTP/1.1\r\nHost : a\r\n\r\n", "HTTP/1.1 400 "},
		"NotHTTP":           {"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "HTTP/1.1 400 "},
		"ChatIsNotJSON":     {"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{", "HTTP/1.1 400 "},
		"ChatWithoutLength": {"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n\r\n", "HTTP/1.1 400 "},
	} {
		t.Run(name, func(t *testing.T) {
			if got := raw(t, addr, tc.request); !strings.HasPrefix(got, tc.want) || (tc.want == "" && got != "") {
				t.Errorf("got %.80q, want %q", got, tc.want)
			}
			if got := r.get(8080, "http://localhost/hello", nil); got.status != http.StatusOK {
				t.Errorf("the next request got %+v", got)
			}
		})
	}
}

// raw sends bytes, says that there are no more, and returns the first line of
// the answer.
func raw(t *testing.T, addr netip.AddrPort, request string) string {
	t.Helper()
	conn, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(conn, request) // the gateway may answer before it has read all
		_ = conn.CloseWrite()
	}()
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return line
}
