package infra

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// defaultUtilization is the share of the CPU that a proxy asks for which it
// should use, in percent.
const defaultUtilization = 80

// with returns the options for a Gateway of these parameters.
func (o Options) with(p v1alpha1.GatewayParametersSpec) Options {
	o.ServiceType = cmp.Or(corev1.ServiceType(p.Service.Type), o.ServiceType)
	o.LogLevel = cmp.Or(strings.ToLower(string(p.Logging.Level)), o.LogLevel)
	if access := p.Logging.AccessLog; access != nil {
		o.AccessLog = *access
	}
	if t := p.Deployment.DrainTimeout; t != nil {
		if drain, err := time.ParseDuration(string(*t)); err == nil { // its schema says so
			o.Drain = drain
		}
	}
	return o
}

// resources are those of the parameters. What they do not name at all is little,
// but enough with autoscaling for its percentage to mean something.
func (in Input) resources() corev1.ResourceRequirements {
	out := resources()
	if in.Parameters.Deployment.Autoscaling != nil {
		out.Requests[corev1.ResourceCPU] = resource.MustParse("100m")
	}
	own := in.Parameters.Deployment.Resources
	if own == nil {
		return out
	}
	out.Limits = corev1.ResourceList(own.Limits)
	for name := range own.Limits {
		delete(out.Requests, name) // as much as the limit
	}
	maps.Copy(out.Requests, own.Requests)
	return out
}

// spreads says how pods are spread.
func (in Input) spreads() []corev1.TopologySpreadConstraint {
	own := in.Parameters.Deployment.TopologySpreadConstraints
	if own == nil {
		return []corev1.TopologySpreadConstraint{in.spread("topology.kubernetes.io/zone"), in.spread(corev1.LabelHostname)}
	}
	out := slices.Clone(own)
	for i := range out {
		if out[i].LabelSelector == nil {
			out[i].LabelSelector = &metav1.LabelSelector{MatchLabels: in.selector()}
		}
	}
	return out
}

func (in Input) pullSecrets() []corev1.LocalObjectReference {
	var out []corev1.LocalObjectReference
	for _, secret := range in.Parameters.Deployment.ImagePullSecrets {
		out = append(out, corev1.LocalObjectReference{Name: string(secret.Name)})
	}
	return out
}

// autoscaler sets the number of replicas, between the bounds of a.
func (in Input) autoscaler(a v1alpha1.Autoscaling) *autoscalingv2.HorizontalPodAutoscaler {
	_, name := Key(in.Gateway)
	utilization := int32(defaultUtilization)
	if a.TargetCPUUtilization != nil {
		utilization = *a.TargetCPUUtilization
	}
	return &autoscalingv2.HorizontalPodAutoscaler{
		TypeMeta:   metav1.TypeMeta{APIVersion: "autoscaling/v2", Kind: "HorizontalPodAutoscaler"},
		ObjectMeta: in.meta(),
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: name},
			MinReplicas:    a.MinReplicas,
			MaxReplicas:    a.MaxReplicas,
			Metrics: []autoscalingv2.MetricSpec{{
				Type: autoscalingv2.ResourceMetricSourceType,
				Resource: &autoscalingv2.ResourceMetricSource{
					Name: corev1.ResourceCPU,
					Target: autoscalingv2.MetricTarget{
						Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &utilization,
					},
				},
			}},
		},
	}
}

func (in Input) budget() *policyv1.PodDisruptionBudget {
	out := &policyv1.PodDisruptionBudget{
		TypeMeta:   metav1.TypeMeta{APIVersion: "policy/v1", Kind: "PodDisruptionBudget"},
		ObjectMeta: in.meta(),
		Spec: policyv1.PodDisruptionBudgetSpec{
			// One at a time, and never a node that cannot be drained because
			// there is only one replica.
			MaxUnavailable: new(intstr.FromInt32(1)),
			Selector:       &metav1.LabelSelector{MatchLabels: in.selector()},
		},
	}
	if own := in.Parameters.Deployment.PodDisruptionBudget; own != nil {
		out.Spec.MaxUnavailable, out.Spec.MinAvailable = own.MaxUnavailable, own.MinAvailable
	}
	return out
}
