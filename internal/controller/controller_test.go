package controller

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/porttest"
)

func className(name string, controller gatewayv1.GatewayController) *gatewayv1.GatewayClass {
	return &gatewayv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: gatewayv1.GatewayClassSpec{ControllerName: controller},
	}
}

func newGateway(namespace, name, class string) *gatewayv1.Gateway {
	return &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: gatewayv1.GatewaySpec{
			GatewayClassName: gatewayv1.ObjectName(class),
			Listeners:        []gatewayv1.Listener{{Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType}},
		},
	}
}

func newRoute(namespace, name, gateway, host string) *gatewayv1.HTTPRoute {
	return &gatewayv1.HTTPRoute{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: gatewayv1.HTTPRouteSpec{
			CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{Name: gatewayv1.ObjectName(gateway)}}},
			Hostnames:       []gatewayv1.Hostname{gatewayv1.Hostname(host)},
			Rules: []gatewayv1.HTTPRouteRule{{Filters: []gatewayv1.HTTPRouteFilter{{
				Type:            gatewayv1.HTTPRouteFilterRequestRedirect,
				RequestRedirect: &gatewayv1.HTTPRequestRedirectFilter{StatusCode: new(302)},
			}}}},
		},
	}
}

// condition returns "<status> <reason>" of a Gateway's condition.
func condition(ctx context.Context, gateway *gatewayv1.Gateway, kind gatewayv1.GatewayConditionType) func() string {
	return func() string {
		now := gateway.DeepCopy()
		if err := suite.client.Get(ctx, client.ObjectKeyFromObject(gateway), now); err != nil {
			return err.Error()
		}
		c := meta.FindStatusCondition(now.Status.Conditions, string(kind))
		if c == nil || c.ObservedGeneration != now.Generation {
			return ""
		}
		return string(c.Status) + " " + c.Reason
	}
}

// addresses returns the values of a Gateway's status.addresses.
func addresses(ctx context.Context, gateway *gatewayv1.Gateway) func() ([]string, error) {
	return func() ([]string, error) {
		now := gateway.DeepCopy()
		err := suite.client.Get(ctx, client.ObjectKeyFromObject(gateway), now)
		var out []string
		for _, a := range now.Status.Addresses {
			out = append(out, a.Value)
		}
		return out, err
	}
}

// parents returns the controllers that speak in a route's status.
func parents(ctx context.Context, route *gatewayv1.HTTPRoute) func() []string {
	return func() []string {
		now := route.DeepCopy()
		if err := suite.client.Get(ctx, client.ObjectKeyFromObject(route), now); err != nil {
			return []string{err.Error()}
		}
		var out []string
		for _, p := range now.Status.Parents {
			accepted := meta.IsStatusConditionTrue(p.Conditions, string(gatewayv1.RouteConditionAccepted))
			if accepted {
				out = append(out, string(p.ControllerName))
			}
		}
		return out
	}
}

func ownedObjects(key types.NamespacedName) []client.Object {
	m := metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}
	return []client.Object{
		&appsv1.Deployment{ObjectMeta: m}, &corev1.Service{ObjectMeta: m}, &corev1.ServiceAccount{ObjectMeta: m},
		&corev1.ConfigMap{ObjectMeta: m}, &policyv1.PodDisruptionBudget{ObjectMeta: m},
	}
}

