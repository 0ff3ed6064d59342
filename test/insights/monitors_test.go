package insights

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/inject"
)

// monitor is what a test needs of a ServiceMonitor or PodMonitor.
type monitor struct {
	Kind     string            `json:"kind"`
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Selector            metav1.LabelSelector `json:"selector"`
		Endpoints           []endpoint           `json:"endpoints"`
		PodMetricsEndpoints []endpoint           `json:"podMetricsEndpoints"`
	} `json:"spec"`
}

type endpoint struct {
	Port              string `json:"port"`
	MetricRelabelings []struct {
		SourceLabels []string `json:"sourceLabels"`
		Regex        string   `json:"regex"`
		TargetLabel  string   `json:"targetLabel"`
		Action       string   `json:"action"`
	} `json:"metricRelabelings"`
}

// relabeled returns a series as it is stored.
func (e endpoint) relabeled(series labels.Labels) labels.Labels {
	b := labels.NewBuilder(series)
	for _, r := range e.MetricRelabelings {
		c := relabel.DefaultRelabelConfig
		c.NameValidationScheme = model.LegacyValidation
		c.Regex, c.TargetLabel = relabel.MustNewRegexp(r.Regex), r.TargetLabel
		for _, l := range r.SourceLabels {
			c.SourceLabels = append(c.SourceLabels, model.LabelName(l))
		}
		if r.Action != "" {
			c.Action = relabel.Action(r.Action)
		}
		relabel.ProcessBuilder(b, &c)
	}
	return b.Labels()
}

// monitors returns those of config/prometheus by name.
func monitors(t *testing.T) map[string]monitor {
	t.Helper()
	out := map[string]monitor{}
	for _, path := range []string{"monitor.yaml", "pod_monitors.yaml"} {
		b, err := os.ReadFile("../../config/prometheus/" + path)
		if err != nil {
			t.Fatal(err)
		}
		for document := range bytes.SplitSeq(b, []byte("\n---\n")) {
			var m monitor
			if err := yaml.Unmarshal(document, &m); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			out[m.Metadata.Name] = m
		}
	}
	return out
}

// TestMonitors_CertificatesKeepTheirNamespace though Prometheus puts aside a label
// that the target has, too.
func TestMonitors_CertificatesKeepTheirNamespace(t *testing.T) {
	certificate := labels.FromStrings("__name__", "citoroute_certificate_expiry_timestamp_seconds", "namespace", "proxies", "exported_namespace", "shop")
	others := labels.FromStrings("__name__", "citoroute_build_info", "namespace", "proxies")
	all := monitors(t)
	if len(all) != 3 {
		t.Errorf("there are %d monitors, want 3", len(all))
	}
	for name, m := range all {
		for _, e := range slices.Concat(m.Spec.Endpoints, m.Spec.PodMetricsEndpoints) {
			got := e.relabeled(certificate)
			if got.Get("namespace") != "shop" || got.Has("exported_namespace") {
				t.Errorf("%s: a certificate has %s", name, got)
			}
			if got := e.relabeled(others); !labels.Equal(got, others) {
				t.Errorf("%s: another metric has %s", name, got)
			}
		}
	}
}

// TestMonitors_FindProxies: those of Gateways and sidecars, each by one monitor.
func TestMonitors_FindProxies(t *testing.T) {
	all := monitors(t)
	for name, pod := range map[string]*corev1.PodTemplateSpec{
		"citoroute-proxies": gatewayPod(t), "citoroute-sidecars": meshedPod(t),
	} {
		for monitor, m := range all {
			if got := m.Kind == "PodMonitor" && m.finds(t, pod); got != (monitor == name) {
				t.Errorf("%s finds the pod of %s: %t", monitor, name, got)
			}
		}
	}
}

// finds says that a pod is selected and has the port.
func (m monitor) finds(t *testing.T, pod *corev1.PodTemplateSpec) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(&m.Spec.Selector)
	if err != nil {
		t.Fatal(err)
	}
	port := m.Spec.PodMetricsEndpoints[0].Port
	return selector.Matches(k8slabels.Set(pod.Labels)) &&
		slices.ContainsFunc(slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers), func(c corev1.Container) bool {
			return slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool {
				return p.Name == port && p.ContainerPort == infra.MetricsPort
			})
		})
}

func gatewayPod(t *testing.T) *corev1.PodTemplateSpec {
	t.Helper()
	objects, err := infra.Objects(infra.Input{
		Options: infra.Options{Image: "i", Servers: []string{"c:1"}, ServerName: "c"}, Node: "gateway/shop/web", CA: []byte("x"),
		Gateway: &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: "u"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if d, ok := o.(*appsv1.Deployment); ok {
			return &d.Spec.Template
		}
	}
	t.Fatal("a Gateway has no Deployment")
	return nil
}

func meshedPod(t *testing.T) *corev1.PodTemplateSpec {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", Labels: map[string]string{"app": "cart"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}},
	}
	sidecar, errs := inject.For(pod, infra.Options{Image: "i"})
	if len(errs) > 0 || sidecar.Skipped != "" {
		t.Fatalf("%v, %s", errs, sidecar.Skipped)
	}
	pod = sidecar.AddTo(pod)
	return &corev1.PodTemplateSpec{ObjectMeta: pod.ObjectMeta, Spec: pod.Spec}
}
