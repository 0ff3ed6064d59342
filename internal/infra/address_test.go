package infra

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestAddresses(t *testing.T) {
	inside := func(ips ...string) *corev1.Service {
		return &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIPs: ips}}
	}
	balanced := func(ingress ...corev1.LoadBalancerIngress) *corev1.Service {
		return &corev1.Service{
			Spec:   corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.96.0.8"}},
			Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: ingress}},
		}
	}
	ip := func(value string) corev1.LoadBalancerIngress { return corev1.LoadBalancerIngress{IP: value} }
	for name, c := range map[string]struct {
		services []*corev1.Service
		want     []string
	}{
		"NoService": {},
		"Pending":   {services: []*corev1.Service{balanced()}},
		"Headless":  {services: []*corev1.Service{inside(corev1.ClusterIPNone)}},
		"ClusterIP": {
			services: []*corev1.Service{inside("10.96.0.7", "fd00::7")},
			want:     []string{"IPAddress 10.96.0.7", "IPAddress fd00::7"},
		},
		"LoadBalancer": {
			services: []*corev1.Service{balanced(corev1.LoadBalancerIngress{Hostname: "lb.example.com"}, ip("192.0.2.9"), ip("192.0.2.1"))},
			want:     []string{"IPAddress 192.0.2.1", "IPAddress 192.0.2.9", "Hostname lb.example.com"},
		},
		"Several": {
			services: []*corev1.Service{balanced(ip("192.0.2.9")), balanced(), balanced(ip("192.0.2.1"))},
			want:     []string{"IPAddress 192.0.2.1", "IPAddress 192.0.2.9"},
		},
		"Shared": {services: []*corev1.Service{balanced(ip("192.0.2.9")), balanced(ip("192.0.2.9"))}, want: []string{"IPAddress 192.0.2.9"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, a := range Addresses(c.services) {
				got = append(got, string(*a.Type)+" "+a.Value)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
