package translate_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/engine"
)

// Rows GW-001 to GW-005 of the security catalogue: references between
// namespaces. infra is the tenant who refers, web the one who is referred to.

// world is an engine with base.yaml and more manifests.
type world struct {
	t    *testing.T
	e    *engine.Engine
	read func(manifests string) []engine.Change
	own  []engine.Change
}

func newWorld(t *testing.T, manifests ...string) *world {
	t.Helper()
	decoder := newDecoder(t)
	w := &world{t: t, e: engine.New(engine.Options{ControllerName: controllerName})}
	w.read = func(m string) []engine.Change { return decode(t, decoder, []byte(m)) }
	w.e.Apply(w.read(string(readFile(t, "testdata/base.yaml")))...)
	for _, m := range manifests {
		w.apply(m)
	}
	return w
}

func (w *world) apply(manifests string) {
	w.t.Helper()
	changes := w.read(manifests)
	w.e.Apply(changes...)
	w.own = append(w.own, changes...)
}

// remove takes objects away.
func (w *world) remove(manifests string) {
	w.t.Helper()
	for _, c := range w.read(manifests) {
		w.e.Apply(engine.Change{Key: c.Key})
		w.own = slices.DeleteFunc(w.own, func(o engine.Change) bool { return o.Key == c.Key })
	}
}

func (w *world) resources() string { return string(renderResources(w.t, w.e, nil)) }
func (w *world) status() string    { return string(renderStatus(w.t, w.e, w.own)) }

// expect says that resources or status have a text, or have it not.
func (w *world) expect(has bool, texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if got := w.resources() + w.status(); strings.Contains(got, text) != has {
			w.t.Errorf("%q: want %v in:\n%s", text, has, got)
		}
	}
}

const (
	gateway = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: infra, generation: 1}
spec:
  gatewayClassName: citoroute
  allowedListeners: {namespaces: {from: All}}
  listeners: [{name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]`
	toWeb = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: infra, generation: 1}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: web, namespace: web, port: 8080}]}]}`
	webAddress = "10.0.4.1"
)

// grant lets HTTPRoutes of infra refer to Services of web; replace changes it.
func grant(replace ...string) string {
	return strings.NewReplacer(replace...).Replace(`
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: grant, namespace: web, generation: 1}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: infra}]
  to: [{group: "", kind: Service}]`)
}

func TestReferences_Grants(t *testing.T) {
	for row, c := range map[string]struct {
		grant string
		ok    bool
	}{
		"GW-001 granted":              {grant(), true},
		"GW-001 granted by name":      {grant("kind: Service", "kind: Service, name: web"), true},
		"GW-001 no grant":             {"", false},
		"GW-001 in the wrong place":   {grant("namespace: web, g", "namespace: infra, g"), false},
		"GW-001 from group":           {grant("{group: gateway.networking.k8s.io", `{group: ""`), false},
		"GW-001 from kind":            {grant("kind: HTTPRoute", "kind: GRPCRoute"), false},
		"GW-001 from namespace":       {grant("namespace: infra}", "namespace: apps}"), false},
		"GW-001 to group":             {grant(`{group: ""`, "{group: apps"), false},
		"GW-001 to kind":              {grant("kind: Service", "kind: Secret"), false},
		"GW-001 to name":              {grant("kind: Service", "kind: Service, name: other"), false},
		"GW-001 to a longer name":     {grant("kind: Service", "kind: Service, name: web-2"), false},
		"GW-001 of a ServiceImport":   {grant(`{group: "", kind: Service`, "{group: multicluster.x-k8s.io, kind: ServiceImport"), false},
		"GW-001 kind in other letter": {grant("kind: HTTPRoute", "kind: httproute"), false},
	} {
		t.Run(row, func(t *testing.T) {
			w := newWorld(t, gateway, toWeb, c.grant)
			w.expect(c.ok, webAddress)
			w.expect(!c.ok, "ResolvedRefs=False RefNotPermitted", "status: 500")
		})
	}
	t.Run("GW-001 share of the traffic", func(t *testing.T) {
		w := newWorld(t, gateway, strings.Replace(toWeb, "[{name: web", "[{name: v1, port: 8080, weight: 3}, {name: web", 1))
		w.expect(true, "10.0.1.1", "RefNotPermitted", "- status: 500\n      weight: 1")
		w.expect(false, webAddress)
	})
}