var _ = Describe("The controller", Ordered, func() {
	BeforeAll(func(ctx SpecContext) {
		Expect(suite.client.Create(ctx, className("citoroute", DefaultControllerName))).To(Succeed())
		Expect(suite.client.Create(ctx, className("foreign", "example.com/other"))).To(Succeed())
	})

	It("accepts its own GatewayClass and leaves others alone", func(ctx SpecContext) {
		accepted := func(name string) func() bool {
			return func() bool {
				class := className(name, "")
				if err := suite.client.Get(ctx, client.ObjectKeyFromObject(class), class); err != nil {
					return false
				}
				return meta.IsStatusConditionTrue(class.Status.Conditions, string(gatewayv1.GatewayClassConditionStatusAccepted))
			}
		}
		Eventually(accepted("citoroute")).Should(BeTrue())
		Consistently(accepted("foreign")).Should(BeFalse())
	})

	It("builds a Gateway's infrastructure and mends what drifts", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		gateway := newGateway(ns, "web", "citoroute")
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		key := types.NamespacedName{Namespace: ns, Name: "web-citoroute"}
		for _, o := range ownedObjects(key) {
			Eventually(get(ctx, o)).Should(HaveField("ObjectMeta.OwnerReferences", ConsistOf(HaveField("UID", gateway.UID))), "%T", o)
		}
		Eventually(condition(ctx, gateway, gatewayv1.GatewayConditionAccepted)).Should(Equal("True Accepted"))

		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: key.Name}}
		Expect(suite.client.Delete(ctx, service)).To(Succeed())
		Eventually(get(ctx, service)).Should(HaveField("DeletionTimestamp", BeNil()))

		deployment := &appsv1.Deployment{}
		Expect(suite.client.Get(ctx, key, deployment)).To(Succeed())
		deployment.Spec.Template.Spec.Containers[0].Image = "evil"
		deployment.Spec.Replicas = new(int32(7))
		Expect(suite.client.Update(ctx, deployment)).To(Succeed())
		Eventually(get(ctx, deployment)).Should(HaveField("Spec.Template.Spec.Containers", ConsistOf(HaveField("Image", "citoroute/proxy:test"))))
		Expect(*deployment.Spec.Replicas).To(Equal(int32(7)), "scaling belongs to others")
	})

	It("opens and closes ports with the listeners", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		gateway := newGateway(ns, "web", "citoroute")
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web-citoroute"}}
		Eventually(get(ctx, service)).Should(HaveField("Spec.Ports", ConsistOf(HaveField("Port", int32(80)))))
		Eventually(func() error {
			if err := suite.client.Get(ctx, client.ObjectKeyFromObject(gateway), gateway); err != nil {
				return err
			}
			gateway.Spec.Listeners = []gatewayv1.Listener{{Name: "other", Port: 8090, Protocol: gatewayv1.HTTPProtocolType}}
			return suite.client.Update(ctx, gateway)
		}).Should(Succeed())
		Eventually(get(ctx, service)).Should(HaveField("Spec.Ports", ConsistOf(HaveField("Port", int32(8090)))))
	})

	It("says Programmed when a proxy serves, and why not when it refuses", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		gateway := newGateway(ns, "web", "citoroute")
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		key := types.NamespacedName{Namespace: ns, Name: "web-citoroute"}
		Eventually(condition(ctx, gateway, gatewayv1.GatewayConditionProgrammed)).Should(HavePrefix("False"))
		proxy := connectProxy(ctx, "gateway/"+ns+"/web", key, key)
		Eventually(proxy.count).WithArguments(ir.TypeListener).Should(Equal(1))
		Consistently(condition(ctx, gateway, gatewayv1.GatewayConditionProgrammed)).Should(HavePrefix("False"), "there is no address")
		playCluster(ctx, key, "192.0.2.1")
		Eventually(condition(ctx, gateway, gatewayv1.GatewayConditionProgrammed)).Should(Equal("True Programmed"))
		Expect(suite.client.Get(ctx, client.ObjectKeyFromObject(gateway), gateway)).To(Succeed())
		Expect(gateway.Status.Addresses).To(ConsistOf(HaveField("Value", "192.0.2.1")))

		flips := watchFlips(ctx, gateway.DeepCopy())
		gateway.Spec.Listeners[0].Port = 81
		Expect(suite.client.Update(ctx, gateway)).To(Succeed())
		Eventually(condition(ctx, gateway, gatewayv1.GatewayConditionProgrammed)).Should(Equal("True Programmed"))
		Expect(flips()).To(BeZero(), "Programmed does not flap while a proxy takes a change in")
		Expect(suite.client.Get(ctx, client.ObjectKeyFromObject(gateway), gateway)).To(Succeed())

		proxy.refuse(errors.New("port 80 is taken"))
		gateway.Spec.Listeners = append(gateway.Spec.Listeners, gatewayv1.Listener{Name: "more", Port: 8080, Protocol: gatewayv1.HTTPProtocolType})
		Expect(suite.client.Update(ctx, gateway)).To(Succeed())
		Eventually(condition(ctx, gateway, gatewayv1.GatewayConditionProgrammed)).Should(HavePrefix("False"))
		Expect(suite.client.Get(ctx, client.ObjectKeyFromObject(gateway), gateway)).To(Succeed())
		Expect(meta.FindStatusCondition(gateway.Status.Conditions, string(gatewayv1.GatewayConditionProgrammed)).Message).To(ContainSubstring("port 80 is taken"))
	})

	It("uses each requested address that the cluster has, and says which it has not", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		gateway := newGateway(ns, "web", "citoroute")
		// The API server has no IPv6: it refuses a Service for the second address.
		gateway.Spec.Addresses = []gatewayv1.GatewaySpecAddress{{Value: "192.0.2.1"}, {Value: "2001:db8::1"}, {Value: "192.0.2.3"}}
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		names := infra.ServiceNames(gateway)
		Expect(names).To(HaveLen(3))
		for name, address := range map[string]string{names[0]: "192.0.2.1", names[2]: "192.0.2.3"} {
			service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
			Eventually(get(ctx, service)).Should(HaveField("Spec.LoadBalancerIP", address))
			assign(ctx, client.ObjectKeyFromObject(service), address)
		}
		Eventually(addresses(ctx, gateway)).Should(ConsistOf("192.0.2.1", "192.0.2.3"))
		Expect(condition(ctx, gateway, gatewayv1.GatewayConditionProgrammed)()).To(Equal("False AddressNotUsable"))

		Eventually(func() error {
			if err := suite.client.Get(ctx, client.ObjectKeyFromObject(gateway), gateway); err != nil {
				return err
			}
			gateway.Spec.Addresses = gateway.Spec.Addresses[:1]
			return suite.client.Update(ctx, gateway)
		}).Should(Succeed())
		Eventually(addresses(ctx, gateway)).Should(ConsistOf("192.0.2.1"))
		Eventually(condition(ctx, gateway, gatewayv1.GatewayConditionProgrammed)).Should(Equal("False Pending"), "there is no proxy")
		Eventually(func() ([]corev1.Service, error) {
			list := &corev1.ServiceList{}
			err := suite.client.List(ctx, list, client.InNamespace(ns))
			return list.Items, err
		}).Should(ConsistOf(HaveField("Name", names[0])))
	})

	It("gives a proxy nothing but its own Gateway's configuration", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		for _, name := range []string{"mine", "yours"} {
			Expect(suite.client.Create(ctx, newGateway(ns, name, "citoroute"))).To(Succeed())
		}
		mine, yours := types.NamespacedName{Namespace: ns, Name: "mine-citoroute"}, types.NamespacedName{Namespace: ns, Name: "yours-citoroute"}
		for _, key := range []types.NamespacedName{mine, yours} {
			Eventually(get(ctx, ownedObjects(key)[2])).ShouldNot(BeNil())
		}
		honest := connectProxy(ctx, "gateway/"+ns+"/mine", mine, mine)
		curious := connectProxy(ctx, "gateway/"+ns+"/yours", mine, yours)
		Eventually(honest.count).WithArguments(ir.TypeListener).Should(Equal(1))
		Consistently(curious.count).WithArguments(ir.TypeListener).Should(BeZero())
	})

	It("reports on routes beside others' reports", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		Expect(suite.client.Create(ctx, newGateway(ns, "web", "citoroute"))).To(Succeed())
		Expect(suite.client.Create(ctx, newGateway(ns, "theirs", "foreign"))).To(Succeed())
		route := newRoute(ns, "r", "web", "a.example.com")
		route.Spec.ParentRefs = append(route.Spec.ParentRefs, gatewayv1.ParentReference{Name: "theirs"})
		Expect(suite.client.Create(ctx, route)).To(Succeed())
		Eventually(parents(ctx, route)).Should(ConsistOf(DefaultControllerName))
		Eventually(func() error {
			if err := suite.client.Get(ctx, client.ObjectKeyFromObject(route), route); err != nil {
				return err
			}
			route.Status.Parents = append(route.Status.Parents, gatewayv1.RouteParentStatus{
				ParentRef: gatewayv1.ParentReference{Name: "theirs"}, ControllerName: "example.com/other",
				Conditions: []metav1.Condition{{
					Type: string(gatewayv1.RouteConditionAccepted), Status: metav1.ConditionTrue, Reason: "Accepted",
					LastTransitionTime: metav1.NewTime(time.Now()),
				}},
			})
			return suite.client.Status().Update(ctx, route)
		}).Should(Succeed())
		route.Spec.Hostnames = []gatewayv1.Hostname{"b.example.com"}
		Expect(suite.client.Update(ctx, route)).To(Succeed())
		Eventually(func(g Gomega) {
			now := route.DeepCopy()
			g.Expect(suite.client.Get(ctx, client.ObjectKeyFromObject(route), now)).To(Succeed())
			g.Expect(now.Status.Parents).To(ContainElement(HaveField("Conditions", ContainElement(HaveField("ObservedGeneration", now.Generation)))))
		}).Should(Succeed())
		Expect(parents(ctx, route)()).To(ConsistOf(DefaultControllerName, "example.com/other"))
		theirs := newGateway(ns, "theirs", "foreign")
		Expect(condition(ctx, theirs, gatewayv1.GatewayConditionAccepted)()).NotTo(HavePrefix("True"))
		Expect(suite.client.Get(ctx, types.NamespacedName{Namespace: ns, Name: "theirs-foreign"}, &appsv1.Deployment{})).NotTo(Succeed())
	})

	It("keeps the proxies when only their GatewayClass went, and not when it is another's", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		class := className("short-lived", DefaultControllerName)
		Expect(suite.client.Create(ctx, class)).To(Succeed())
		Expect(suite.client.Create(ctx, newGateway(ns, "web", "short-lived"))).To(Succeed())
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web-short-lived"}}
		Eventually(get(ctx, deployment)).ShouldNot(BeNil())
		Expect(suite.client.Delete(ctx, class)).To(Succeed())
		Consistently(get(ctx, deployment)).Should(HaveField("DeletionTimestamp", BeNil()))
		Expect(suite.client.Create(ctx, className("short-lived", "example.com/other"))).To(Succeed())
		Eventually(func() error { return suite.client.Get(ctx, client.ObjectKeyFromObject(deployment), deployment) }).ShouldNot(Succeed())
	})

	It("takes nothing over that others made", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		theirs := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web-citoroute"},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1234}}},
		}
		Expect(suite.client.Create(ctx, theirs)).To(Succeed())
		gateway := newGateway(ns, "web", "citoroute")
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		Eventually(func() ([]eventsv1.Event, error) {
			list := &eventsv1.EventList{}
			err := suite.client.List(ctx, list, client.InNamespace(ns))
			return list.Items, err
		}).Should(ContainElement(HaveField("Note", ContainSubstring("Service "+ns+"/web-citoroute exists"))))
		Expect(get(ctx, theirs)()).To(HaveField("Spec.Ports", ConsistOf(HaveField("Port", int32(1234)))))
	})

	It("converges after it was stopped in the middle of a change", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		Expect(suite.client.Create(ctx, newGateway(ns, "web", "citoroute"))).To(Succeed())
		Expect(suite.client.Create(ctx, newRoute(ns, "old", "web", "old.example.com"))).To(Succeed())
		key := types.NamespacedName{Namespace: ns, Name: "web-citoroute"}
		proxy := connectProxy(ctx, "gateway/"+ns+"/web", waitForAccount(ctx, key), key)
		Eventually(proxy.hosts).Should(ConsistOf("old.example.com"))

		route := newRoute(ns, "new", "web", "new.example.com")
		Expect(suite.client.Create(ctx, route)).To(Succeed())
		suite.stop()
		Expect(suite.client.Delete(ctx, newRoute(ns, "old", "web", ""))).To(Succeed())
		late := newGateway(ns, "late", "citoroute")
		Expect(suite.client.Create(ctx, late)).To(Succeed())
		Expect(proxy.hosts()).To(ContainElement("old.example.com"), "a proxy goes on without a controller")

		startController()
		Eventually(proxy.hosts).Should(ConsistOf("new.example.com"))
		Eventually(parents(ctx, route)).Should(ConsistOf(DefaultControllerName))
		Eventually(condition(ctx, late, gatewayv1.GatewayConditionAccepted)).Should(Equal("True Accepted"))
	})

	It("serves from a replica that does not lead", func(ctx SpecContext) {
		address := porttest.Address(GinkgoTB())
		stop := startReplica(address, porttest.Address(GinkgoTB()))
		defer stop()
		ns := newNamespace(ctx)
		gateway := newGateway(ns, "web", "citoroute")
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		key := types.NamespacedName{Namespace: ns, Name: "web-citoroute"}
		proxy := connectProxyTo(ctx, address, "gateway/"+ns+"/web", waitForAccount(ctx, key), key)
		Eventually(proxy.count).WithArguments(ir.TypeListener).Should(Equal(1))
		playCluster(ctx, key, "192.0.2.1")
		Eventually(condition(ctx, gateway, gatewayv1.GatewayConditionProgrammed)).Should(Equal("True Programmed"))
	})

	It("says what a proxy refuses at a replica that does not lead", func(ctx SpecContext) {
		address := porttest.Address(GinkgoTB())
		stop := startReplica(address, porttest.Address(GinkgoTB()), func(o *Options) { o.PodName, o.PodUID = "second", "uid" })
		ns := newNamespace(ctx)
		gateway := newGateway(ns, "web", "citoroute")
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		key := types.NamespacedName{Namespace: ns, Name: "web-citoroute"}
		proxy := connectProxyTo(ctx, address, "gateway/"+ns+"/web", waitForAccount(ctx, key), key)
		Eventually(proxy.count).WithArguments(ir.TypeListener).Should(Equal(1))
		playCluster(ctx, key, "192.0.2.1")
		programmed := condition(ctx, gateway, gatewayv1.GatewayConditionProgrammed)
		Eventually(programmed).Should(Equal("True Programmed"))
		setPort := func(port gatewayv1.PortNumber) {
			Eventually(func() error {
				if err := suite.client.Get(ctx, client.ObjectKeyFromObject(gateway), gateway); err != nil {
					return err
				}
				gateway.Spec.Listeners[0].Port = port
				return suite.client.Update(ctx, gateway)
			}).Should(Succeed())
		}

		proxy.refuse(errors.New("port 81 is taken"))
		setPort(81)
		Eventually(programmed).Should(Equal("False Invalid"))
		Expect(suite.client.Get(ctx, client.ObjectKeyFromObject(gateway), gateway)).To(Succeed())
		Expect(meta.FindStatusCondition(gateway.Status.Conditions, "Programmed").Message).To(ContainSubstring("port 81 is taken"))

		proxy.refuse(nil)
		setPort(82)
		Eventually(programmed).Should(Equal("True Programmed"))

		proxy.refuse(errors.New("port 83 is taken"))
		setPort(83)
		Eventually(programmed).Should(Equal("False Invalid"))
		stop()
		// What the garbage collector does when the Pod is gone.
		left := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ownNamespace, Name: "second-refusals"}}
		Expect(client.IgnoreNotFound(suite.client.Delete(ctx, left))).To(Succeed())
		Eventually(programmed).Should(Equal("True Programmed"))
	})

	It("works without an optional kind and takes it in when it is installed", func(ctx SpecContext) {
		_, err := envtest.InstallCRDs(suite.config, envtest.CRDInstallOptions{
			Paths: []string{filepath.Join(suite.crds, absentAtFirst)}, ErrorIfPathMissing: true,
		})
		Expect(err).NotTo(HaveOccurred())
		ns := newNamespace(ctx)
		gateway := newGateway(ns, "web", "citoroute")
		gateway.Spec.AllowedListeners = &gatewayv1.AllowedListeners{Namespaces: &gatewayv1.ListenerNamespaces{From: new(gatewayv1.NamespacesFromSame)}}
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		set := &gatewayv1.ListenerSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "more"},
			Spec: gatewayv1.ListenerSetSpec{
				ParentRef: gatewayv1.ParentGatewayReference{Name: "web"},
				Listeners: []gatewayv1.ListenerEntry{{Name: "extra", Port: 8090, Protocol: gatewayv1.HTTPProtocolType}},
			},
		}
		Eventually(func() error { return suite.client.Create(ctx, set) }).Should(Succeed())
		Eventually(func() bool {
			now := set.DeepCopy()
			return suite.client.Get(ctx, client.ObjectKeyFromObject(set), now) == nil &&
				meta.IsStatusConditionTrue(now.Status.Conditions, string(gatewayv1.ListenerSetConditionAccepted))
		}).Should(BeTrue())
		service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web-citoroute"}}
		Eventually(get(ctx, service)).Should(HaveField("Spec.Ports", ConsistOf(HaveField("Port", int32(80)), HaveField("Port", int32(8090)))))
	})
})

