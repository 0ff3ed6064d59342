package webhook

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// configuration is what API servers are told about the webhook.
func configuration(t *testing.T) registrationv1.MutatingWebhook {
	t.Helper()
	b, err := os.ReadFile("../../config/webhook/manifests.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var c registrationv1.MutatingWebhookConfiguration
	if err := yaml.UnmarshalStrict(b, &c); err != nil || len(c.Webhooks) != 1 {
		t.Fatalf("%d webhooks, %v", len(c.Webhooks), err)
	}
	return c.Webhooks[0]
}

// TestMS001_WhileNobodyAnswers: pods wait, for they would evade their routes
// unseen, but an API server does not wait for long.
func TestMS001_WhileNobodyAnswers(t *testing.T) {
	c := configuration(t)
	if c.FailurePolicy == nil || *c.FailurePolicy != registrationv1.Fail {
		t.Errorf("failurePolicy %v", c.FailurePolicy)
	}
	if c.TimeoutSeconds == nil || *c.TimeoutSeconds > 5 {
		t.Errorf("timeoutSeconds %v", c.TimeoutSeconds)
	}
	if c.SideEffects == nil || *c.SideEffects != registrationv1.SideEffectClassNone {
		t.Errorf("sideEffects %v", c.SideEffects)
	}
}

// TestMS002_ClustersStartFromZero: nothing that a cluster, or this program, needs
// to start is asked about.
func TestMS002_ClustersStartFromZero(t *testing.T) {
	c := configuration(t)
	asked := func(namespace, pod labels.Set) bool {
		n, err := metav1.LabelSelectorAsSelector(c.NamespaceSelector)
		if err != nil {
			t.Fatal(err)
		}
		o, err := metav1.LabelSelectorAsSelector(c.ObjectSelector)
		if err != nil {
			t.Fatal(err)
		}
		return n.Matches(namespace) && o.Matches(pod)
	}
	in, out := labels.Set{"citoroute.io/injection": "enabled"}, labels.Set{"citoroute.io/injection": "disabled"}
	for name, d := range map[string]struct {
		namespace, pod labels.Set
		want           bool
	}{
		"KubeSystem":             {labels.Set{"kubernetes.io/metadata.name": "kube-system"}, nil, false},
		"ControllersNamespace":   {labels.Set{"kubernetes.io/metadata.name": "citoroute-system"}, nil, false},
		"ControllerInTheMesh":    {in, out, false},
		"PodOfTheMesh":           {in, nil, true},
		"PodThatAsks":            {nil, in, false},
		"NamespaceSaysOtherwise": {out, nil, false},
	} {
		if got := asked(d.namespace, d.pod); got != d.want {
			t.Errorf("%s: asked %t, want %t", name, got, d.want)
		}
	}
	// The controller's own pods, and those of Gateways (package infra), say so.
	b, err := os.ReadFile("../../config/manager/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "citoroute.io/injection: disabled") {
		t.Error("the controller's pods are asked about")
	}
}

// TestMS004_OnlyNewPods: neither updates nor subresources, such as ephemeral
// containers, come to the webhook, and it is asked again when others change a pod.
func TestMS004_OnlyNewPods(t *testing.T) {
	c := configuration(t)
	if len(c.Rules) != 1 {
		t.Fatalf("%d rules", len(c.Rules))
	}
	r := c.Rules[0]
	if len(r.Operations) != 1 || r.Operations[0] != registrationv1.Create || len(r.Resources) != 1 || r.Resources[0] != "pods" {
		t.Errorf("asked about %v of %v", r.Operations, r.Resources)
	}
	if c.ReinvocationPolicy == nil || *c.ReinvocationPolicy != registrationv1.IfNeededReinvocationPolicy {
		t.Errorf("reinvocationPolicy %v", c.ReinvocationPolicy)
	}
}

// TestMS004_AContainerThatAnotherWebhookAdds stays, and the sidecar is not added
// once more.
func TestMS004_AContainerThatAnotherWebhookAdds(t *testing.T) {
	once := patched(t, whole, review(t, request(whole)))
	var pod corev1.Pod
	if err := json.Unmarshal(once, &pod); err != nil {
		t.Fatal(err)
	}
	pod.Spec.InitContainers = append([]corev1.Container{{Name: "others"}}, pod.Spec.InitContainers...)
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "others-too"})
	changed, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	if again := review(t, request(string(changed))); !again.Allowed || len(again.Patch) > 0 {
		t.Errorf("%+v", again)
	}
}

// TestMS007_AnswersToAnybody: whoever asks gets what follows from the request, and
// what asks about no pod gets nothing.
func TestMS007_AnswersToAnybody(t *testing.T) {
	valid, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: request(whole),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		kind, body string
		refused    bool
	}{
		"Empty":         {"application/json", "", false},
		"NotJSON":       {"application/json", "{", true},
		"NoRequest":     {"application/json", `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}`, false},
		"OtherType":     {"text/plain", string(valid), true},
		"TenMegabytes":  {"application/json", `{"apiVersion": "` + strings.Repeat("x", 10<<20) + string(valid[1:]), true},
		"RequestIsList": {"application/json", `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": []}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.kind)
			w := httptest.NewRecorder()
			Pods(options()).ServeHTTP(w, r)
			var answer admissionv1.AdmissionReview
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Response == nil {
				t.Fatalf("%v: %.200s", err, w.Body)
			}
			if answer.Response.Allowed == c.refused || answer.Response.Patch != nil || w.Body.Len() > 1000 {
				t.Errorf("answered %.300s", w.Body)
			}
		})
	}
}
