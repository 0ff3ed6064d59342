package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// GatewayParameters says what the proxies of Gateways, and the Services in front
// of them, look like in the cluster. A Gateway names it in
// spec.infrastructure.parametersRef, a GatewayClass in spec.parametersRef for all
// of its Gateways. What the Gateway's says holds before what the class's says, field
// by field; labels, annotations and the node selector key by key.
//
// It has no field by which the proxies could run another image, as another
// account or with more privileges: who may write it may still not do that.
//
// +kubebuilder:object:root=true
// +kubebuilder:storageversion
// +kubebuilder:resource:path=gatewayparameters,singular=gatewayparameters,shortName=gwparams,categories=citoroute
// +kubebuilder:printcolumn:name="Service",type=string,JSONPath=`.spec.service.type`
// +kubebuilder:printcolumn:name="Replicas",type=integer,JSONPath=`.spec.deployment.replicas`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type GatewayParameters struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Spec says what the proxies and their Services look like.
	// +required
	Spec GatewayParametersSpec `json:"spec"`
}

// GatewayParametersList is a list of GatewayParameters.
//
// +kubebuilder:object:root=true
type GatewayParametersList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []GatewayParameters `json:"items"`
}

// GatewayParametersSpec says what the proxies of a Gateway and their Services
// look like. The controller's defaults hold for what it leaves out.
type GatewayParametersSpec struct {
	// Deployment is about the proxies' pods, and how many there are.
	// +optional
	Deployment ProxyDeployment `json:"deployment,omitzero"`

	// Service is about how clients reach the proxies.
	// +optional
	Service ProxyService `json:"service,omitzero"`

	// Clients is about who clients are behind load balancers and other proxies.
	// +optional
	Clients ProxyClients `json:"clients,omitzero"`

	// Logging is about what the proxies write.
	// +optional
	Logging ProxyLogging `json:"logging,omitzero"`
}

// ProxyDeployment is about the pods of a Gateway's proxies.
//
// +kubebuilder:validation:XValidation:rule="!has(self.replicas) || !has(self.autoscaling)",message="replicas and autoscaling exclude each other: remove one"
type ProxyDeployment struct {
	// Replicas is the number of proxies. Without it and without autoscaling the
	// number belongs to whoever scales the Deployment; it begins at 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Replicas *int32 `json:"replicas,omitempty"`

	// Autoscaling has a HorizontalPodAutoscaler set the number of proxies.
	// +optional
	Autoscaling *Autoscaling `json:"autoscaling,omitempty"`

	// Resources are what a proxy asks for, and may use at most. CPU and memory
	// that it does not name at all are 10m (100m with autoscaling) and 32Mi, which
	// are asked for.
	// +optional
	Resources *Resources `json:"resources,omitempty"`

	// NodeSelector has the labels that the proxies' nodes must have.
	// +optional
	NodeSelector Labels `json:"nodeSelector,omitempty"`

	// Tolerations are the taints of nodes that the proxies put up with.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`

	// Affinity is by which nodes and pods the proxies should be, or should not.
	// +optional
	Affinity *corev1.Affinity `json:"affinity,omitempty"`

	// TopologySpreadConstraints say how the proxies are spread, instead of over
	// zones and nodes as far as possible; an empty list: not at all. One without a
	// labelSelector counts the proxies of the Gateway.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`

	// PriorityClassName is the PriorityClass of the proxies' pods.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	PriorityClassName string `json:"priorityClassName,omitempty"`

	// ImagePullSecrets are Secrets in the Gateway's namespace by which nodes pull the
	// proxies' image.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	ImagePullSecrets []LocalSecretReference `json:"imagePullSecrets,omitempty"`

	// Labels are put on the proxies' pods. Those of spec.infrastructure of the
	// Gateway hold before them.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('gateway.networking.k8s.io/') && !k.startsWith('citoroute.io/') && k != 'app.kubernetes.io/name' && k != 'app.kubernetes.io/managed-by')",message="labels of gateway.networking.k8s.io/ and citoroute.io/, app.kubernetes.io/name and app.kubernetes.io/managed-by belong to the controller"
	Labels Labels `json:"labels,omitempty"`

	// Annotations are put on the proxies' pods. Those of spec.infrastructure of the
	// Gateway hold before them.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.contains('.security.'))",message="annotations must not change the security profile of the pods"
	Annotations Annotations `json:"annotations,omitempty"`

	// DrainTimeout is how long a proxy that ends, or closes a listener, waits for
	// the requests that it has. The default is 30s. Pods have 10s more to end.
	// +optional
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="drainTimeout must be from 1s to 1h"
	DrainTimeout *gatewayv1.Duration `json:"drainTimeout,omitempty"`

	// PodDisruptionBudget is how many of the proxies may be away because nodes are
	// drained. The default is one.
	// +optional
	PodDisruptionBudget *DisruptionBudget `json:"podDisruptionBudget,omitempty"`
}

