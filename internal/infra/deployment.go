package infra

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	configDir = "/etc/citoroute"
	tokenDir  = "/var/run/secrets/citoroute"
	stateDir  = "/var/lib/citoroute"

	// A pod that ends first waits until no Service sends it anything new, then
	// drains, and has some seconds left.
	preStopSeconds = 5
	drainSeconds   = 30
	graceSeconds   = preStopSeconds + drainSeconds + 5

	tokenSeconds = 3600
	// userID is the image's non-root user.
	userID = 65532

	annotationBootstrap = "citoroute.io/bootstrap-hash"
)

// deployment runs the proxies. It leaves the number of replicas alone, which
// belongs to whoever scales it. A changed bootstrap rolls the pods; changed
// certificate authorities do not, for the proxy reads them again.
func (in Input) deployment(bootstrapHash string) *appsv1.Deployment {
	annotations := map[string]string{annotationBootstrap: bootstrapHash}
	maps.Copy(annotations, in.annotations())
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: in.meta(),
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: in.selector()},
			Strategy: rolling(),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: in.labels(), Annotations: annotations},
				Spec:       in.pod(),
			},
		},
	}
}

// rolling never has fewer pods than there should be.
func rolling() appsv1.DeploymentStrategy {
	return appsv1.DeploymentStrategy{
		Type: appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{
			MaxUnavailable: new(intstr.FromInt32(0)),
			MaxSurge:       new(intstr.FromString("25%")),
		},
	}
}

func (in Input) pod() corev1.PodSpec {
	_, name := Key(in.Gateway)
	return corev1.PodSpec{
		ServiceAccountName:            name,
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(int64(graceSeconds)),
		SecurityContext:               podSecurity(),
		TopologySpreadConstraints: []corev1.TopologySpreadConstraint{
			in.spread("topology.kubernetes.io/zone"),
			in.spread(corev1.LabelHostname),
		},
		Containers: []corev1.Container{in.container()},
		Volumes:    in.volumes(name),
	}
}

func podSecurity() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsNonRoot:   new(true),
		RunAsUser:      new(int64(userID)),
		RunAsGroup:     new(int64(userID)),
		FSGroup:        new(int64(userID)),
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		// Listeners come and go with ports below 1024, and the proxy has no
		// capability to bind them otherwise.
		Sysctls: []corev1.Sysctl{{Name: "net.ipv4.ip_unprivileged_port_start", Value: "0"}},
	}
}

func (in Input) spread(key string) corev1.TopologySpreadConstraint {
	return corev1.TopologySpreadConstraint{
		MaxSkew:           1,
		TopologyKey:       key,
		WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector:     &metav1.LabelSelector{MatchLabels: in.selector()},
	}
}

func (in Input) container() corev1.Container {
	return corev1.Container{
		Name:            "proxy",
		Image:           in.Image,
		ImagePullPolicy: in.ImagePullPolicy,
		Args:            []string{"--bootstrap=" + configDir + "/" + keyBootstrap},
		Ports:           []corev1.ContainerPort{{Name: "metrics", ContainerPort: metricsPort, Protocol: corev1.ProtocolTCP}},
		Resources:       resources(),
		SecurityContext: containerSecurity(),
		// Ready only after the first whole configuration serves. A first probe
		// may come early, so it is asked often.
		ReadinessProbe: probe("/readyz", 2, 2),
		LivenessProbe:  probe("/livez", 10, 3),
		Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
			Sleep: &corev1.SleepAction{Seconds: preStopSeconds},
		}},
		VolumeMounts: mounts(),
	}
}

func resources() corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("10m"),
		corev1.ResourceMemory: resource.MustParse("32Mi"),
	}}
}

func containerSecurity() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		ReadOnlyRootFilesystem:   new(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func mounts() []corev1.VolumeMount {
	return []corev1.VolumeMount{
		{Name: "config", MountPath: configDir, ReadOnly: true},
		{Name: "token", MountPath: tokenDir, ReadOnly: true},
		{Name: "state", MountPath: stateDir},
	}
}

func probe(path string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("metrics")}},
		PeriodSeconds:    period,
		FailureThreshold: failures,
	}
}

func (in Input) volumes(name string) []corev1.Volume {
	return []corev1.Volume{
		{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: name},
		}}},
		{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
				Audience: TokenAudience, ExpirationSeconds: new(int64(tokenSeconds)), Path: "token",
			}}},
		}}},
		{Name: "state", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
}
