package e2e

import (
	"context"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var _ = Describe("The controller", Serial, func() {
	AfterEach(func(ctx SpecContext) { cluster.requireController(ctx) })

	It("can be away: traffic goes on, and what changed meanwhile is served after", func(ctx SpecContext) {
		e := newEdge(ctx)
		l := startLoad(ctx, e.url, 2)
		// A pod that is killed outright leaves the API before its process ends, and
		// might still push the change below: this one ends first.
		restore := scaleControllers(ctx, 0)
		Eventually(func() int { return len(controllerPods(ctx)) }).WithContext(ctx).Should(BeZero())
		e.setBackend(ctx, "v2")
		l.serve(ctx, 1000)
		eventuallyServed(ctx, e.url, "v1")

		restore(ctx)
		eventuallyServed(ctx, e.url, "v2")
		l.stop()
	})

	It("can be killed during a change: the change is served after it is back", func(ctx SpecContext) {
		e := newEdge(ctx)
		l := startLoad(ctx, e.url, 2)
		for _, backend := range []string{"v2", "v1", "v2"} {
			e.setBackend(ctx, backend)
			killControllers(ctx)
			eventuallyServed(ctx, e.url, backend)
			cluster.requireController(ctx)
		}
		l.stop()
	})

	It("can be upgraded, and all proxies after it: no request fails", func(ctx SpecContext) {
		e := newEdge(ctx)
		before := proxyPods(ctx, e.namespace)
		l := startLoad(ctx, e.url, 4)
		l.serve(ctx, 500)
		reconfigureController(ctx, "--proxy-log-level=debug") // new pods for both, as by a new version
		Eventually(func() bool { return rolledOut(ctx) }).WithContext(ctx).WithTimeout(controllerTimeout).Should(BeTrue())
		Eventually(func(g Gomega) {
			pods := proxyPods(ctx, e.namespace)
			g.Expect(pods).NotTo(BeEmpty())
			g.Expect(pods).NotTo(ContainElement(BeElementOf(before)))
		}).WithContext(ctx).WithTimeout(controllerTimeout).Should(Succeed())
		l.serve(ctx, 500)
		l.stop()
	})
})

// reconfigureController starts the controller with one more argument, until the
// spec is over.
func reconfigureController(ctx context.Context, argument string) {
	GinkgoHelper()
	change := func(ctx context.Context, arguments func([]string) []string) {
		GinkgoHelper()
		var d appsv1.Deployment
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: controllerNamespace, Name: "citoroute-controller"}, &d)).To(Succeed())
		base := d.DeepCopy()
		container := &d.Spec.Template.Spec.Containers[0]
		container.Args = arguments(container.Args)
		Expect(cluster.Patch(ctx, &d, client.MergeFrom(base))).To(Succeed())
	}
	DeferCleanup(func(ctx SpecContext) {
		change(ctx, func(have []string) []string {
			return slices.DeleteFunc(have, func(a string) bool { return a == argument })
		})
	})
	change(ctx, func(have []string) []string { return append(slices.Clone(have), argument) })
}

// proxyPods names the pods of the Gateway "edge" that have not gone yet.
func proxyPods(ctx context.Context, namespace string) []string {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(cluster.List(ctx, &pods, client.InNamespace(namespace), client.MatchingLabels{gatewayNameLabel: "edge"})).To(Succeed())
	var names []string
	for i := range pods.Items {
		names = append(names, pods.Items[i].Name)
	}
	return names
}

func controllerPods(ctx context.Context) []corev1.Pod {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(cluster.List(ctx, &pods, client.InNamespace(controllerNamespace))).To(Succeed())
	return pods.Items
}

// killControllers kills every replica at once, with no time to say goodbye.
func killControllers(ctx context.Context) {
	GinkgoHelper()
	Expect(cluster.DeleteAllOf(ctx, &corev1.Pod{},
		client.InNamespace(controllerNamespace), client.GracePeriodSeconds(0))).To(Succeed())
}

// scaleControllers sets the number of replicas and returns how to set it back.
func scaleControllers(ctx context.Context, replicas int32) func(context.Context) {
	GinkgoHelper()
	var deployments appsv1.DeploymentList
	Expect(cluster.List(ctx, &deployments, client.InNamespace(controllerNamespace))).To(Succeed())
	scale := func(ctx context.Context, d *appsv1.Deployment, n int32) {
		GinkgoHelper()
		base := d.DeepCopy()
		d.Spec.Replicas = &n
		Expect(cluster.Patch(ctx, d, client.MergeFrom(base))).To(Succeed())
	}
	before := map[string]int32{}
	for i := range deployments.Items {
		before[deployments.Items[i].Name] = *deployments.Items[i].Spec.Replicas
		scale(ctx, &deployments.Items[i], replicas)
	}
	restore := func(ctx context.Context) {
		GinkgoHelper()
		for i := range deployments.Items {
			scale(ctx, &deployments.Items[i], before[deployments.Items[i].Name])
		}
	}
	DeferCleanup(restore)
	return restore
}
