package translate_test

import (
	"fmt"
	"strings"
	"testing"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/translate"
)

// Rows GW-007 to GW-020 of the security catalogue, as far as they are about
// what is made of objects: tenants who share a Gateway and whose objects are
// wrong on purpose.

const rowRoute = `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: infra, generation: 1}
spec:
  parentRefs: [{name: gw}]
  hostnames: [a.test]
  rules:
  - matches: [{path: {type: PathPrefix, value: /a}}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-A, value: plain}]}}]
    backendRefs: [{name: v1, port: 8080, weight: 1}]`

// TestTenants_Values is rows GW-007, GW-009 and GW-028: a text stays a text, and
// what has no meaning is refused and never taken for "everything".
func TestTenants_Values(t *testing.T) {
	for _, c := range []struct {
		row      string
		old, new string
		want     string // of resources or status
	}{
		{"GW-007 template marks", "value: plain", `value: '{{.}} ${HOME} $(id) %s "; drop \"'`, `{{.}} ${HOME} $(id) %s "; drop \"`},
		{"GW-007 quotes in a path", "value: /a", `value: "/a'\"{}"`, `/a'"{}`},
		{"GW-007 line break in a value", "value: plain", `value: "a\r\nEvil: b"`, "Accepted=False UnsupportedValue"},
		{"GW-007 line break in a path", "value: /a", `value: "/a\nlocation / {"`, "Accepted=False UnsupportedValue"},
		{"GW-007 line break in a host", "hostnames: [a.test]", `hostnames: ["a.test\nb"]`, "Accepted=False UnsupportedValue"},
		{"GW-007 quote in a host", "hostnames: [a.test]", `hostnames: ["a.test\" { } server \""]`, "Accepted=False UnsupportedValue"},
		{"GW-007 space in a name", "name: X-A", `name: "X A: b"`, "Accepted=False UnsupportedValue"},
		{"GW-009 path type", "type: PathPrefix", `type: ""`, "Accepted=False UnsupportedValue"},
		{"GW-009 unknown path type", "type: PathPrefix", "type: Suffix", "Accepted=False UnsupportedValue"},
		{"GW-009 empty path", "value: /a", `value: ""`, "Accepted=False UnsupportedValue"},
		{"GW-009 relative path", "value: /a", "value: a", "Accepted=False UnsupportedValue"},
		{"GW-009 header match type", "path: {type: PathPrefix, value: /a}", `headers: [{type: "", name: a, value: b}]`, "Accepted=False UnsupportedValue"},
		{"GW-009 header match name", "path: {type: PathPrefix, value: /a}", `headers: [{name: "", value: b}]`, "Accepted=False UnsupportedValue"},
		{"GW-009 port 0", "port: 8080", "port: 0", "ResolvedRefs=False BackendNotFound"},
		{"GW-009 port 65536", "port: 8080", "port: 65536", "ResolvedRefs=False BackendNotFound"},
		{"GW-009 no port", "port: 8080, ", "", "ResolvedRefs=False BackendNotFound"},
		{"GW-009 negative weight", "weight: 1", "weight: -1", "Accepted=False UnsupportedValue"},
		{"GW-009 huge weight", "weight: 1", "weight: 2000000000", "Accepted=False UnsupportedValue"},
		{"GW-009 redirect and rewrite", "filters: [", "filters: [{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: {}}, ", "Accepted=False IncompatibleFilters"},
		{"GW-009 empty hostname", "hostnames: [a.test]", `hostnames: [""]`, "Accepted=False UnsupportedValue"},
		{"GW-009 only a star", "hostnames: [a.test]", `hostnames: ["*"]`, "Accepted=False UnsupportedValue"},
		{"GW-009 star inside", "hostnames: [a.test]", `hostnames: ["a.*.test"]`, "Accepted=False UnsupportedValue"},
		{"GW-009 filter type", "type: RequestHeaderModifier", `type: ""`, "Accepted=False UnsupportedValue"},
		{"GW-028 repeated repetition", "{type: PathPrefix, value: /a}", `{type: RegularExpression, value: "(.{1,1000}){1,1000}"}`, "Accepted=False UnsupportedValue"},
		{"GW-028 long", "{type: PathPrefix, value: /a}", "{type: RegularExpression, value: /" + strings.Repeat("a", 2000) + "}", "Accepted=False UnsupportedValue"},
		{"GW-028 large program", "{type: PathPrefix, value: /a}", "{type: RegularExpression, value: '/" + strings.Repeat(`\pL{1000}`, 100) + "'}", "Accepted=False UnsupportedValue"},
		{"GW-028 large together", "{path: {type: PathPrefix, value: /a}}", strings.Repeat(`{path: {type: RegularExpression, value: "/a{900}"}}, `, 12), "too costly together"},
		{"GW-028 unbalanced", "{type: PathPrefix, value: /a}", `{type: RegularExpression, value: ")|(.*"}`, "Accepted=False UnsupportedValue"},
		{"GW-028 nested quantifier", "{type: PathPrefix, value: /a}", `{type: RegularExpression, value: "/(a+)+$"}`, "/(a+)+$"}, // linear in RE2
		{"GW-029 name is no pattern", "path: {type: PathPrefix, value: /a}", "headers: [{name: cert-manager.io, value: a.c}]", "name: cert-manager.io"},
		{"GW-034 a cookie of its own", "backendRefs:", "sessionPersistence: {}\n    backendRefs:", "Accepted=False UnsupportedValue"},
		{"GW-031 Host", "name: X-A", "name: Host", "Accepted=False UnsupportedValue"},
		{"GW-031 Content-Length", "name: X-A", "name: Content-Length", "Accepted=False UnsupportedValue"},
		{"GW-031 Transfer-Encoding", "name: X-A", "name: Transfer-Encoding", "Accepted=False UnsupportedValue"},
		{"GW-031 pseudo header", "name: X-A", `name: ":path"`, "Accepted=False UnsupportedValue"},
	} {
		t.Run(c.row, func(t *testing.T) {
			if !strings.Contains(rowRoute, c.old) {
				t.Fatalf("%q is not in the route", c.old)
			}
			w := newWorld(t, gateway, strings.Replace(rowRoute, c.old, c.new, 1))
			w.expect(true, c.want)
			if strings.Contains(c.want, "=False") {
				w.expect(false, "10.0.1.1", "value: /\n")
			}
		})
	}
}

