package webhook

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/go-logr/logr"
	"gomodules.xyz/jsonpatch/v2"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/inject"
)

// Pods answers for new pods of the mesh's namespaces: with the patch that gives
// them a sidecar, or with what is wrong. It changes nothing else, so a dry run
// is like any other. The webhook's configuration chooses the namespaces.
func Pods(o infra.Options) http.Handler {
	return &admission.Webhook{Handler: pods{o}}
}

type pods struct{ options infra.Options }

// Handle implements [admission.Handler].
func (p pods) Handle(ctx context.Context, req admission.Request) admission.Response {
	if req.Operation != admissionv1.Create || req.Resource.Resource != "pods" || req.SubResource != "" {
		return admission.Allowed("this is no new pod")
	}
	pod := &corev1.Pod{}
	if err := json.Unmarshal(req.Object.Raw, pod); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	// The namespace is the request's: a pod that a controller makes need not
	// have it, nor a name yet.
	log := logr.FromContextOrDiscard(ctx).WithValues("namespace", req.Namespace, "name", pod.Name, "generateName", pod.GenerateName)
	sidecar, errs := inject.For(pod, p.options)
	switch {
	case len(errs) > 0:
		log.Info("A pod is refused", "reason", errs.ToAggregate().Error())
		return admission.Errored(http.StatusUnprocessableEntity, errs.ToAggregate())
	case sidecar.Skipped != "":
		log.V(1).Info("A pod gets no sidecar", "reason", sidecar.Skipped)
		return admission.Allowed("no sidecar: " + sidecar.Skipped)
	}
	log.V(1).Info("A pod gets a sidecar")
	return admission.Patched("a sidecar is added", patch(pod, sidecar)...).WithWarnings(sidecar.Warnings...)
}

// patch adds a sidecar to a pod as it came. It is no comparison of two pods: one
// would take away fields that this program is too old to know.
func patch(pod *corev1.Pod, s inject.Sidecar) []jsonpatch.Operation {
	out := []jsonpatch.Operation{}
	if len(pod.Spec.InitContainers) == 0 {
		out = append(out, add("initContainers", s.InitContainers))
	} else {
		for i, c := range s.InitContainers {
			out = append(out, add("initContainers/"+strconv.Itoa(i), c))
		}
	}
	if len(pod.Spec.Volumes) == 0 {
		return append(out, add("volumes", s.Volumes))
	}
	for _, v := range s.Volumes {
		out = append(out, add("volumes/-", v))
	}
	return out
}

func add(path string, value any) jsonpatch.Operation {
	return jsonpatch.NewOperation("add", "/spec/"+path, value)
}
