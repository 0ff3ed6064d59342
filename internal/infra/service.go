package infra

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
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
			Type:           cmp.Or(in.ServiceType, corev1.ServiceTypeLoadBalancer),
			Selector:       in.selector(),
			Ports:          in.servicePorts(),
			IPFamilyPolicy: new(corev1.IPFamilyPolicyPreferDualStack),
		},
	}
	if s.Spec.Type != corev1.ServiceTypeClusterIP {
		// Local would keep the client's address, but a node whose only proxy is
		// being replaced would drop what still comes to it.
		s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyCluster
	}
	return s
}

// furtherService asks for one more address. It is of the address's family alone:
// some load balancers refuse a Service of two that asks for an address of one.
func (in Input) furtherService(address netip.Addr) *corev1.Service {
	s := in.service()
	s.Name = furtherName(s.Name, address)
	s.Spec.LoadBalancerIP = address.String()
	s.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicySingleStack)
	s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol}
	if address.Is4() {
		s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
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
