package e2e

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// edge is a namespace with testdata/echo.yaml in it, serving.
type edge struct {
	namespace string
	url       string
}

func newEdge(ctx context.Context) edge {
	GinkgoHelper()
	namespace := cluster.namespace(ctx)
	cluster.apply(ctx, namespace, "echo.yaml")
	cluster.deploymentsReady(ctx, namespace)
	e := edge{namespace, "http://" + cluster.gatewayAddress(ctx, namespace, "edge")}
	eventuallyServed(ctx, e.url, "v1")
	return e
}

// setBackend points the one rule of the route "echo" to a Service.
func (e edge) setBackend(ctx context.Context, service string) {
	GinkgoHelper()
	e.patchRule(ctx, `{"backendRefs":[{"name":"`+service+`","port":80}]}`)
}

// patchRule replaces the one rule of the route "echo".
func (e edge) patchRule(ctx context.Context, rule string) {
	GinkgoHelper()
	route := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: "echo"}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"rules":[`+rule+`]}}`))
	Expect(cluster.Patch(ctx, route, patch)).To(Succeed())
}

var _ = Describe("A Gateway", func() {
	It("gets an address, serves its route, and leaves nothing behind when it is deleted", func(ctx SpecContext) {
		e := newEdge(ctx)
		Expect(madeFor(ctx, e.namespace, "edge")).NotTo(BeEmpty())

		gateway := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: "edge"}}
		Expect(cluster.Delete(ctx, gateway)).To(Succeed())
		Eventually(func() []string { return madeFor(ctx, e.namespace, "edge") }).WithContext(ctx).Should(BeEmpty())
	})

	It("serves at all addresses that it asks for and the cluster has", func(ctx SpecContext) {
		e := newEdge(ctx)
		network := e.url[:strings.LastIndex(e.url, ".")] // of the cluster's load balancer
		first, second := network+".251", network+".252"
		of := func(url string) string { return strings.TrimPrefix(url, "http://") }

		e.setAddresses(ctx, of(first), "203.0.113.1", of(second))
		Eventually(e.addresses).WithContext(ctx).Should(ConsistOf(of(first), of(second)))
		programmed := meta.FindStatusCondition(e.gateway(ctx).Status.Conditions, "Programmed")
		Expect(programmed).To(HaveField("Reason", "AddressNotUsable"))
		Expect(programmed.Message).To(ContainSubstring("203.0.113.1"))
		eventuallyServed(ctx, first, "v1")
		eventuallyServed(ctx, second, "v1")

		e.setAddresses(ctx, of(second))
		Eventually(e.addresses).WithContext(ctx).Should(ConsistOf(of(second)))
		Expect(cluster.gatewayAddress(ctx, e.namespace, "edge")).To(Equal(of(second)))
		eventuallyServed(ctx, second, "v1")
	})
})

// setAddresses has the Gateway ask for these addresses.
func (e edge) setAddresses(ctx context.Context, values ...string) {
	GinkgoHelper()
	gateway := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: e.namespace, Name: "edge"}}
	list := `{"value":"` + strings.Join(values, `"},{"value":"`) + `"}`
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"addresses":[`+list+`]}}`))
	Expect(cluster.Patch(ctx, gateway, patch)).To(Succeed())
}

// addresses returns those in the Gateway's status.
func (e edge) addresses(ctx context.Context) []string {
	var out []string
	for _, a := range e.gateway(ctx).Status.Addresses {
		out = append(out, a.Value)
	}
	return out
}

func (e edge) gateway(ctx context.Context) gatewayv1.Gateway {
	GinkgoHelper()
	var gateway gatewayv1.Gateway
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: e.namespace, Name: "edge"}, &gateway)).To(Succeed())
	return gateway
}

// madeFor lists what the controller made for a Gateway, and the pods of it.
func madeFor(ctx context.Context, namespace, gateway string) []string {
	GinkgoHelper()
	var found []string
	for kind, list := range map[string]client.ObjectList{
		"Deployment":          &appsv1.DeploymentList{},
		"Pod":                 &corev1.PodList{},
		"Service":             &corev1.ServiceList{},
		"ServiceAccount":      &corev1.ServiceAccountList{},
		"ConfigMap":           &corev1.ConfigMapList{},
		"PodDisruptionBudget": &policyv1.PodDisruptionBudgetList{},

		"HorizontalPodAutoscaler": &autoscalingv2.HorizontalPodAutoscalerList{},
	} {
		Expect(cluster.List(ctx, list, client.InNamespace(namespace),
			client.MatchingLabels{gatewayNameLabel: gateway})).To(Succeed())
		if meta.LenList(list) > 0 {
			found = append(found, kind)
		}
	}
	return found
}