func TestReferences_GrantsChange(t *testing.T) {
	named := grant("kind: Service", "kind: Service, name: other")
	t.Run("GW-002 revoked", func(t *testing.T) {
		w := newWorld(t, gateway, toWeb, grant())
		w.expect(true, webAddress)
		w.remove(grant())
		w.expect(true, "RefNotPermitted", "status: 500")
		w.expect(false, webAddress, "service/web/web:8080")
	})
	t.Run("GW-003 narrowed and widened", func(t *testing.T) {
		w := newWorld(t, gateway, toWeb, grant())
		w.apply(named)
		w.expect(false, webAddress)
		w.apply(grant())
		w.expect(true, webAddress)
	})
	t.Run("GW-003 before its route", func(t *testing.T) {
		newWorld(t, grant(), toWeb, gateway).expect(true, webAddress)
	})
	t.Run("GW-003 one of two stays", func(t *testing.T) {
		w := newWorld(t, gateway, toWeb, grant(), grant("name: grant", "name: second"))
		w.remove(grant())
		w.expect(true, webAddress)
	})
}

// listenerOf is the Gateway with another listener.
func listenerOf(listener string) string {
	before, _, _ := strings.Cut(gateway, "  listeners:")
	return before + "  listeners: [" + listener + "]"
}

func route(kind, spec string) string {
	return fmt.Sprintf("\napiVersion: gateway.networking.k8s.io/v1\nkind: %s\nmetadata: {name: r, namespace: infra, generation: 1}\nspec: {parentRefs: [{name: gw}], %s}", kind, spec)
}

func llm(kind, name, spec string) string {
	return fmt.Sprintf("\napiVersion: citoroute.io/v1alpha1\nkind: %s\nmetadata: {name: %s, namespace: infra, generation: 1}\nspec: {%s}", kind, name, spec)
}

const (
	https   = "{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert, namespace: web}]}}"
	ownCert = "{name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: cert}]}}"
	udpWeb  = `
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: web}
spec: {ports: [{name: dns, port: 53, protocol: UDP}]}`
	webKey = `
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: web}
data: {apiKey: c2VjcmV0, username: dQ==, password: cA==}`
)

