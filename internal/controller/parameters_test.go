package controller

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// newParametrized returns parameters and a Gateway that names them.
func newParametrized(ns string, spec v1alpha1.GatewayParametersSpec) (*v1alpha1.GatewayParameters, *gatewayv1.Gateway) {
	parameters := &v1alpha1.GatewayParameters{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "size"}, Spec: spec}
	gateway := newGateway(ns, "web", "sized")
	gateway.Spec.Infrastructure = &gatewayv1.GatewayInfrastructure{ParametersRef: &gatewayv1.LocalParametersReference{
		Group: v1alpha1.GroupName, Kind: "GatewayParameters", Name: parameters.Name,
	}}
	return parameters, gateway
}

// change updates parameters.
func change(ctx context.Context, parameters *v1alpha1.GatewayParameters, by func(*v1alpha1.GatewayParametersSpec)) {
	GinkgoHelper()
	Expect(suite.client.Get(ctx, client.ObjectKeyFromObject(parameters), parameters)).To(Succeed())
	by(&parameters.Spec)
	Expect(suite.client.Update(ctx, parameters)).To(Succeed())
}

// classCondition returns "<status> <reason>: <message>" of a class's Accepted.
func classCondition(ctx context.Context, class *gatewayv1.GatewayClass) func() string {
	return func() string {
		now := &gatewayv1.GatewayClass{}
		if err := suite.client.Get(ctx, client.ObjectKeyFromObject(class), now); err != nil {
			return err.Error()
		}
		c := meta.FindStatusCondition(now.Status.Conditions, string(gatewayv1.GatewayClassConditionStatusAccepted))
		if c == nil {
			return ""
		}
		return string(c.Status) + " " + c.Reason + ": " + c.Message
	}
}

