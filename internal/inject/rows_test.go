package inject

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/bootstrap"
)

// annotated is a pod with these annotations.
func annotated(annotations map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-", Annotations: annotations},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "shop"}}},
	}
}

// TestMS003_WhoLeavesTheMesh: a pod's label wins over its namespace's, and says
// one of two things; no annotation takes a pod out.
func TestMS003_WhoLeavesTheMesh(t *testing.T) {
	for name, c := range map[string]struct {
		labels, annotations map[string]string
		skipped, refused    bool
	}{
		"NamespaceAlone":     {},
		"PodToo":             {labels: map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionEnabled}},
		"PodLeaves":          {labels: map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionDisabled}, skipped: true},
		"AnnotationIsNone":   {annotations: map[string]string{v1alpha1.LabelInjection: v1alpha1.InjectionDisabled}},
		"OtherValue":         {labels: map[string]string{v1alpha1.LabelInjection: "false"}, refused: true},
		"OtherCase":          {labels: map[string]string{v1alpha1.LabelInjection: "Disabled"}, refused: true},
		"OtherMeshAnnotated": {annotations: map[string]string{"sidecar.istio.io/inject": "false"}},
	} {
		t.Run(name, func(t *testing.T) {
			pod := annotated(c.annotations)
			pod.Labels = c.labels
			sidecar, errs := For(pod, options())
			if (sidecar.Skipped != "") != c.skipped || (len(errs) > 0) != c.refused || (len(sidecar.InitContainers) == 2) == (c.skipped || c.refused) {
				t.Errorf("skipped %q, refused %v, %d containers", sidecar.Skipped, errs, len(sidecar.InitContainers))
			}
		})
	}
}

// TestMS004_OtherPods: pods in which a sidecar could not be, or could hurt.
func TestMS004_OtherPods(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*corev1.Pod)
		skipped string
		refused string
	}{
		"HostNetwork":           {func(p *corev1.Pod) { p.Spec.HostNetwork = true }, "host's network", ""},
		"Windows":               {func(p *corev1.Pod) { p.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }, "Windows", ""},
		"StaticPod":             {func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }, "kubelet", ""},
		"Job":                   {func(p *corev1.Pod) { p.Spec.RestartPolicy = corev1.RestartPolicyNever }, "", ""},
		"ShareProcessNamespace": {func(p *corev1.Pod) { p.Spec.ShareProcessNamespace = new(true) }, "", ""},
		"SidecarOfTheSameName": {
			func(p *corev1.Pod) {
				p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: proxyName})
			}, "", "spec.containers[1].name",
		},
		"VolumeOfTheSameName": {
			func(p *corev1.Pod) { p.Spec.Volumes = []corev1.Volume{{Name: prefix + "config"}} }, "", "spec.volumes[0].name",
		},
		"PortOfTheSidecar": {
			func(p *corev1.Pod) {
				p.Spec.Containers[0].Ports = []corev1.ContainerPort{{ContainerPort: bootstrap.CapturePort}}
			}, "", "spec.containers[0].ports[0].containerPort",
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := annotated(nil)
			c.change(pod)
			sidecar, errs := For(pod, options())
			if c.skipped == "" && sidecar.Skipped != "" || !strings.Contains(sidecar.Skipped, c.skipped) {
				t.Errorf("skipped: %q", sidecar.Skipped)
			}
			if (c.refused != "") != (len(errs) > 0) || len(errs) > 0 && errs[0].Field != c.refused {
				t.Errorf("refused: %v, want %q", errs, c.refused)
			}
			if c.skipped != "" || c.refused != "" {
				return
			}
			// The kubelet ends such a container when the program has ended, so a
			// Job is complete then.
			if proxy := sidecar.InitContainers[1]; proxy.RestartPolicy == nil || *proxy.RestartPolicy != corev1.ContainerRestartPolicyAlways {
				t.Errorf("the sidecar restarts %v", proxy.RestartPolicy)
			}
		})
	}
}

// TestMS005_AnnotationsAreNoArguments: what is not exactly a port or a network is
// refused, and what is comes out as it was understood.
func TestMS005_AnnotationsAreNoArguments(t *testing.T) {
	for _, ports := range []string{
		"80 -j ACCEPT", "80;reboot", "$(id)", "80\n90", "80,", ",", "-1", "+80", "0", "65536", "0x50", "8080-8090", "eighty", `"80"`, "８０",
	} {
		refusedAnnotation(t, annotationPorts, ports)
	}
	for _, cidrs := range []string{
		"10.0.0.0/8 -j ACCEPT", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/-1", "fe80::1%eth0", "fe80::%eth0/64", "any", "'10.0.0.0/8'", "10.0.0.0/8;", "10.0.0.0/8\n--mode=x",
	} {
		refusedAnnotation(t, annotationCIDRs, cidrs)
	}
	many := make([]string, maxExcluded+1)
	for i := range many {
		many[i] = strconv.Itoa(i + 1)
	}
	refusedAnnotation(t, annotationPorts, strings.Join(many, ","))
	refusedAnnotation(t, annotationPorts, strings.Repeat("1", 1<<20))
	refusedAnnotation(t, annotationCIDRs, strings.Repeat("10.0.0.0/8,", 1<<17))

	sidecar, errs := For(annotated(map[string]string{
		annotationPorts: " 5432 , 080,5432", annotationCIDRs: "10.1.2.3/8, ::ffff:192.0.2.7 ,FD00::/8",
	}), options())
	want := []string{"--mode=redirect-init", "--exclude-ports=5432,80,5432", "--exclude-cidrs=10.0.0.0/8,192.0.2.7/32,fd00::/8"}
	if len(errs) > 0 || !slices.Equal(sidecar.InitContainers[0].Args, want) {
		t.Errorf("%v\n got %q\nwant %q", errs, sidecar.InitContainers[0].Args, want)
	}
}

