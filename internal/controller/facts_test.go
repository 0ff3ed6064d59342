package controller

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestAddresses(t *testing.T) {
	for name, c := range map[string]struct {
		service corev1.Service
		want    []string
	}{
		"None":     {service: corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.96.0.7"}}}},
		"Headless": {service: corev1.Service{Spec: corev1.ServiceSpec{ClusterIPs: []string{corev1.ClusterIPNone}}}},
		"ClusterIP": {
			service: corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIPs: []string{"10.96.0.7", "fd00::7"}}},
			want:    []string{"IPAddress 10.96.0.7", "IPAddress fd00::7"},
		},
		"LoadBalancer": {
			service: corev1.Service{
				Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.96.0.7"}},
				Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{
					{Hostname: "lb.example.com"}, {IP: "192.0.2.9"}, {IP: "192.0.2.1"},
				}}},
			},
			want: []string{"IPAddress 192.0.2.1", "IPAddress 192.0.2.9", "Hostname lb.example.com"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, a := range addresses(&c.service) {
				got = append(got, string(*a.Type)+" "+a.Value)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