// TestTenants_NothingPanics is row GW-008: objects without what belongs to them
// leave the others alone.
func TestTenants_NothingPanics(t *testing.T) {
	broken := func() *gatewayv1.HTTPRoute {
		return &gatewayv1.HTTPRoute{Namespace: "infra", Name: "broken", Generation: 1, Spec: gatewayv1.HTTPRouteSpec{
			CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{Name: "gw"}, {}}},
		}}
	}
	filters := []gatewayv1.HTTPRouteFilter{{}}
	for _, kind := range []gatewayv1.HTTPRouteFilterType{
		gatewayv1.HTTPRouteFilterRequestHeaderModifier, gatewayv1.HTTPRouteFilterResponseHeaderModifier, gatewayv1.HTTPRouteFilterRequestRedirect,
		gatewayv1.HTTPRouteFilterURLRewrite, gatewayv1.HTTPRouteFilterRequestMirror, gatewayv1.HTTPRouteFilterCORS, gatewayv1.HTTPRouteFilterExtensionRef, gatewayv1.HTTPRouteFilterExternalAuth,
	} {
		filters = append(filters, gatewayv1.HTTPRouteFilter{Type: kind})
	}
	many := make([]gatewayv1.HTTPRouteRule, 128)
	for i := range many {
		for j := range 64 {
			path := fmt.Sprintf("/%d/%d", i, j)
			many[i].Matches = append(many[i].Matches, gatewayv1.HTTPRouteMatch{Path: &gatewayv1.HTTPPathMatch{Value: &path}})
		}
	}
	for row, rules := range map[string][]gatewayv1.HTTPRouteRule{
		"GW-008 no rules":            nil,
		"GW-008 empty rule":          {{}},
		"GW-008 empty everything":    {{Matches: []gatewayv1.HTTPRouteMatch{{Path: &gatewayv1.HTTPPathMatch{}, Headers: []gatewayv1.HTTPHeaderMatch{{}}, QueryParams: []gatewayv1.HTTPQueryParamMatch{{}}, Method: new(gatewayv1.HTTPMethod)}}}},
		"GW-008 filters":             {{Filters: filters}},
		"GW-008 filters of backends": {{BackendRefs: []gatewayv1.HTTPBackendRef{{Filters: filters}, {}}}},
		"GW-008 empty structs":       {{Timeouts: &gatewayv1.HTTPRouteTimeouts{Request: new(gatewayv1.Duration)}, Retry: &gatewayv1.HTTPRouteRetry{}, SessionPersistence: &gatewayv1.SessionPersistence{}}},
		"GW-008 128 rules":           many,
	} {
		t.Run(row, func(t *testing.T) {
			w := newWorld(t, gateway, rowRoute)
			route := broken()
			route.Spec.Rules = rules
			key, _ := translate.KeyOf(route)
			change := engine.Change{Key: key, Object: route}
			w.e.Apply(change)
			w.own = append(w.own, change)
			w.expect(true, "httproute/infra/r@infra/gw/http", "10.0.1.1", "# HTTPRoute/infra/broken")
		})
	}
}

