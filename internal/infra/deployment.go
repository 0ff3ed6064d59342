package infra

import (
	"cmp"
	"maps"
	"math"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

const (
	configDir = "/etc/citoroute"
	tokenDir  = "/var/run/secrets/citoroute"
	stateDir  = "/var/lib/citoroute"

	// A pod that ends first waits until no Service sends it anything new, then
	// drains, and has some seconds left.
	preStopSeconds = 5
	defaultDrain   = 30 * time.Second
	spareSeconds   = 5

	tokenSeconds = 3600
	// userID is the image's non-root user.
	userID = 65532

	annotationBootstrap = "citoroute.io/bootstrap-hash"
)

// deployment runs the proxies. It leaves the number of replicas alone, which
// belongs to whoever scales it, unless the parameters say a number. A changed bootstrap rolls the pods; changed
// certificate authorities do not, for the proxy reads them again.
func (in Input) deployment(bootstrapHash string) *appsv1.Deployment {
	annotations := plain(in.Parameters.Deployment.Annotations)
	maps.Copy(annotations, in.annotations())
	annotations[annotationBootstrap] = bootstrapHash
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: in.meta(),
		Spec: appsv1.DeploymentSpec{
			Replicas: in.Parameters.Deployment.Replicas,
			Selector: &metav1.LabelSelector{MatchLabels: in.selector()},
			Strategy: rolling(),
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: in.podLabels(), Annotations: annotations},
				Spec:       in.pod(),
			},
		},
	}
}

// podLabels keep the proxy out of the mesh: it balances by itself, and would
// wait for its own controller.
func (in Input) podLabels() map[string]string {
	labels := plain(in.Parameters.Deployment.Labels)
	maps.Copy(labels, in.labels())
	labels[v1alpha1.LabelInjection] = v1alpha1.InjectionDisabled
	return labels
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
	own := in.Parameters.Deployment
	return corev1.PodSpec{
		ServiceAccountName:            name,
		AutomountServiceAccountToken:  new(false),
		EnableServiceLinks:            new(false),
		TerminationGracePeriodSeconds: new(in.graceSeconds()),
		SecurityContext:               podSecurity(),
		NodeSelector:                  plain(own.NodeSelector),
		Tolerations:                   own.Tolerations,
		Affinity:                      own.Affinity,
		TopologySpreadConstraints:     in.spreads(),
		PriorityClassName:             own.PriorityClassName,
		ImagePullSecrets:              in.pullSecrets(),
		Containers:                    []corev1.Container{in.container()},
		Volumes:                       Volumes("", name),
	}
}

// graceSeconds is how long a pod may take to end.
func (in Input) graceSeconds() int64 {
	return preStopSeconds + int64(math.Ceil(in.drain().Seconds())) + spareSeconds
}

func (o Options) drain() time.Duration { return cmp.Or(o.Drain, defaultDrain) }

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
	c := in.Options.Container("", keyBootstrap)
	c.Name = "proxy"
	c.Resources = in.resources()
	c.Ports = []corev1.ContainerPort{{Name: "metrics", ContainerPort: MetricsPort, Protocol: corev1.ProtocolTCP}}
	c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
		Sleep: &corev1.SleepAction{Seconds: preStopSeconds},
	}}
	return c
}

// Container returns what the container of a proxy has in common with all
// others, in pods of Gateways and elsewhere. key is that of its bootstrap file
// in the ConfigMap; prefix is that of the names of [Volumes].
func (o Options) Container(prefix, key string) corev1.Container {
	return corev1.Container{
		Image:           o.Image,
		ImagePullPolicy: o.ImagePullPolicy,
		Args:            []string{"--bootstrap=" + configDir + "/" + key},
		Resources:       resources(),
		SecurityContext: containerSecurity(),
		// Ready only after the first whole configuration serves. A first probe
		// may come early, so it is asked often.
		ReadinessProbe: Probe("/readyz", 2, 2),
		LivenessProbe:  Probe("/livez", 10, 3),
		VolumeMounts:   mounts(prefix),
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

// Probe asks for a path of the proxy's metrics server, every period seconds.
func Probe(path string, period, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(MetricsPort)}},
		PeriodSeconds:    period,
		FailureThreshold: failures,
	}
}

func mounts(prefix string) []corev1.VolumeMount {
	return []corev1.VolumeMount{
		{Name: prefix + "config", MountPath: configDir, ReadOnly: true},
		{Name: prefix + "token", MountPath: tokenDir, ReadOnly: true},
		{Name: prefix + "state", MountPath: stateDir},
	}
}

// Volumes returns those of a proxy's container: a ConfigMap with its bootstrap
// and the authorities, the token that it shows to the controller, and room for
// the last good configuration.
func Volumes(prefix, configMap string) []corev1.Volume {
	return []corev1.Volume{
		{Name: prefix + "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: configMap},
		}}},
		{Name: prefix + "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{
				Audience: TokenAudience, ExpirationSeconds: new(int64(tokenSeconds)), Path: "token",
			}}},
		}}},
		{Name: prefix + "state", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
}