// places are all fields that can name an object of another namespace, by kind
// and path, with manifests in which they do.
func places() map[string][]string {
	backend := "backendRefs: [{name: web, namespace: web, port: 8080}]"
	chat := llm("LLMRoute", "chat", "parentRefs: [{name: gw}], path: {value: /chat}, backendRefs: [{name: m}]")
	model := llm("LLMBackend", "m", "provider: OpenAI")
	return map[string][]string{
		"Gateway.TLS.Backend.ClientCertificateRef":                      {strings.Replace(gateway, "  allowed", "  tls: {backend: {clientCertificateRef: {name: cert, namespace: web}}}\n  allowed", 1)},
		"Gateway.TLS.Frontend.Default.Validation.CACertificateRefs":     {frontend("default: {validation: {caCertificateRefs: [{group: \"\", kind: ConfigMap, name: ca, namespace: web}]}}")},
		"Gateway.TLS.Frontend.PerPort.TLS.Validation.CACertificateRefs": {frontend("default: {}, perPort: [{port: 443, tls: {validation: {caCertificateRefs: [{group: \"\", kind: ConfigMap, name: ca, namespace: web}]}}}]")},
		"Gateway.Listeners.TLS.CertificateRefs":                         {listenerOf(https)},
		"ListenerSet.Listeners.TLS.CertificateRefs":                     {gateway, "\napiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {name: set, namespace: infra, generation: 1}\nspec: {parentRef: {name: gw}, listeners: [" + https + "]}"},
		"HTTPRoute.Rules.BackendRefs.BackendRef.BackendObjectReference": {gateway, route("HTTPRoute", "rules: [{"+backend+"}]")},
		"HTTPRoute.Rules.Filters.RequestMirror.BackendRef":              {gateway, route("HTTPRoute", "rules: [{backendRefs: [{name: v1, port: 8080}], filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, namespace: web, port: 8080}}}]}]")},
		"HTTPRoute.Rules.BackendRefs.Filters.RequestMirror.BackendRef":  {gateway, route("HTTPRoute", "rules: [{backendRefs: [{name: v1, port: 8080, filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, namespace: web, port: 8080}}}]}]}]")},
		"GRPCRoute.Rules.BackendRefs.BackendRef.BackendObjectReference": {gateway, route("GRPCRoute", "rules: [{"+backend+"}]")},
		"GRPCRoute.Rules.Filters.RequestMirror.BackendRef":              {gateway, route("GRPCRoute", "rules: [{backendRefs: [{name: v1, port: 8080}], filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, namespace: web, port: 8080}}}]}]")},
		"GRPCRoute.Rules.BackendRefs.Filters.RequestMirror.BackendRef":  {gateway, route("GRPCRoute", "rules: [{backendRefs: [{name: v1, port: 8080, filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, namespace: web, port: 8080}}}]}]}]")},
		"TLSRoute.Rules.BackendRefs.BackendObjectReference":             {listenerOf("{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}}"), route("TLSRoute", "hostnames: [a.test], rules: [{"+backend+"}]")},
		"TCPRoute.Rules.BackendRefs.BackendObjectReference":             {listenerOf("{name: tcp, port: 5000, protocol: TCP}"), route("TCPRoute", "rules: [{"+backend+"}]")},
		"UDPRoute.Rules.BackendRefs.BackendObjectReference":             {udpWeb, listenerOf("{name: udp, port: 53, protocol: UDP}"), route("UDPRoute", "rules: [{backendRefs: [{name: dns, namespace: web, port: 53}]}]")},
		"LLMRoute.BackendRefs":                                          {gateway, strings.Replace(chat, "{name: m}", "{name: m, namespace: web}", 1), strings.Replace(model, "infra", "web", 1)},
		"LLMRoute.ConsumerRefs":                                         {gateway, strings.Replace(chat, "path:", "consumerRefs: [{name: c, namespace: web}], path:", 1), model, strings.Replace(llm("Consumer", "c", "apiKeys: {secretRef: {name: key}}"), "infra", "web", 1), webKey},
		"LLMBackend.CredentialsRef":                                     {gateway, chat, llm("LLMBackend", "m", "provider: OpenAI, credentialsRef: {name: key, namespace: web}"), webKey},
		"Consumer.APIKeys.SecretRef":                                    {gateway, strings.Replace(chat, "path:", "consumerRefs: [{name: c}], path:", 1), model, llm("Consumer", "c", "apiKeys: {secretRef: {name: key, namespace: web}}"), webKey},
		"LLMLimitPolicy.Limits.ConsumerRefs":                            {gateway, chat, model, strings.Replace(llm("Consumer", "c", "apiKeys: {secretRef: {name: key}}"), "infra", "web", 1), webKey, llm("LLMLimitPolicy", "p", "targetRefs: [{group: citoroute.io, kind: LLMRoute, name: chat}], limits: [{name: day, unit: Tokens, per: Day, amount: 1M, consumerRefs: [{name: c, namespace: web}]}]")},
	}
}

// frontend is a Gateway that demands certificates of its clients.
func frontend(tls string) string {
	return strings.Replace(listenerOf(ownCert), "  allowed", "  tls: {frontend: {"+tls+"}}\n  allowed", 1)
}