// TestTenants_Listeners is rows GW-011 to GW-013.
func TestTenants_Listeners(t *testing.T) {
	set := func(name, namespace, created, listener string) string {
		return fmt.Sprintf("\napiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {name: %s, namespace: %s, generation: 1, creationTimestamp: %q}\nspec: {parentRef: {name: gw, namespace: infra}, listeners: [%s]}", name, namespace, created, listener)
	}
	const early, late = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
	const claim = "{name: l, port: 8443, protocol: HTTPS, hostname: a.test, tls: {certificateRefs: [{name: cert}]}}"
	t.Run("GW-011 the older keeps it", func(t *testing.T) {
		w := newWorld(t, gateway, set("zz", "infra", early, claim))
		w.expect(true, "name: infra/gw/infra/zz/l")
		w.apply(set("aa", "web", late, claim))
		w.expect(true, "name: infra/gw/infra/zz/l", "Conflicted=True HostnameConflict")
		w.expect(false, "name: infra/gw/web/aa/l")
		w.remove(set("zz", "infra", early, claim))
		w.expect(true, "name: infra/gw/web/aa/l")
		w.expect(false, "Conflicted=True")
	})
	t.Run("GW-011 capitals are the same name", func(t *testing.T) {
		w := newWorld(t, gateway, set("zz", "infra", early, claim), set("aa", "web", late, strings.Replace(claim, "a.test", "A.TEST", 1)))
		w.expect(false, "name: infra/gw/web/aa/l")
	})
	t.Run("GW-011 nothing is taken from the Gateway", func(t *testing.T) {
		w := newWorld(t, gateway, set("aa", "web", early, "{name: l, port: 80, protocol: HTTP}"))
		w.expect(true, "name: infra/gw/http", "Conflicted=True HostnameConflict")
		w.expect(false, "name: infra/gw/web/aa/l")
	})

	selector := strings.Replace(gateway, "{from: All}}}]", "{from: Selector, selector: {matchLabels: {role: backend}}}}}]", 1)
	foreign := strings.NewReplacer("namespace: infra", "namespace: web", "{name: gw}", "{name: gw, namespace: infra}", "name: v1", "name: web").Replace(rowRoute)
	namespace := "\napiVersion: v1\nkind: Namespace\nmetadata: {name: web, labels: {role: LABEL}}"
	t.Run("GW-012 label removed", func(t *testing.T) {
		w := newWorld(t, selector, foreign)
		w.expect(true, webAddress)
		w.apply(strings.Replace(namespace, "LABEL", "other", 1))
		w.expect(false, webAddress)
		w.expect(true, "Accepted=False NotAllowedByListeners")
		w.apply(strings.Replace(namespace, "LABEL", "backend", 1))
		w.expect(true, webAddress)
	})
	t.Run("GW-012 namespace gone", func(t *testing.T) {
		w := newWorld(t, selector, foreign)
		w.remove(namespace)
		w.expect(false, webAddress)
	})
	t.Run("GW-012 same namespace", func(t *testing.T) {
		same := strings.Replace(gateway, "{from: All}}}]", "{from: Same}}}]", 1)
		newWorld(t, same, foreign).expect(false, webAddress)
		newWorld(t, same, rowRoute).expect(true, "10.0.1.1")
	})
	t.Run("GW-012 by default the same", func(t *testing.T) {
		newWorld(t, strings.Replace(gateway, ", allowedRoutes: {namespaces: {from: All}}", "", 1), foreign).expect(false, webAddress)
	})
	t.Run("GW-012 unknown or empty", func(t *testing.T) {
		for _, from := range []string{"Everyone", `""`, "None", "Selector"} {
			newWorld(t, strings.Replace(gateway, "{from: All}}}]", "{from: "+from+"}}}]", 1), foreign).expect(false, webAddress)
		}
	})
	for row, c := range map[string]struct {
		ref string
		ok  bool
	}{
		"GW-013 no such section":      {"{name: gw, sectionName: htp}", false},
		"GW-013 no such port":         {"{name: gw, port: 81}", false},
		"GW-013 section, other port":  {"{name: gw, sectionName: http, port: 81}", false},
		"GW-013 section":              {"{name: gw, sectionName: http, port: 80}", true},
		"GW-013 empty section is all": {`{name: gw, sectionName: ""}`, true},
	} {
		t.Run(row, func(t *testing.T) {
			w := newWorld(t, gateway, strings.Replace(rowRoute, "{name: gw}", c.ref, 1))
			w.expect(c.ok, "10.0.1.1")
			w.expect(!c.ok, "Accepted=False NoMatchingParent")
		})
	}
}

