package infra

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// Port is a port that the Service opens.
type Port struct {
	Number   int32
	Protocol corev1.Protocol // TCP or UDP
}

// services returns the Services of a Gateway. A load balancer can be asked for one
// address only: the Gateway's Service asks for the first, and every further one
// has a Service of its own.
func (in Input) services() []Object {
	own := in.service()
	out := []Object{own}
	if own.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return out
	}
	first, further := splitAddresses(in.Gateway)
	if first.IsValid() {
		own.Spec.LoadBalancerIP = first.String()
	}
	for _, address := range further {
		out = append(out, in.furtherService(address))
	}
	return out
}

func (in Input) service() *corev1.Service {
	s := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: in.meta(),
		Spec: corev1.ServiceSpec{
			Type:     cmp.Or(in.ServiceType, corev1.ServiceTypeLoadBalancer),
			Selector: in.selector(),
			Ports:    in.servicePorts(),
		},
	}
	if own := in.Parameters.Service.Annotations; own != nil {
		s.Annotations = plain(own)
		maps.Copy(s.Annotations, in.annotations())
	}
	in.setFamilies(&s.Spec)
	in.setReach(&s.Spec)
	return s
}

// setFamilies says of which families the addresses are: of both where the
// cluster has both, unless the parameters say something else.
func (in Input) setFamilies(s *corev1.ServiceSpec) {
	policy := corev1.IPFamilyPolicyPreferDualStack
	for _, family := range in.Parameters.Service.IPFamilies {
		s.IPFamilies = append(s.IPFamilies, corev1.IPFamily(family))
	}
	switch len(s.IPFamilies) {
	case 1:
		policy = corev1.IPFamilyPolicySingleStack
	case 2:
		policy = corev1.IPFamilyPolicyRequireDualStack
	}
	s.IPFamilyPolicy = new(cmp.Or(corev1.IPFamilyPolicy(in.Parameters.Service.IPFamilyPolicy), policy))
}

// setReach says how clients outside the cluster come in, as far as the type of
// the Service lets them.
func (in Input) setReach(s *corev1.ServiceSpec) {
	own := in.Parameters.Service
	if s.Type == corev1.ServiceTypeClusterIP {
		return
	}
	// Local would keep the client's address, but a node whose only proxy is being
	// replaced would drop what still comes to it.
	s.ExternalTrafficPolicy = cmp.Or(corev1.ServiceExternalTrafficPolicy(own.ExternalTrafficPolicy), corev1.ServiceExternalTrafficPolicyCluster)
	for i := range s.Ports {
		s.Ports[i].NodePort = nodePort(own.NodePorts, s.Ports[i])
	}
	if s.Type != corev1.ServiceTypeLoadBalancer {
		return
	}
	s.LoadBalancerClass = own.LoadBalancerClass
	for _, r := range own.LoadBalancerSourceRanges {
		s.LoadBalancerSourceRanges = append(s.LoadBalancerSourceRanges, string(r))
	}
}

// nodePort returns the nodes' port for a port; 0: the cluster chooses one.
func nodePort(asked []v1alpha1.NodePort, port corev1.ServicePort) int32 {
	for _, p := range asked {
		if p.Port == port.Port && cmp.Or(p.Protocol, corev1.ProtocolTCP) == port.Protocol {
			return p.NodePort
		}
	}
	return 0
}

// furtherService asks for one more address. It is of the address's family alone:
// some load balancers refuse a Service of two that asks for an address of one.
// The nodes' ports that are asked for are the other Service's.
func (in Input) furtherService(address netip.Addr) *corev1.Service {
	s := in.service()
	s.Name = furtherName(s.Name, address)
	s.Spec.LoadBalancerIP = address.String()
	s.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicySingleStack)
	s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
	if address.Is4() {
		s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	}
	for i := range s.Spec.Ports {
		s.Spec.Ports[i].NodePort = 0
	}
	return s
}

func (in Input) servicePorts() []corev1.ServicePort {
	ports := slices.Clone(in.Ports)
	slices.SortFunc(ports, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol))
	})
	ports = slices.Compact(ports)
	out := make([]corev1.ServicePort, 0, len(ports))
	for _, p := range ports {
		out = append(out, p.service())
	}
	return out
}

func (p Port) service() corev1.ServicePort {
	return corev1.ServicePort{
		Name: fmt.Sprintf("%s-%d", strings.ToLower(string(p.Protocol)), p.Number),
		Port: p.Number, Protocol: p.Protocol, TargetPort: intstr.FromInt32(p.Number),
	}
}