var _ = Describe("GatewayParameters", Ordered, func() {
	ofClass := &v1alpha1.GatewayParameters{ObjectMeta: metav1.ObjectMeta{Namespace: ownNamespace, Name: "sized"}}
	class := className("sized", DefaultControllerName)
	class.Spec.ParametersRef = &gatewayv1.ParametersReference{
		Group: v1alpha1.GroupName, Kind: "GatewayParameters", Name: ofClass.Name, Namespace: new(gatewayv1.Namespace(ownNamespace)),
	}

	BeforeAll(func(ctx SpecContext) {
		Expect(suite.client.Create(ctx, class)).To(Succeed())
		Eventually(classCondition(ctx, class)).Should(HavePrefix("False InvalidParameters: spec.parametersRef: GatewayParameters citoroute-system/sized does not exist"))
		ofClass.Spec.Service.Type = v1alpha1.ServiceType(corev1.ServiceTypeNodePort)
		ofClass.Spec.Service.NodePorts = []v1alpha1.NodePort{{Port: 443, NodePort: 30443}}
		ofClass.Spec.Deployment.Labels = v1alpha1.Labels{"of": "class"}
		Expect(suite.client.Create(ctx, ofClass)).To(Succeed())
		Eventually(classCondition(ctx, class)).Should(HavePrefix("True Accepted"))
	})

	It("make Deployments and Services, and changes of them change those", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		parameters, gateway := newParametrized(ns, v1alpha1.GatewayParametersSpec{
			Deployment: v1alpha1.ProxyDeployment{Replicas: new(int32(2)), PriorityClassName: "edge"},
			Service:    v1alpha1.ProxyService{NodePorts: []v1alpha1.NodePort{{Port: 80, NodePort: 30180}}},
		})
		Expect(suite.client.Create(ctx, parameters)).To(Succeed())
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		m := metav1.ObjectMeta{Namespace: ns, Name: "web-sized"}
		deployment, service := &appsv1.Deployment{ObjectMeta: m}, &corev1.Service{ObjectMeta: m}
		Eventually(get(ctx, deployment)).Should(And(
			HaveField("Spec.Replicas", HaveValue(Equal(int32(2)))),
			HaveField("Spec.Template.Spec.PriorityClassName", "edge"),
			HaveField("Spec.Template.Labels", HaveKeyWithValue("of", "class"))))
		Eventually(get(ctx, service)).Should(And(
			HaveField("Spec.Type", corev1.ServiceTypeNodePort),
			HaveField("Spec.Ports", ConsistOf(HaveField("NodePort", int32(30180))))))

		change(ctx, parameters, func(s *v1alpha1.GatewayParametersSpec) {
			s.Service.Type = v1alpha1.ServiceType(corev1.ServiceTypeClusterIP)
			s.Service.NodePorts = nil
			s.Deployment.PriorityClassName = ""
		})
		Eventually(get(ctx, service)).Should(And(
			HaveField("Spec.Type", corev1.ServiceTypeClusterIP),
			HaveField("Spec.Ports", ConsistOf(HaveField("NodePort", BeZero())))))
		Eventually(get(ctx, deployment)).Should(HaveField("Spec.Template.Spec.PriorityClassName", BeEmpty()))
		Expect(condition(ctx, gateway, gatewayv1.GatewayConditionAccepted)()).To(Equal("True Accepted"))
	})

	It("say how many proxies there are, or an autoscaler does, or nobody", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		parameters, gateway := newParametrized(ns, v1alpha1.GatewayParametersSpec{Deployment: v1alpha1.ProxyDeployment{Replicas: new(int32(3))}})
		Expect(suite.client.Create(ctx, parameters)).To(Succeed())
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		m := metav1.ObjectMeta{Namespace: ns, Name: "web-sized"}
		deployment, scaler := &appsv1.Deployment{ObjectMeta: m}, &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: m}
		replicas := func(n int32) OmegaMatcher { return HaveField("Spec.Replicas", HaveValue(Equal(n))) }
		scale := func(n int32) {
			GinkgoHelper()
			by := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n))
			Expect(suite.client.SubResource("scale").Patch(ctx, deployment.DeepCopy(), by)).To(Succeed())
		}
		Eventually(get(ctx, deployment)).Should(replicas(3))
		scale(7)
		Eventually(get(ctx, deployment)).Should(replicas(3), "the parameters say so")

		change(ctx, parameters, func(s *v1alpha1.GatewayParametersSpec) {
			s.Deployment.Replicas, s.Deployment.Autoscaling = nil, &v1alpha1.Autoscaling{MinReplicas: new(int32(2)), MaxReplicas: 9}
		})
		Eventually(get(ctx, scaler)).Should(And(
			HaveField("Spec.MaxReplicas", int32(9)), HaveField("OwnerReferences", ConsistOf(HaveField("UID", gateway.UID)))))
		Expect(get(ctx, deployment)()).To(replicas(3), "it goes on from what there is")
		scale(8)
		change(ctx, parameters, func(s *v1alpha1.GatewayParametersSpec) { s.Deployment.PriorityClassName = "edge" })
		Eventually(get(ctx, deployment)).Should(HaveField("Spec.Template.Spec.PriorityClassName", "edge"))
		Expect(*deployment.Spec.Replicas).To(Equal(int32(8)), "scaling belongs to the autoscaler")

		theirs := scaler.DeepCopy()
		theirs.ObjectMeta = metav1.ObjectMeta{Namespace: ns, Name: "theirs", Labels: scaler.Labels}
		Expect(suite.client.Create(ctx, theirs)).To(Succeed())
		change(ctx, parameters, func(s *v1alpha1.GatewayParametersSpec) { s.Deployment.Autoscaling = nil })
		Eventually(isGone(ctx, scaler)).Should(BeTrue())
		Expect(isGone(ctx, theirs)()).To(BeFalse(), "somebody else made it")
		Expect(get(ctx, deployment)()).To(replicas(8))

		change(ctx, parameters, func(s *v1alpha1.GatewayParametersSpec) { s.Deployment.Replicas = new(int32(4)) })
		Eventually(get(ctx, deployment)).Should(replicas(4))
		change(ctx, parameters, func(s *v1alpha1.GatewayParametersSpec) {
			s.Deployment.Replicas, s.Deployment.PriorityClassName = nil, ""
		})
		Eventually(get(ctx, deployment)).Should(HaveField("Spec.Template.Spec.PriorityClassName", BeEmpty()))
		Expect(*deployment.Spec.Replicas).To(Equal(int32(4)), "what was said is not taken back")
	})

	It("that the cluster refuses are said in the Gateway's status", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		parameters, gateway := newParametrized(ns, v1alpha1.GatewayParametersSpec{
			Service: v1alpha1.ProxyService{NodePorts: []v1alpha1.NodePort{{Port: 80, NodePort: 80}}},
		})
		Expect(suite.client.Create(ctx, parameters)).To(Succeed())
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		programmed := condition(ctx, gateway, gatewayv1.GatewayConditionProgrammed)
		Eventually(programmed).Should(Equal("False Invalid"))
		Expect(suite.client.Get(ctx, client.ObjectKeyFromObject(gateway), gateway)).To(Succeed())
		Expect(meta.FindStatusCondition(gateway.Status.Conditions, "Programmed").Message).To(ContainSubstring("spec.ports[0].nodePort"))

		change(ctx, parameters, func(s *v1alpha1.GatewayParametersSpec) { s.Service.NodePorts = nil })
		Eventually(programmed).Should(Equal("False Pending"), "there is no proxy, but an address")
	})

	It("leave what runs as it is when they are gone", func(ctx SpecContext) {
		ns := newNamespace(ctx)
		parameters, gateway := newParametrized(ns, v1alpha1.GatewayParametersSpec{Deployment: v1alpha1.ProxyDeployment{Replicas: new(int32(2))}})
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		accepted := condition(ctx, gateway, gatewayv1.GatewayConditionAccepted)
		Eventually(accepted).Should(Equal("False InvalidParameters"))
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web-sized"}}
		Consistently(isGone(ctx, deployment)).Should(BeTrue(), "nothing is made by guess")

		Expect(suite.client.Create(ctx, parameters)).To(Succeed())
		Eventually(accepted).Should(Equal("True Accepted"))
		Eventually(get(ctx, deployment)).Should(HaveField("Spec.Replicas", HaveValue(Equal(int32(2)))))
		before := deployment.ResourceVersion

		Expect(suite.client.Delete(ctx, parameters)).To(Succeed())
		Eventually(accepted).Should(Equal("False InvalidParameters"))
		Consistently(get(ctx, deployment)).Should(HaveField("ResourceVersion", before))
	})
})
