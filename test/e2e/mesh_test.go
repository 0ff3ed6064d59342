package e2e

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

const labelInjection = "citoroute.io/injection"

// mesh is a namespace of the mesh with testdata/mesh.yaml in it, all pods ready.
type mesh struct{ namespace string }

func newMesh(ctx context.Context) mesh {
	GinkgoHelper()
	m := mesh{cluster.meshed(ctx)}
	cluster.apply(ctx, m.namespace, "mesh.yaml")
	cluster.deploymentsReady(ctx, m.namespace)
	return m
}

// meshed makes a namespace of the mesh, which lives as long as the spec.
func (c *testCluster) meshed(ctx context.Context) string {
	GinkgoHelper()
	namespace := c.namespace(ctx)
	c.inject(ctx, namespace, `"enabled"`)
	return namespace
}

// inject sets the label of a namespace that says whether its pods are injected,
// to a value in JSON.
func (c *testCluster) inject(ctx context.Context, namespace, value string) {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"`+labelInjection+`":`+value+`}}}`))
	Expect(c.Patch(ctx, ns, patch)).To(Succeed())
}

// route makes the route "shop", or changes it, to have one rule.
func (m mesh) route(ctx context.Context, rule string) {
	GinkgoHelper()
	cluster.applyText(ctx, m.namespace, `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute","metadata":{"name":"shop"},
	  "spec":{"parentRefs":[{"group":"","kind":"Service","name":"shop"}],"rules":[`+rule+`]}}`)
}

// unroute deletes the route, and waits until requests pass through.
func (m mesh) unroute(ctx context.Context) {
	GinkgoHelper()
	route := &gatewayv1.HTTPRoute{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace, Name: "shop"}}
	Expect(cluster.Delete(ctx, route)).To(Succeed())
	m.eventuallyUnrouted(ctx)
}

func (m mesh) eventuallyUnrouted(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		a, err := m.ask(ctx, "client", 5)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(a.statuses).To(Equal(map[string]int{"200": 5}))
		g.Expect(a.routed).To(BeZero())
	}).WithContext(ctx).Should(Succeed())
}

// to is a rule that has one backend, and marks what it takes.
func to(service string) string {
	return `{"filters":[{"type":"RequestHeaderModifier","requestHeaderModifier":{"set":[{"name":"x-routed","value":"yes"}]}}],
	  "backendRefs":[{"name":"` + service + `","port":80}]}`
}

// pod returns the pod of a Deployment.
func (m mesh) pod(ctx context.Context, app string) corev1.Pod {
	GinkgoHelper()
	var pods corev1.PodList
	Expect(cluster.List(ctx, &pods, client.InNamespace(m.namespace), client.MatchingLabels{"app": app})).To(Succeed())
	Expect(pods.Items).NotTo(BeEmpty())
	return pods.Items[0]
}

// answers is what a client in a pod got.
type answers struct {
	backends map[string]int
	statuses map[string]int
	routed   int
}

var (
	statusLine = regexp.MustCompile(`StatusCode=(\d+)`)
	podLine    = regexp.MustCompile(`"pod": "(\w+)-`)
	routedLine = regexp.MustCompile(`"X-Routed"`)
)

// ask has the pod of a Deployment send n requests to the Service shop, on few
// connections.
func (m mesh) ask(ctx context.Context, app string, n int, flags ...string) (answers, error) {
	out, err := cluster.exec(ctx, m.pod(ctx, app), "client",
		append([]string{"client", "http://shop/", fmt.Sprintf("--count=%d", n)}, flags...)...)
	a := answers{backends: map[string]int{}, statuses: map[string]int{}, routed: len(routedLine.FindAllString(out, -1))}
	for _, match := range podLine.FindAllStringSubmatch(out, -1) {
		a.backends[match[1]]++
	}
	for _, match := range statusLine.FindAllStringSubmatch(out, -1) {
		a.statuses[match[1]]++
	}
	return a, err
}

// eventuallyFrom waits until all of a few requests are answered by one backend.
func (m mesh) eventuallyFrom(ctx context.Context, backend string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		a, err := m.ask(ctx, "client", 5)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(a.backends).To(Equal(map[string]int{backend: 5}))
	}).WithContext(ctx).Should(Succeed())
}

