package webhook

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/inject"
)

func options() infra.Options { return infra.Options{Image: "citoroute/proxy:test"} }

// request is what an API server asks about a pod that a ReplicaSet makes: it
// has neither a name nor a namespace of its own yet.
func request(pod string) *admissionv1.AdmissionRequest {
	return &admissionv1.AdmissionRequest{
		UID:       "uid",
		Kind:      metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
		Resource:  metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		Namespace: "shop",
		Operation: admissionv1.Create,
		Object:    runtime.RawExtension{Raw: []byte(pod)},
	}
}

// review asks the webhook as an API server does.
func review(t *testing.T, req *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	t.Helper()
	body, err := json.Marshal(admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"}, Request: req,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	Pods(options()).ServeHTTP(w, r)
	var answer admissionv1.AdmissionReview
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if answer.Response == nil || answer.Response.UID != req.UID {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return answer.Response
}

// patched returns a pod after a response's patch.
func patched(t *testing.T, pod string, response *admissionv1.AdmissionResponse) []byte {
	t.Helper()
	if !response.Allowed || response.PatchType == nil || *response.PatchType != admissionv1.PatchTypeJSONPatch {
		t.Fatalf("no patch: %+v", response)
	}
	p, err := jsonpatch.DecodePatch(response.Patch)
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.Apply([]byte(pod))
	if err != nil {
		t.Fatalf("%v: %s", err, response.Patch)
	}
	return out
}

const whole = `{
	"metadata": {"generateName": "shop-", "labels": {"app": "shop"}},
	"spec": {
		"initContainers": [{"name": "migrate", "image": "migrate:1"}],
		"containers": [{"name": "shop", "image": "shop:1"}],
		"volumes": [{"name": "data", "emptyDir": {}}]
	}
}`

// The patch does what inject says, whatever the pod has or lacks, and a second
// call, for a pod that another webhook has changed, adds nothing.
func TestPods_PatchIsTheSidecar(t *testing.T) {
	for name, raw := range map[string]string{
		"Whole":      whole,
		"Bare":       `{"spec": {"containers": [{"name": "shop"}]}}`,
		"EmptyLists": `{"spec": {"containers": [{"name": "shop"}], "initContainers": [], "volumes": null}}`,
	} {
		t.Run(name, func(t *testing.T) {
			var pod, got corev1.Pod
			if err := json.Unmarshal([]byte(raw), &pod); err != nil {
				t.Fatal(err)
			}
			sidecar, errs := inject.For(&pod, options())
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			out := patched(t, raw, review(t, request(raw)))
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(sidecar.AddTo(&pod), &got, cmp.Comparer(sameQuantities)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if again := review(t, request(string(out))); !again.Allowed || len(again.Patch) > 0 {
				t.Errorf("the second call: %+v", again)
			}
		})
	}
}

// sameQuantities compares resources as they are written.
func sameQuantities(a, b corev1.ResourceList) bool {
	return len(a) == len(b) && a.Cpu().Equal(*b.Cpu()) && a.Memory().Equal(*b.Memory())
}

// Fields of a Kubernetes that is newer than this program stay.
func TestPods_KeepsFieldsThatItDoesNotKnow(t *testing.T) {
	raw := strings.ReplaceAll(whole, `"image": `, `"fromTheFuture": {"a": [1]}, "image": `)
	out := patched(t, raw, review(t, request(raw)))
	if n := strings.Count(string(out), "fromTheFuture"); n != 2 {
		t.Errorf("%d fields of 2 are left: %s", n, out)
	}
}

func TestPods_DryRunIsLikeAnyOther(t *testing.T) {
	req := request(whole)
	want := review(t, req)
	req.DryRun = new(true)
	if diff := cmp.Diff(want, review(t, req)); diff != "" {
		t.Errorf("-real +dry:\n%s", diff)
	}
}

func TestPods_LeavesAlone(t *testing.T) {
	for name, change := range map[string]func(*admissionv1.AdmissionRequest){
		"OptedOut": func(r *admissionv1.AdmissionRequest) {
			r.Object.Raw = []byte(`{"metadata": {"labels": {"citoroute.io/injection": "disabled"}}}`)
		},
		"Update":      func(r *admissionv1.AdmissionRequest) { r.Operation = admissionv1.Update },
		"Subresource": func(r *admissionv1.AdmissionRequest) { r.SubResource = "ephemeralcontainers" },
		"OtherKind":   func(r *admissionv1.AdmissionRequest) { r.Resource.Resource = "services" },
	} {
		t.Run(name, func(t *testing.T) {
			req := request(whole)
			change(req)
			if got := review(t, req); !got.Allowed || got.Patch != nil {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestPods_RefusesWithAReason(t *testing.T) {
	for name, c := range map[string]struct {
		pod  string
		code int32
		want string
	}{
		"Annotation": {`{"metadata": {"annotations": {"citoroute.io/proxy-cpu": "lots"}}}`, http.StatusUnprocessableEntity, "metadata.annotations[citoroute.io/proxy-cpu]"},
		"NotAPod":    {`[]`, http.StatusBadRequest, "Pod"},
	} {
		t.Run(name, func(t *testing.T) {
			got := review(t, request(c.pod))
			if got.Allowed || got.Result.Code != c.code || !strings.Contains(got.Result.Message, c.want) {
				t.Errorf("%+v, want %d and %q", got, c.code, c.want)
			}
		})
	}
}

func TestPods_Warns(t *testing.T) {
	got := review(t, request(`{"spec": {"containers": [{"name": "shop", "securityContext": {"runAsUser": 15001}}]}}`))
	if !got.Allowed || got.Patch == nil || !slices.ContainsFunc(got.Warnings, func(w string) bool { return strings.Contains(w, `"shop" runs as user 15001`) }) {
		t.Errorf("%+v", got)
	}
}
