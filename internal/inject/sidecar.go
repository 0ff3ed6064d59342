package inject

import (
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/infra"
)

const (
	redirectName = "citoroute-redirect"
	proxyName    = "citoroute-proxy"
	// prefix keeps our volumes apart from the pod's own.
	prefix = "citoroute-"
	// metricsName is not "metrics", by which a Service may mean the program's.
	metricsName = "mesh-metrics"
	// adminPort is bootstrap.Default's.
	adminPort = 15000
	// startSeconds is how long a sidecar may wait for its first configuration
	// until it is started anew.
	startSeconds = 600
)

// ports are those that the sidecar listens on.
func ports() []int32 { return []int32{adminPort, bootstrap.CapturePort, infra.MetricsPort} }

// redirect is the container that has the kernel redirect what the pod sends,
// and ends. It alone may change the pod's network.
func (s *settings) redirect(o infra.Options) corev1.Container {
	args := []string{"--mode=redirect-init"}
	if len(s.excludePorts) > 0 {
		args = append(args, "--exclude-ports="+join(s.excludePorts))
	}
	if len(s.excludeCIDRs) > 0 {
		args = append(args, "--exclude-cidrs="+join(s.excludeCIDRs))
	}
	security := security(0)
	security.Capabilities.Add = []corev1.Capability{"NET_ADMIN"}
	return corev1.Container{
		Name:            redirectName,
		Image:           o.Image,
		ImagePullPolicy: o.ImagePullPolicy,
		Args:            args,
		Resources:       s.resources,
		SecurityContext: security,
		// The line that says what is wrong is then in the pod's status.
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
}

// proxy is the sidecar itself. The kubelet starts what comes next only when it
// has a configuration, and stops it only when the program has ended.
func (s *settings) proxy(o infra.Options) corev1.Container {
	c := o.Container(prefix, infra.KeySidecar)
	c.Name = proxyName
	c.Args = append([]string{"--mode=sidecar"}, c.Args...)
	c.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	c.Ports = []corev1.ContainerPort{{Name: metricsName, ContainerPort: infra.MetricsPort, Protocol: corev1.ProtocolTCP}}
	c.Resources = s.resources
	c.SecurityContext = security(bootstrap.SidecarUserID)
	c.StartupProbe = infra.Probe("/readyz", 1, startSeconds)
	c.ReadinessProbe = infra.Probe("/readyz", 10, 2)
	c.TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	return c
}

// security says all, for a container has what it does not say from its pod.
func security(user int64) *corev1.SecurityContext {
	return &corev1.SecurityContext{
		RunAsUser:                new(user),
		RunAsGroup:               new(user),
		RunAsNonRoot:             new(user != 0),
		AllowPrivilegeEscalation: new(false),
		ReadOnlyRootFilesystem:   new(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func join[T uint16 | netip.Prefix](list []T) string {
	words := make([]string, 0, len(list))
	for _, v := range list {
		words = append(words, fmt.Sprint(v))
	}
	return strings.Join(words, ",")
}