// Autoscaling is by how much a HorizontalPodAutoscaler may scale.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",message="minReplicas must not be more than maxReplicas"
type Autoscaling struct {
	// MinReplicas is the least number of proxies. The default is 1.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// MaxReplicas is the greatest number of proxies.
	// +required
	// +kubebuilder:validation:Minimum=1
	MaxReplicas int32 `json:"maxReplicas"`

	// TargetCPUUtilization is the share of the CPU which a proxy asks for
	// (resources.requests.cpu) that it should use on average, in percent. The
	// default is 80.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	TargetCPUUtilization *int32 `json:"targetCPUUtilization,omitempty"`
}

// Resources are what a container asks for, and may use at most.
//
// +kubebuilder:validation:XValidation:rule="!has(self.requests) || !has(self.limits) || self.requests.all(k, !(k in self.limits) || !quantity(string(self.limits[k])).isLessThan(quantity(string(self.requests[k]))))",message="requests must not be more than limits"
type Resources struct {
	// Requests are what a node must have left.
	// +optional
	Requests ResourceAmounts `json:"requests,omitempty"`

	// Limits are what may be used at most.
	// +optional
	Limits ResourceAmounts `json:"limits,omitempty"`
}

// ResourceAmounts are amounts of cpu, memory and ephemeral-storage.
//
// +kubebuilder:validation:MaxProperties=3
// +kubebuilder:validation:XValidation:rule="self.all(k, k in ['cpu', 'memory', 'ephemeral-storage'])",message="resources must be cpu, memory or ephemeral-storage"
// +kubebuilder:validation:XValidation:rule="self.all(k, !quantity(string(self[k])).isLessThan(quantity('0')))",message="resources must not be negative"
type ResourceAmounts corev1.ResourceList

// Labels are labels of pods or nodes.
//
// +kubebuilder:validation:MaxProperties=32
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k).hasValue())",message="keys must be qualified names such as example.com/team"
type Labels map[gatewayv1.LabelKey]gatewayv1.LabelValue

// Annotations are those of an object in the cluster.
//
// +kubebuilder:validation:MaxProperties=32
// +kubebuilder:validation:XValidation:rule="self.all(k, !format.qualifiedName().validate(k.lowerAscii()).hasValue())",message="keys must be qualified names such as example.com/note"
// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('citoroute.io/'))",message="annotations of citoroute.io/ belong to the controller"
type Annotations map[gatewayv1.AnnotationKey]gatewayv1.AnnotationValue

// DisruptionBudget is how many pods may be away, or must be there. A value is a
// number, or a percentage such as "50%".
//
// +kubebuilder:validation:XValidation:rule="has(self.maxUnavailable) != has(self.minAvailable)",message="set either maxUnavailable or minAvailable"
type DisruptionBudget struct {
	// MaxUnavailable is how many pods may be away.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) != int || self >= 0",message="must not be negative"
	// +kubebuilder:validation:Pattern=`^([0-9]|[1-9][0-9]|100)%$`
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// MinAvailable is how many pods must be there.
	// +optional
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:XValidation:rule="type(self) != int || self >= 0",message="must not be negative"
	// +kubebuilder:validation:Pattern=`^([0-9]|[1-9][0-9]|100)%$`
	MinAvailable *intstr.IntOrString `json:"minAvailable,omitempty"`
}

// ProxyLogging is about what a Gateway's proxies write.
type ProxyLogging struct {
	// Level is from which severity on the proxies write what happens to them. The
	// default is the controller's --proxy-log-level.
	// +optional
	Level LogLevel `json:"level,omitempty"`

	// AccessLog has the proxies write a line per request. The default is the
	// controller's --proxy-access-log.
	// +optional
	AccessLog *bool `json:"accessLog,omitempty"`
}

// LogLevel is a severity.
//
// +kubebuilder:validation:Enum=Debug;Info;Warn;Error
type LogLevel string

// The severities.
const (
	LogLevelDebug LogLevel = "Debug"
	LogLevelInfo  LogLevel = "Info"
	LogLevelWarn  LogLevel = "Warn"
	LogLevelError LogLevel = "Error"
)
