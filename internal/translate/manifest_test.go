package translate_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	xv1alpha1 "sigs.k8s.io/gateway-api/apisx/v1alpha1"
	"sigs.k8s.io/yaml"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/status"
	"github.com/citoroute/citoroute/internal/translate"
)

const controllerName = "citoroute.io/gateway-controller"

func readFile(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func section(archive *txtar.Archive, name string) []byte {
	for _, f := range archive.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

func setSection(archive *txtar.Archive, name string, data []byte) {
	for i, f := range archive.Files {
		if f.Name == name {
			archive.Files[i].Data = data
			return
		}
	}
	archive.Files = append(archive.Files, txtar.File{Name: name, Data: data})
}

func newDecoder(tb testing.TB) runtime.Decoder {
	tb.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{gatewayv1.Install, xv1alpha1.Install, corev1.AddToScheme, discoveryv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			tb.Fatal(err)
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
}

// decode reads manifests of the kinds that are translated.
func decode(tb testing.TB, decoder runtime.Decoder, manifests []byte) []engine.Change {
	tb.Helper()
	var out []engine.Change
	for document := range bytes.SplitSeq(manifests, []byte("\n---\n")) {
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		o, _, err := decoder.Decode(document, nil, nil)
		if err != nil {
			tb.Fatalf("%v in:\n%s", err, document)
		}
		object, ok := o.(translate.Object)
		if !ok {
			tb.Fatalf("%T is not translated", o)
		}
		key, ok := translate.KeyOf(object)
		if !ok {
			tb.Fatalf("%T is not translated", o)
		}
		out = append(out, engine.Change{Key: key, Object: object})
	}
	return out
}

// renderResources prints the configuration of all nodes, secrets redacted.
func renderResources(t *testing.T, e *engine.Engine, _ []engine.Change) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, node := range e.Nodes() {
		fmt.Fprintf(&out, "# %s\n", node)
		for _, resource := range e.Snapshot(node).Upserts {
			var fields map[string]any
			if err := yaml.Unmarshal(toYAML(t, resource), &fields); err != nil {
				t.Fatal(err)
			}
			out.Write(toYAML(t, map[string]any{string(resource.ResourceType()): compact(fields)}))
		}
	}
	return out.Bytes()
}

// renderStatus prints the status of the case's objects, a line per condition.
func renderStatus(t *testing.T, e *engine.Engine, own []engine.Change) []byte {
	t.Helper()
	now := metav1.NewTime(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	var out bytes.Buffer
	for _, c := range own {
		facts := factsOf(c.Object, own)
		updated, changed := status.Compute(c.Object, e.Report(c.Key), facts, now)
		if _, again := status.Compute(updated, e.Report(c.Key), facts, metav1.NewTime(now.Add(time.Hour))); again {
			t.Errorf("%s: the same facts change the status twice", c.Key)
		}
		if !changed {
			continue
		}
		var fields map[string]any
		if err := yaml.Unmarshal(toYAML(t, updated), &fields); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "# %s\n", c.Key)
		out.Write(toYAML(t, compact(fields["status"])))
	}
	return out.Bytes()
}

// factsOf says that a proxy serves, at the addresses of the Services that the case
// has for a Gateway, or at 203.0.113.1.
func factsOf(o translate.Object, own []engine.Change) status.Facts {
	var services []*corev1.Service
	if gateway, ok := o.(*gatewayv1.Gateway); ok {
		for _, c := range own {
			if s, ok := c.Object.(*corev1.Service); ok && slices.Contains(infra.ServiceNames(gateway), s.Name) {
				services = append(services, s)
			}
		}
	}
	if services == nil {
		return status.Facts{Addresses: []gatewayv1.GatewayStatusAddress{{Type: new(gatewayv1.IPAddressType), Value: "203.0.113.1"}}, Serving: true}
	}
	return status.Facts{Addresses: infra.Addresses(services), Serving: true}
}

// compact writes conditions, sources, kinds and endpoints as one line each.
func compact(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = compact(v[i])
		}
	case map[string]any:
		if line := oneLine(v); line != "" {
			return line
		}
		for k := range v {
			v[k] = compact(v[k])
		}
	}
	return v
}

func oneLine(v map[string]any) string {
	has := func(keys ...string) bool {
		for _, k := range keys {
			if _, ok := v[k]; !ok {
				return false
			}
		}
		return true
	}
	switch {
	case has("lastTransitionTime"):
		line := fmt.Sprintf("%v=%v %v", v["type"], v["status"], v["reason"])
		if has("observedGeneration") {
			line += fmt.Sprintf(" @%v", v["observedGeneration"])
		}
		if m := v["message"]; m != "" {
			line += fmt.Sprintf(": %v", m)
		}
		return line
	case has("kind", "namespace", "name", "section") && len(v) == 4:
		return fmt.Sprintf("%v/%v/%v#%v", v["kind"], v["namespace"], v["name"], v["section"])
	case has("kind", "namespace", "name") && len(v) == 3:
		return fmt.Sprintf("%v/%v/%v", v["kind"], v["namespace"], v["name"])
	case has("kind", "group") && len(v) == 2:
		return fmt.Sprintf("%v.%v", v["kind"], v["group"])
	case has("host", "port") && len(v) == 2:
		return fmt.Sprintf("%v:%v", v["host"], v["port"])
	}
	return ""
}

func toYAML(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err == nil {
		b, err = yaml.JSONToYAML(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}
