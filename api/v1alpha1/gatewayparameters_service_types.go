package v1alpha1

import corev1 "k8s.io/api/core/v1"

// ProxyService is about the Services in front of a Gateway's proxies. What a
// type of Service does not have is left out of it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type == 'LoadBalancer' || !(has(self.loadBalancerClass) || has(self.loadBalancerSourceRanges))",message="loadBalancerClass and loadBalancerSourceRanges need the type LoadBalancer"
// +kubebuilder:validation:XValidation:rule="!has(self.type) || self.type != 'ClusterIP' || !(has(self.externalTrafficPolicy) || has(self.nodePorts))",message="externalTrafficPolicy and nodePorts need the type LoadBalancer or NodePort"
// +kubebuilder:validation:XValidation:rule="!has(self.ipFamilyPolicy) || self.ipFamilyPolicy != 'SingleStack' || !has(self.ipFamilies) || size(self.ipFamilies) == 1",message="ipFamilies must have one family with the policy SingleStack"
type ProxyService struct {
	// Type is how clients reach the proxies: by a load balancer of the cluster, by a
	// port of every node, or inside the cluster only. The default is the
	// controller's --gateway-service-type.
	// +optional
	Type ServiceType `json:"type,omitempty"`

	// LoadBalancerClass is which of several load balancers of the cluster serves.
	// It cannot be changed while the type is LoadBalancer.
	// +optional
	// +kubebuilder:validation:MaxLength=317
	// +kubebuilder:validation:XValidation:rule="!format.qualifiedName().validate(self).hasValue()",message="loadBalancerClass must be a qualified name such as example.com/internal"
	LoadBalancerClass *string `json:"loadBalancerClass,omitempty"`

	// LoadBalancerSourceRanges are the clients that a load balancer lets in; not
	// all load balancers look at them. Without it everybody is let in.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	LoadBalancerSourceRanges []CIDR `json:"loadBalancerSourceRanges,omitempty"`

	// ExternalTrafficPolicy says which proxies a node sends clients to: to all in
	// the cluster, or to its own, which keeps the address of the client. The default
	// is Cluster.
	// +optional
	ExternalTrafficPolicy ExternalTrafficPolicy `json:"externalTrafficPolicy,omitempty"`

	// NodePorts are the nodes' ports for ports of listeners. The cluster chooses
	// the others. They are for the Gateway's Service, not for those of further
	// addresses.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(a, self.exists_one(b, a.port == b.port && (has(a.protocol) ? a.protocol : 'TCP') == (has(b.protocol) ? b.protocol : 'TCP')))",message="nodePorts has the same port and protocol twice: remove one"
	// +kubebuilder:validation:XValidation:rule="self.all(a, self.exists_one(b, a.nodePort == b.nodePort && (has(a.protocol) ? a.protocol : 'TCP') == (has(b.protocol) ? b.protocol : 'TCP')))",message="nodePorts has the same nodePort and protocol twice: change one"
	NodePorts []NodePort `json:"nodePorts,omitempty"`

	// Annotations are put on the Services, for load balancers that are told by them
	// what to do. Those of spec.infrastructure of the Gateway hold before them.
	// +optional
	Annotations Annotations `json:"annotations,omitempty"`

	// IPFamilyPolicy says whether the Services have addresses of one family or of
	// both. The default is PreferDualStack; with ipFamilies, as many as it has.
	// +optional
	IPFamilyPolicy IPFamilyPolicy `json:"ipFamilyPolicy,omitempty"`

	// IPFamilies are the families of the Services' addresses, the first one first.
	// The first cannot be changed later.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=2
	IPFamilies []IPFamily `json:"ipFamilies,omitempty"`
}

// ServiceType is how clients reach proxies.
//
// +kubebuilder:validation:Enum=LoadBalancer;NodePort;ClusterIP
type ServiceType corev1.ServiceType

// CIDR is a range of IP addresses such as 192.0.2.0/24.
//
// +kubebuilder:validation:MaxLength=43
// +kubebuilder:validation:XValidation:rule="isCIDR(self)",message="must be a range of IP addresses such as 192.0.2.0/24"
type CIDR string

// ExternalTrafficPolicy says which proxies a node sends clients to.
//
// +kubebuilder:validation:Enum=Cluster;Local
type ExternalTrafficPolicy corev1.ServiceExternalTrafficPolicy

// NodePort is a node's port for the port of a listener.
type NodePort struct {
	// Port is the listener's.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`

	// Protocol is TCP, which is the default, or UDP.
	// +optional
	// +kubebuilder:validation:Enum=TCP;UDP
	Protocol corev1.Protocol `json:"protocol,omitempty"`

	// NodePort is the nodes' port. It must be in the cluster's range, which is
	// 30000 to 32767 in most.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	NodePort int32 `json:"nodePort"`
}

// IPFamilyPolicy says whether a Service has addresses of one family or of both.
//
// +kubebuilder:validation:Enum=SingleStack;PreferDualStack;RequireDualStack
type IPFamilyPolicy corev1.IPFamilyPolicy

// IPFamily is a family of IP addresses.
//
// +kubebuilder:validation:Enum=IPv4;IPv6
type IPFamily corev1.IPFamily