// watchFlips counts how often a Gateway is seen not programmed from now on,
// until the count is asked for.
func watchFlips(ctx context.Context, gateway *gatewayv1.Gateway) func() int {
	GinkgoHelper()
	w, err := suite.client.Watch(ctx, &gatewayv1.GatewayList{}, client.InNamespace(gateway.Namespace))
	Expect(err).NotTo(HaveOccurred())
	flips, last := 0, make(chan struct{})
	go func() {
		defer close(last)
		for event := range w.ResultChan() {
			seen, ok := event.Object.(*gatewayv1.Gateway)
			if !ok {
				continue
			}
			c := meta.FindStatusCondition(seen.Status.Conditions, string(gatewayv1.GatewayConditionProgrammed))
			switch {
			case c == nil || c.Status != metav1.ConditionTrue:
				flips++
			case c.ObservedGeneration > gateway.Generation:
				return
			}
		}
	}()
	return func() int {
		GinkgoHelper()
		Eventually(last).Should(BeClosed())
		w.Stop()
		return flips
	}
}

// waitForAccount waits until a Gateway's ServiceAccount is there.
func waitForAccount(ctx context.Context, key types.NamespacedName) types.NamespacedName {
	GinkgoHelper()
	Eventually(get(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}})).ShouldNot(BeNil())
	return key
}