var _ = Describe("The mesh", Serial, func() {
	It("injects pods that do not opt out", func(ctx SpecContext) {
		m := newMesh(ctx)
		Expect(sidecars(m.pod(ctx, "client"))).To(Equal(1))
		Expect(sidecars(m.pod(ctx, "outsider"))).To(BeZero())
		Expect(m.pod(ctx, "outsider").Spec.InitContainers).To(BeEmpty())
	})

	It("passes through what no route is for, and splits what one is for", func(ctx SpecContext) {
		m := newMesh(ctx)
		Eventually(func(g Gomega) { // kube-proxy learns of pods some time after they are ready
			a, err := m.ask(ctx, "client", 40, "--new-connection-per-request")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(a.statuses).To(Equal(map[string]int{"200": 40}))
			g.Expect(slices.Sorted(maps.Keys(a.backends))).To(Equal([]string{"v1", "v2"}), "as kube-proxy balances")
			g.Expect(a.routed).To(BeZero())
		}).WithContext(ctx).Should(Succeed())

		m.route(ctx, `{"backendRefs":[{"name":"v1","port":80,"weight":90},{"name":"v2","port":80,"weight":10}]}`)
		Eventually(func(g Gomega) {
			a, err := m.ask(ctx, "client", 500)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(a.statuses).To(Equal(map[string]int{"200": 500}))
			g.Expect(a.backends["v1"]).To(BeNumerically("~", 450, 40))
			g.Expect(a.backends["v2"]).To(BeNumerically("~", 50, 40))
		}).WithContext(ctx).Should(Succeed())

		m.route(ctx, to("v1"))
		m.eventuallyFrom(ctx, "v1")
		a, err := m.ask(ctx, "outsider", 10)
		Expect(err).NotTo(HaveOccurred())
		Expect(a.routed).To(BeZero(), "who left the mesh has no routes")

		m.unroute(ctx)
	})

	It("loses no request while a route comes, changes and goes", func(ctx SpecContext) {
		m := newMesh(ctx)
		for _, backend := range []string{"v2", "v1"} { // both can be reached before it begins
			m.route(ctx, to(backend))
			m.eventuallyFrom(ctx, backend)
		}
		const total = 6000
		done := make(chan answers, 1)
		go func() {
			defer GinkgoRecover()
			a, err := m.ask(ctx, "client", total, "--qps=300", "--timeout=60s")
			Expect(err).NotTo(HaveOccurred())
			done <- a
		}()
		changes := 0
		for ; len(done) == 0; changes++ {
			if changes%5 == 4 {
				m.unroute(ctx)
				continue
			}
			backend := []string{"v2", "v1"}[changes%2]
			m.route(ctx, to(backend))
			m.eventuallyFrom(ctx, backend)
		}
		a := <-done
		AddReportEntry("load", fmt.Sprintf("%v, %d routed, %d changes", a.statuses, a.routed, changes))
		Expect(a.statuses).To(Equal(map[string]int{"200": total}))
		Expect(a.backends).To(And(HaveKeyWithValue("v1", BeNumerically(">", total/10)), HaveKeyWithValue("v2", BeNumerically(">", total/10))))
		Expect(a.routed).To(And(BeNumerically(">", total/2), BeNumerically("<", total)))
	})

	It("goes on without the controller, and takes no pod in until it is back", func(ctx SpecContext) {
		m := newMesh(ctx)
		m.route(ctx, to("v1"))
		m.eventuallyFrom(ctx, "v1")
		restore := scaleControllers(ctx, 0)
		Eventually(func() int { return len(controllerPods(ctx)) }).WithContext(ctx).Should(BeZero())
		m.eventuallyFrom(ctx, "v1")

		pod := bare(m.namespace, "late")
		err := cluster.Create(ctx, pod.DeepCopy())
		Expect(err).To(MatchError(ContainSubstring("pods.citoroute.io")), "a pod without its sidecar would leave the routes out")
		outsider := bare(m.namespace, "late-outsider")
		outsider.Labels = map[string]string{labelInjection: "disabled"}
		Expect(cluster.Create(ctx, outsider)).To(Succeed())

		restore(ctx)
		cluster.requireController(ctx)
		Eventually(func() error { return cluster.Create(ctx, pod.DeepCopy()) }).WithContext(ctx).Should(Succeed())
		Expect(sidecars(getPod(ctx, pod))).To(Equal(1))
		m.eventuallyFrom(ctx, "v1")
	})

	It("leaves the proxies of Gateways alone, and they serve what is in the mesh", func(ctx SpecContext) {
		m := mesh{cluster.meshed(ctx)}
		cluster.apply(ctx, m.namespace, "echo.yaml")
		cluster.deploymentsReady(ctx, m.namespace)
		eventuallyServed(ctx, "http://"+cluster.gatewayAddress(ctx, m.namespace, "edge"), "v1")
		Expect(sidecars(m.pod(ctx, "v1"))).To(Equal(1))
		var proxies corev1.PodList
		Expect(cluster.List(ctx, &proxies, client.InNamespace(m.namespace), client.MatchingLabels{gatewayNameLabel: "edge"})).To(Succeed())
		Expect(proxies.Items).NotTo(BeEmpty())
		Expect(sidecars(proxies.Items[0])).To(BeZero())
	})

	It("routes no more for a namespace that left it", func(ctx SpecContext) {
		m := newMesh(ctx)
		m.route(ctx, to("v1"))
		m.eventuallyFrom(ctx, "v1")
		cluster.inject(ctx, m.namespace, "null")
		m.eventuallyUnrouted(ctx)
		cluster.inject(ctx, m.namespace, `"enabled"`)
		Eventually(func(g Gomega) {
			a, err := m.ask(ctx, "client", 5, "--new-connection-per-request")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(a.routed).To(Equal(5))
		}).WithContext(ctx).Should(Succeed())
	})

	It("takes pods in while the controller is replaced", func(ctx SpecContext) {
		m := mesh{cluster.meshed(ctx)}
		var deployment appsv1.Deployment
		Expect(cluster.Get(ctx, client.ObjectKey{Namespace: controllerNamespace, Name: "citoroute-controller"}, &deployment)).To(Succeed())
		restart := `{"spec":{"template":{"metadata":{"annotations":{"e2e":"` + m.namespace + `"}}}}}`
		Expect(cluster.Patch(ctx, &deployment, client.RawPatch("application/merge-patch+json", []byte(restart)))).To(Succeed())
		asked := 0
		for ; !rolledOut(ctx); asked++ {
			pod := bare(m.namespace, fmt.Sprintf("try-%d", asked))
			Expect(cluster.Create(ctx, pod, client.DryRunAll)).To(Succeed(), "after %d", asked)
			Expect(sidecars(*pod)).To(Equal(1))
		}
		AddReportEntry("pods", fmt.Sprintf("%d admitted", asked))
		Expect(asked).To(BeNumerically(">", 20))
	})

	It("ends the sidecars of a Job with it", func(ctx SpecContext) {
		m := newMesh(ctx)
		pod := bare(m.namespace, "once")
		pod.Spec.RestartPolicy = corev1.RestartPolicyNever
		pod.Spec.Containers[0].Command = []string{"client", "http://shop/"}
		Expect(cluster.Create(ctx, pod)).To(Succeed())
		Eventually(func() corev1.PodPhase { return getPod(ctx, pod).Status.Phase }).WithContext(ctx).Should(Equal(corev1.PodSucceeded))
	})
})

// rolledOut says that only new pods of the controller are left.
func rolledOut(ctx context.Context) bool {
	GinkgoHelper()
	var d appsv1.Deployment
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: controllerNamespace, Name: "citoroute-controller"}, &d)).To(Succeed())
	return d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == *d.Spec.Replicas &&
		len(controllerPods(ctx)) == int(*d.Spec.Replicas)
}

// sidecars counts the native sidecars of a pod.
func sidecars(pod corev1.Pod) int {
	n := 0
	for _, c := range pod.Spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			n++
		}
	}
	return n
}

func bare(namespace, name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "app", Image: "registry.k8s.io/gateway-api/conformance/echo-advanced:v0.1.0",
		}}},
	}
}

func getPod(ctx context.Context, pod *corev1.Pod) corev1.Pod {
	GinkgoHelper()
	var out corev1.Pod
	Expect(cluster.Get(ctx, client.ObjectKeyFromObject(pod), &out)).To(Succeed())
	return out
}