// TestReferences_EveryPlaceNeedsAGrant is row GW-004. Fields that are missing in
// places, because the API got new ones, fail it.
func TestReferences_EveryPlaceNeedsAGrant(t *testing.T) {
	covered := places()
	for field, manifests := range covered {
		t.Run("GW-004 "+field, func(t *testing.T) {
			w := newWorld(t, manifests...)
			w.expect(true, "ResolvedRefs=False RefNotPermitted")
			if got := w.resources(); strings.Contains(got, "/web/") || strings.Contains(got, webAddress) {
				t.Errorf("something of the other namespace is there:\n%s", got)
			}
		})
	}
	for _, kind := range []any{
		gatewayv1.Gateway{},
		gatewayv1.ListenerSet{},
		gatewayv1.HTTPRoute{},
		gatewayv1.GRPCRoute{},
		gatewayv1.TLSRoute{},
		gatewayv1.TCPRoute{},
		gatewayv1.UDPRoute{},
		gatewayv1.BackendTLSPolicy{},
		v1alpha1.LLMRoute{},
		v1alpha1.LLMBackend{},
		v1alpha1.Consumer{},
		v1alpha1.JWTValidationPolicy{},
		v1alpha1.LLMLimitPolicy{},
		v1alpha1.LLMPriceTable{},
		v1alpha1.GatewayParameters{},
	} {
		of := reflect.TypeOf(kind)
		spec, _ := of.FieldByName("Spec")
		for _, field := range crossNamespace(of.Name(), spec.Type) {
			if covered[field] == nil && !exempt(field) {
				t.Errorf("GW-004 %s is not tested", field)
			}
		}
	}
}

// exempt says why a field needs no grant, or is not read at all.
func exempt(field string) bool {
	switch {
	case strings.HasSuffix(field, ".ParentRefs"), strings.HasSuffix(field, ".ParentRef"): // allowedRoutes and allowedListeners decide: GW-012
		return true
	case strings.Contains(field, ".ExternalAuth."), strings.HasPrefix(field, "Gateway.Listeners.Filters"), strings.HasPrefix(field, "ListenerSet.Listeners.Filters"): // not supported
		return true
	}
	return false
}

// crossNamespace lists the fields below a type that have a name and a
// namespace.
func crossNamespace(path string, of reflect.Type) []string {
	for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if of.Kind() != reflect.Struct || strings.HasPrefix(of.PkgPath(), "k8s.io/apimachinery") {
		return nil
	}
	if namespace, ok := of.FieldByName("Namespace"); ok && namespace.Type == reflect.TypeFor[*gatewayv1.Namespace]() && len(namespace.Index) == 1 {
		return []string{path}
	}
	var out []string
	for field := range of.Fields() {
		out = append(out, crossNamespace(path+"."+field.Name, field.Type)...)
	}
	return out
}

// TestReferences_SecretsStayWhereTheyAre is row GW-005.
func TestReferences_SecretsStayWhereTheyAre(t *testing.T) {
	t.Run("GW-005 no grant", func(t *testing.T) {
		w := newWorld(t, listenerOf(https))
		w.expect(true, "ResolvedRefs=False RefNotPermitted")
		w.expect(false, "secret/web/cert")
		for _, node := range w.e.Nodes() {
			if len(w.e.Snapshot(node).Upserts) > 0 {
				t.Errorf("%s gets %v", node, w.e.Snapshot(node).Upserts)
			}
		}
	})
	t.Run("GW-005 whether it exists is not told", func(t *testing.T) {
		missing := newWorld(t, listenerOf(strings.Replace(https, "name: cert", "name: none", 1)))
		if there := newWorld(t, listenerOf(https)); strings.ReplaceAll(missing.status(), "web/none", "web/cert") != there.status() {
			t.Errorf("the status tells a Secret that exists from one that does not:\n%s%s", there.status(), missing.status())
		}
	})
	t.Run("GW-005 values are not shown", func(t *testing.T) {
		secret := "\napiVersion: v1\nkind: Secret\nmetadata: {name: bad, namespace: infra}\nstringData: {}\ndata: {tls.crt: dG9wIHNlY3JldA==, tls.key: dG9wIHNlY3JldA==}"
		w := newWorld(t, secret, listenerOf(strings.Replace(ownCert, "name: cert", "name: bad", 1)))
		w.expect(true, "InvalidCertificateRef")
		w.expect(false, "top secret", "dG9wIHNlY3JldA==")
	})
}
