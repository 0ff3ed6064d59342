package schema

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	gvk "k8s.io/apimachinery/pkg/runtime/schema"
	kubejson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

func read(t *testing.T, manifest string) (gvk.GroupVersionKind, map[string]any) {
	t.Helper()
	b, err := yaml.YAMLToJSON([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	var obj map[string]any
	if err := kubejson.Unmarshal(b, &obj); err != nil {
		t.Fatal(err)
	}
	apiVersion, _ := obj["apiVersion"].(string)
	kind, _ := obj["kind"].(string)
	return gvk.FromAPIVersionAndKind(apiVersion, kind), obj
}

func TestSet_AdmitSaysWhatAnAPIServerSays(t *testing.T) {
	set, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		manifest string
		want     []string // a part of each error
	}{
		"Good": {`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: default}
spec: {parentRefs: [{name: g}], rules: [{backendRefs: [{name: s, port: 80}]}]}
`, nil},
		"UnknownField": {`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {rules: [{backends: []}]}
`, []string{"spec.rules[0].backends: Invalid value: unknown field; there are backendRefs, filters, matches, name, retry, sessionPersistence, timeouts"}},
		"UnknownFieldDeep": {`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {rules: [{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /, full: /}}}]}]}
`, []string{"spec.rules[0].filters[0].urlRewrite.path.full: Invalid value: unknown field; there are replaceFullPath, replacePrefixMatch, type"}},
		"UnknownFieldAtTop": {`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
specs: {}
spec: {}
`, []string{"specs: Invalid value: unknown field; there are"}},
		"Pattern": {`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: citoroute, listeners: [{name: http, port: 70000, protocol: HTTP}]}
`, []string{"spec.listeners[0].port: Invalid value: 70000"}},
		"Duplicate": {`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: g}
spec: {gatewayClassName: citoroute, listeners: [{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}]}
`, []string{"spec.listeners[1]: Duplicate value"}},
		"Rule": {`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {rules: [{matches: [{path: {type: PathPrefix, value: "a"}}]}]}
`, []string{"value must be an absolute path and start with '/'"}},
		"RuleOfOurs": {`
apiVersion: citoroute.io/v1alpha1
kind: LLMBackend
metadata: {name: b}
spec: {provider: Bedrock}
`, []string{"spec.bedrock.region", "spec.model is required"}},
		"Type": {`
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {rules: no}
`, []string{"spec.rules"}},
	} {
		t.Run(name, func(t *testing.T) {
			kind, obj := read(t, tc.manifest)
			errs, err := set.Admit(t.Context(), kind, obj)
			if err != nil {
				t.Fatal(err)
			}
			if len(errs) != len(tc.want) {
				t.Fatalf("got %d errors, want %d: %v", len(errs), len(tc.want), errs.ToAggregate())
			}
			for i, e := range errs {
				if !strings.Contains(e.Error(), tc.want[i]) {
					t.Errorf("error %d is %q, want %q in it", i, e, tc.want[i])
				}
			}
		})
	}
}

func TestSet_AdmitSetsDefaults(t *testing.T) {
	set, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	kind, obj := read(t, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {rules: [{backendRefs: [{name: s, port: 80}]}]}
`)
	if errs, err := set.Admit(t.Context(), kind, obj); err != nil || len(errs) > 0 {
		t.Fatal(err, errs)
	}
	_, want := read(t, `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec:
  rules:
  - backendRefs: [{group: "", kind: Service, name: s, port: 80, weight: 1}]
    matches: [{path: {type: PathPrefix, value: /}}]
`)
	if diff := cmp.Diff(want, obj); diff != "" {
		t.Errorf("defaults differ (-want +got):\n%s", diff)
	}
}

func TestSet_EverySchemaCompiles(t *testing.T) {
	set, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for k := range set.kinds {
		if _, err := set.kinds[k].compile(); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
	for _, kind := range []string{"Gateway", "GatewayClass", "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute", "ListenerSet", "ReferenceGrant", "BackendTLSPolicy"} {
		if len(set.Versions(gvk.GroupKind{Group: "gateway.networking.k8s.io", Kind: kind})) == 0 {
			t.Errorf("no schema of %s", kind)
		}
	}
}