// refusedAnnotation wants a value refused by a message that names the annotation
// and is short.
func refusedAnnotation(t *testing.T, name, value string) {
	t.Helper()
	sidecar, errs := For(annotated(map[string]string{name: value}), options())
	if len(errs) != 1 || len(sidecar.InitContainers) > 0 {
		t.Errorf("%.50q passed", value)
		return
	}
	if text := errs[0].Error(); !strings.Contains(text, name) || len(text) > 600 {
		t.Errorf("%d bytes are said about it: %.200s", len(text), text)
	}
}

// TestMS006_OnlyTheseAnnotationsCount: by no other can a pod's author change
// what runs beside it.
func TestMS006_OnlyTheseAnnotationsCount(t *testing.T) {
	want, errs := For(annotated(nil), options())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	hostile := map[string]string{}
	for _, name := range []string{
		"proxy-image", "image", "proxy-env", "env", "proxy-args", "volumes", "proxy-volume", "run-as-user", "proxy-user", "capabilities", "privileged",
		"include-outbound-cidrs", "exclude-interfaces", "exclude-users", "capture-port", "service-account",
	} {
		hostile["citoroute.io/"+name] = "evil"
	}
	got, errs := For(annotated(hostile), options())
	if diff := cmp.Diff(want, got); diff != "" || len(errs) > 0 {
		t.Errorf("%v\n%s", errs, diff)
	}
}

// TestMS008_WhatTheContainersMay: the first may change the pod's network, the
// second nothing, and both come before all others.
func TestMS008_WhatTheContainersMay(t *testing.T) {
	pod := annotated(nil)
	pod.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(7)), RunAsNonRoot: new(false)}
	pod.Spec.InitContainers = []corev1.Container{{Name: "fetches-something"}}
	sidecar, errs := For(pod, options())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var order []string
	for _, c := range sidecar.AddTo(pod).Spec.InitContainers {
		order = append(order, c.Name)
	}
	if want := []string{redirectName, proxyName, "fetches-something"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
	for i, want := range []struct {
		user int64
		add  []corev1.Capability
	}{{0, []corev1.Capability{"NET_ADMIN"}}, {bootstrap.SidecarUserID, nil}} {
		c := sidecar.InitContainers[i]
		s := c.SecurityContext
		if *s.RunAsUser != want.user || *s.RunAsGroup != want.user || *s.RunAsNonRoot != (want.user != 0) {
			t.Errorf("%s runs as %d:%d", c.Name, *s.RunAsUser, *s.RunAsGroup)
		}
		if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || s.Privileged != nil || s.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
			b, _ := json.Marshal(s)
			t.Errorf("%s may too much: %s", c.Name, b)
		}
		if !slices.Equal(s.Capabilities.Add, want.add) || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
			t.Errorf("%s has capabilities %v, without %v", c.Name, s.Capabilities.Add, s.Capabilities.Drop)
		}
	}
}

// TestMS009_NothingStartsWithoutRules: the redirecting container is one that must
// end well before the next starts, so a pod is never ready without its rules.
func TestMS009_NothingStartsWithoutRules(t *testing.T) {
	sidecar, errs := For(annotated(nil), options())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	first, second := sidecar.InitContainers[0], sidecar.InitContainers[1]
	if first.RestartPolicy != nil || !slices.Contains(first.Args, "--mode=redirect-init") {
		t.Errorf("%s need not end well: %v, %q", first.Name, first.RestartPolicy, first.Args)
	}
	if second.StartupProbe == nil || second.ReadinessProbe == nil {
		t.Errorf("nobody waits for %s", second.Name)
	}
}

// TestMS010_RunningAsTheSidecarIsSaid: such a container is not redirected, and
// whoever makes the pod is told.
func TestMS010_RunningAsTheSidecarIsSaid(t *testing.T) {
	pod := annotated(nil)
	pod.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{RunAsUser: new(int64(bootstrap.SidecarUserID))}
	sidecar, errs := For(pod, options())
	if len(errs) > 0 || len(sidecar.Warnings) != 1 || !strings.Contains(sidecar.Warnings[0], "is not redirected") {
		t.Errorf("%v, %q", errs, sidecar.Warnings)
	}
}

// TestMS011_CapabilitiesThatEvadeAreSaid: a container that may change the pod's
// network can take its connections past the sidecar.
func TestMS011_CapabilitiesThatEvadeAreSaid(t *testing.T) {
	for name, c := range map[string]struct {
		security *corev1.SecurityContext
		want     string
	}{
		"None":       {nil, ""},
		"Harmless":   {&corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_BIND_SERVICE"}}}, ""},
		"NetAdmin":   {&corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}}}, "NET_ADMIN"},
		"Prefixed":   {&corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"CAP_NET_RAW"}}}, "CAP_NET_RAW"},
		"SetUID":     {&corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"setuid"}}}, "setuid"},
		"All":        {&corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"ALL"}}}, "ALL"},
		"Privileged": {&corev1.SecurityContext{Privileged: new(true)}, "privileged"},
	} {
		t.Run(name, func(t *testing.T) {
			pod := annotated(nil)
			pod.Spec.Containers[0].SecurityContext = c.security
			sidecar, errs := For(pod, options())
			said := strings.Join(sidecar.Warnings, "\n")
			if len(errs) > 0 || (c.want == "") != (said == "") || !strings.Contains(said, c.want) {
				t.Errorf("%v, said %q, want %q", errs, said, c.want)
			}
		})
	}
}