// TestTenants_Backends is rows GW-016 to GW-019: where a tenant's Service may
// lead.
func TestTenants_Backends(t *testing.T) {
	service := func(spec string) string {
		return "\napiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: infra}\nspec: {" + spec + "}"
	}
	const ports = "ports: [{name: http, port: 8080}]"
	to := strings.Replace(rowRoute, "name: v1", "name: s", 1)
	for _, name := range []string{
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "KUBERNETES.default.SVC.", "web.web.svc", "web", "kubernetes.default.svc.cluster.local.",
		"localhost", "a.localhost", "LOCALHOST.", "127.0.0.1", "169.254.169.254", "metadata.google.internal", "[::1]", "*.example.com", "a b", "",
		"0x7f000001", "2130706433",
	} {
		t.Run("GW-016 "+name, func(t *testing.T) {
			w := newWorld(t, gateway, to, service(fmt.Sprintf("type: ExternalName, externalName: %q, %s", name, ports)))
			w.expect(true, "ResolvedRefs=False BackendNotFound", "status: 500")
			w.expect(false, "service/infra/s:8080")
		})
	}
	t.Run("GW-016 outside", func(t *testing.T) {
		newWorld(t, gateway, to, service("type: ExternalName, externalName: api.example.com, "+ports)).expect(true, "- api.example.com:8080")
	})

	slice := func(namespace, kind, address string) string {
		return fmt.Sprintf("\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: x, namespace: %s, labels: {kubernetes.io/service-name: s}}\naddressType: %s\nports: [{name: http, port: 3000}]\nendpoints: [{addresses: [%q]}]", namespace, kind, address)
	}
	for _, address := range []string{
		"127.0.0.1", "127.8.8.8", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
		"64:ff9b::7f00:1", "fd00:ec2::254", "100.100.100.200", "fe80::1%eth0", "localhost", "127.1", "",
	} {
		t.Run("GW-017 "+address, func(t *testing.T) {
			w := newWorld(t, gateway, to, service(ports), slice("infra", "IPv4", address))
			w.expect(true, "endpoints:\n  name: service/infra/s:8080") // without addresses
		})
	}
	t.Run("GW-017 names", func(t *testing.T) {
		newWorld(t, gateway, to, service(ports), slice("infra", "FQDN", "a.example.com")).expect(false, "a.example.com")
	})
	t.Run("GW-017 a pod", func(t *testing.T) {
		newWorld(t, gateway, to, service(ports), slice("infra", "IPv4", "10.0.9.9")).expect(true, "- 10.0.9.9:3000")
	})
	t.Run("GW-018 slice of another namespace", func(t *testing.T) {
		newWorld(t, gateway, to, service(ports), slice("web", "IPv4", "10.0.9.9")).expect(false, "10.0.9.9")
	})
	t.Run("GW-018 Service without selector", func(t *testing.T) {
		newWorld(t, gateway, to, service(ports), slice("infra", "IPv6", "2001:db8::1")).expect(true, "2001:db8::1")
	})
	t.Run("GW-019 the proxy's own port", func(t *testing.T) {
		newWorld(t, gateway, to, service("ports: [{name: http, port: 8080, targetPort: 19000}]"), slice("infra", "IPv4", "127.0.0.1")).expect(false, "127.0.0.1")
	})
}
