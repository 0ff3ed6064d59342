package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
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
})

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
	} {
		Expect(cluster.List(ctx, list, client.InNamespace(namespace),
			client.MatchingLabels{gatewayNameLabel: gateway})).To(Succeed())
		if meta.LenList(list) > 0 {
			found = append(found, kind)
		}
	}
	return found
}
