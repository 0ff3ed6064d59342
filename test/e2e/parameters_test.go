package e2e

import (
	"context"
	"net"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("GatewayParameters", func() {
	It("size and place a Gateway's proxies, and losing them changes nothing", func(ctx SpecContext) {
		e := newEdge(ctx)
		cluster.apply(ctx, e.namespace, "parameters.yaml")
		gateway := e.gateway(ctx)
		patch := client.RawPatch("application/merge-patch+json",
			[]byte(`{"spec":{"infrastructure":{"parametersRef":{"group":"citoroute.io","kind":"GatewayParameters","name":"size"}}}}`))
		Expect(cluster.Patch(ctx, &gateway, patch)).To(Succeed())

		// The autoscaler sees to the least number also without any metrics.
		Eventually(e.proxies).WithContext(ctx).Should(And(HaveLen(2), HaveEach(And(
			HaveField("Labels", HaveKeyWithValue("size", "small")),
			HaveField("Spec.Containers", ConsistOf(HaveField("Resources.Requests", HaveLen(2))))))))
		eventuallyServed(ctx, "http://"+net.JoinHostPort(nodeAddress(ctx), "30080"), "v1")

		size := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "citoroute.io/v1alpha1", "kind": "GatewayParameters",
			"metadata": map[string]any{"namespace": e.namespace, "name": "size"},
		}}
		Expect(cluster.Delete(ctx, size)).To(Succeed())
		Eventually(func(g Gomega) {
			accepted := meta.FindStatusCondition(e.gateway(ctx).Status.Conditions, "Accepted")
			g.Expect(accepted).To(HaveField("Reason", "InvalidParameters"))
		}).WithContext(ctx).Should(Succeed())
		e.setBackend(ctx, "v2")
		eventuallyServed(ctx, "http://"+net.JoinHostPort(nodeAddress(ctx), "30080"), "v2")
		Expect(e.proxies(ctx)).To(HaveLen(2))

		unset := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"infrastructure":null}}`))
		Expect(cluster.Patch(ctx, &gateway, unset)).To(Succeed())
		Eventually(func() []string { return madeFor(ctx, e.namespace, "edge") }).WithContext(ctx).ShouldNot(ContainElement("HorizontalPodAutoscaler"))
		eventuallyServed(ctx, "http://"+cluster.gatewayAddress(ctx, e.namespace, "edge"), "v2")
		deployment := &appsv1.Deployment{}
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: e.namespace, Name: "edge-citoroute"}, deployment)).To(Succeed())
		Expect(*deployment.Spec.Replicas).To(Equal(int32(2)), "the number stays")
	})
})

// proxies returns the Gateway's pods that are ready and stay.
func (e edge) proxies(ctx context.Context) ([]corev1.Pod, error) {
	list := &corev1.PodList{}
	err := cluster.List(ctx, list, client.InNamespace(e.namespace), client.MatchingLabels{gatewayNameLabel: "edge"})
	var out []corev1.Pod
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil && len(pod.Status.ContainerStatuses) == 1 && pod.Status.ContainerStatuses[0].Ready {
			out = append(out, pod)
		}
	}
	return out, err
}

// nodeAddress returns an address of a node of the cluster.
func nodeAddress(ctx context.Context) string {
	GinkgoHelper()
	nodes := &corev1.NodeList{}
	Expect(cluster.List(ctx, nodes)).To(Succeed())
	for _, node := range nodes.Items {
		for _, address := range node.Status.Addresses {
			if address.Type == corev1.NodeInternalIP {
				return address.Address
			}
		}
	}
	Fail("no node has an address")
	return ""
}
