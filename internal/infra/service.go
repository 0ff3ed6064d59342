package infra

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// Port is a port that the Service opens.
type Port struct {
	Number   int32
	Protocol corev1.Protocol // TCP or UDP
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
	if wanted := RequestedAddresses(in.Gateway); s.Spec.Type == corev1.ServiceTypeLoadBalancer && len(wanted) > 0 {
		s.Spec.LoadBalancerIP = wanted[0]
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

// RequestedAddresses returns the IP addresses that spec.addresses asks for by
// value. A LoadBalancer Service can ask for one, so the first is asked for.
func RequestedAddresses(gateway *gatewayv1.Gateway) []string {
	var out []string
	for _, a := range gateway.Spec.Addresses {
		if a.Value != "" && (a.Type == nil || *a.Type == gatewayv1.IPAddressType) {
			out = append(out, a.Value)
		}
	}
	return out
}
