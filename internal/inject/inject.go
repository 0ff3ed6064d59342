package inject

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/infra"
)

// Sidecar is what a pod gets. Nothing that its author wrote is changed.
type Sidecar struct {
	// InitContainers go before the pod's own, so that these have a network, too.
	InitContainers []corev1.Container
	// Volumes go behind the pod's own.
	Volumes []corev1.Volume
	// Warnings are for whoever makes the pod.
	Warnings []string
	// Skipped is why the pod gets nothing; empty: it gets a sidecar.
	Skipped string
}

// For returns the sidecar of a pod in a namespace of the mesh. What the pod's
// author has got wrong is an error that names the field.
//
// A pod that has its sidecar gets nothing more, so the API server may ask twice.
func For(pod *corev1.Pod, o infra.Options) (Sidecar, field.ErrorList) {
	skipped, errs := skipped(pod)
	if skipped != "" || len(errs) > 0 {
		return Sidecar{Skipped: skipped}, errs
	}
	settings, errs := readSettings(pod.Annotations)
	errs = append(errs, conflicts(&pod.Spec)...)
	if len(errs) > 0 {
		return Sidecar{}, errs
	}
	return Sidecar{
		InitContainers: []corev1.Container{settings.redirect(o), settings.proxy(o)},
		Volumes:        infra.Volumes(prefix, infra.MeshConfig),
		Warnings:       warnings(&pod.Spec),
	}, nil
}

// AddTo returns a copy of a pod with the sidecar.
func (s Sidecar) AddTo(pod *corev1.Pod) *corev1.Pod {
	pod = pod.DeepCopy()
	if len(s.InitContainers) == 0 {
		return pod
	}
	pod.Spec.InitContainers = slices.Concat(s.InitContainers, pod.Spec.InitContainers)
	pod.Spec.Volumes = slices.Concat(pod.Spec.Volumes, s.Volumes)
	return pod
}

// skipped returns why a pod gets no sidecar, empty where it gets one.
func skipped(pod *corev1.Pod) (string, field.ErrorList) {
	_, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]
	switch label := pod.Labels[v1alpha1.LabelInjection]; {
	case label == v1alpha1.InjectionDisabled:
		return fmt.Sprintf("label %s is %s", v1alpha1.LabelInjection, label), nil
	case mirror:
		return "a kubelet runs it from a file", nil
	case pod.Spec.HostNetwork:
		return "it is on the host's network, whose connections are not its own", nil
	case pod.Spec.OS != nil && pod.Spec.OS.Name == corev1.Windows:
		return "it runs on Windows", nil
	case injected(&pod.Spec):
		return "it has one", nil
	case label != "" && label != v1alpha1.InjectionEnabled:
		at := field.NewPath("metadata", "labels").Key(v1alpha1.LabelInjection)
		return "", field.ErrorList{field.NotSupported(at, label, []string{v1alpha1.InjectionEnabled, v1alpha1.InjectionDisabled})}
	}
	return "", nil
}

// injected says that both of our containers are there.
func injected(spec *corev1.PodSpec) bool {
	has := func(name string) bool {
		return slices.ContainsFunc(spec.InitContainers, func(c corev1.Container) bool { return c.Name == name })
	}
	return has(redirectName) && has(proxyName)
}

// place is a container of a pod and where it is in the manifest.
type place struct {
	*corev1.Container
	path *field.Path
}

func containers(spec *corev1.PodSpec) []place {
	var out []place
	add := func(name string, list []corev1.Container) {
		for i := range list {
			out = append(out, place{&list[i], field.NewPath("spec", name).Index(i)})
		}
	}
	add("initContainers", spec.InitContainers)
	add("containers", spec.Containers)
	return out
}

// conflicts are names and ports that the sidecar needs and the pod has.
func conflicts(spec *corev1.PodSpec) field.ErrorList {
	var errs field.ErrorList
	for _, c := range containers(spec) {
		if c.Name == redirectName || c.Name == proxyName {
			errs = append(errs, field.Invalid(c.path.Child("name"), c.Name, "a container of the sidecar has this name"))
		}
		for i, p := range c.Ports {
			if tcp := p.Protocol == corev1.ProtocolTCP || p.Protocol == ""; tcp && slices.Contains(ports(), p.ContainerPort) {
				errs = append(errs, field.Invalid(c.path.Child("ports").Index(i).Child("containerPort"), p.ContainerPort,
					"the sidecar listens on this port: take another one, or leave the mesh with the label "+v1alpha1.LabelInjection+": "+v1alpha1.InjectionDisabled))
			}
		}
	}
	taken := map[string]bool{}
	for _, v := range infra.Volumes(prefix, "") {
		taken[v.Name] = true
	}
	for i := range spec.Volumes {
		if name := spec.Volumes[i].Name; taken[name] {
			errs = append(errs, field.Invalid(field.NewPath("spec", "volumes").Index(i).Child("name"), name, "a volume of the sidecar has this name"))
		}
	}
	return errs
}

// warnings are about what is allowed and hardly meant.
func warnings(spec *corev1.PodSpec) []string {
	var out []string
	for _, c := range containers(spec) {
		if user := userOf(spec, c.Container); user != nil && *user == bootstrap.SidecarUserID {
			out = append(out, fmt.Sprintf("%s: container %q runs as user %d, as the sidecar does: what it sends is not redirected", c.path, c.Name, *user))
		}
		if what := evading(c.SecurityContext); what != "" {
			out = append(out, fmt.Sprintf("%s: container %q %s, by which it can take its connections past the sidecar", c.path, c.Name, what))
		}
	}
	if spec.DNSPolicy == corev1.DNSDefault || spec.DNSPolicy == corev1.DNSNone {
		out = append(out, fmt.Sprintf("spec.dnsPolicy: %s: the sidecar looks up its controller with the pod's DNS, which must know the cluster's Services", spec.DNSPolicy))
	}
	return out
}

// evading returns what is said of a container that can change what is redirected,
// or become the sidecar's user; empty: it can not.
func evading(s *corev1.SecurityContext) string {
	switch {
	case s == nil:
		return ""
	case s.Privileged != nil && *s.Privileged:
		return "is privileged"
	case s.Capabilities == nil:
		return ""
	}
	for _, c := range s.Capabilities.Add {
		switch strings.TrimPrefix(strings.ToUpper(string(c)), "CAP_") {
		case "ALL", "NET_ADMIN", "NET_RAW", "SETUID", "SYS_ADMIN":
			return "has the capability " + string(c)
		}
	}
	return ""
}

// userOf returns whom a container runs as, nil where its image says it.
func userOf(spec *corev1.PodSpec, c *corev1.Container) *int64 {
	if c.SecurityContext != nil && c.SecurityContext.RunAsUser != nil {
		return c.SecurityContext.RunAsUser
	}
	if spec.SecurityContext != nil {
		return spec.SecurityContext.RunAsUser
	}
	return nil
}
