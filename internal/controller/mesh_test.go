package controller

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	xv1alpha1 "sigs.k8s.io/gateway-api/apisx/v1alpha1"
	"sigs.k8s.io/yaml"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/bootstrap"
	"github.com/citoroute/citoroute/internal/controller/authority"
	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/ir"
)

// newMeshedNamespace makes a namespace of the mesh for one spec.
func newMeshedNamespace(ctx context.Context) string {
	GinkgoHelper()
	name := newNamespace(ctx)
	label(ctx, name, v1alpha1.InjectionEnabled)
	return name
}

// label changes the injection label of a namespace; "": takes it away.
func label(ctx context.Context, namespace, value string) {
	GinkgoHelper()
	patch := map[string]any{"metadata": map[string]any{"labels": map[string]any{v1alpha1.LabelInjection: value}}}
	if value == "" {
		patch["metadata"] = map[string]any{"labels": map[string]any{v1alpha1.LabelInjection: nil}}
	}
	b, err := json.Marshal(patch)
	Expect(err).NotTo(HaveOccurred())
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	Expect(suite.client.Patch(ctx, ns, client.RawPatch(types.MergePatchType, b))).To(Succeed())
}

func meshConfig(namespace string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: infra.MeshConfig}}
}

func newXMesh(name string, controller gatewayv1.GatewayController) *xv1alpha1.XMesh {
	return &xv1alpha1.XMesh{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: xv1alpha1.MeshSpec{ControllerName: controller}}
}

func isGone(ctx context.Context, o client.Object) func() bool {
	return func() bool { return apierrors.IsNotFound(suite.client.Get(ctx, client.ObjectKeyFromObject(o), o)) }
}

var _ = Describe("The mesh", Ordered, func() {
	It("keeps what sidecars start from, as long as the namespace has its label", func(ctx SpecContext) {
		ns := newMeshedNamespace(ctx)
		config := meshConfig(ns)
		Eventually(get(ctx, config)).Should(HaveField("Data", HaveKeyWithValue(infra.KeyCA, ContainSubstring("BEGIN CERTIFICATE"))))
		start, err := bootstrap.Parse([]byte(config.Data[infra.KeySidecar]))
		Expect(err).NotTo(HaveOccurred())
		Expect(start.Node).To(Equal("mesh/" + ns))
		Expect(start.Capture.Port).To(Equal(uint16(bootstrap.CapturePort)))

		config.Data[infra.KeyCA] = "somebody else's"
		Expect(suite.client.Update(ctx, config)).To(Succeed())
		Eventually(get(ctx, config)).Should(HaveField("Data", HaveKeyWithValue(infra.KeyCA, ContainSubstring("BEGIN CERTIFICATE"))))
		Expect(suite.client.Delete(ctx, config)).To(Succeed())
		Eventually(get(ctx, meshConfig(ns))).ShouldNot(BeNil())

		label(ctx, ns, "")
		Eventually(isGone(ctx, meshConfig(ns))).Should(BeTrue())
	})

	It("leaves other namespaces and others' ConfigMaps alone", func(ctx SpecContext) {
		plain, theirs := newNamespace(ctx), newNamespace(ctx)
		config := meshConfig(theirs)
		config.Data = map[string]string{"a": "b"}
		Expect(suite.client.Create(ctx, config)).To(Succeed())
		label(ctx, theirs, v1alpha1.InjectionEnabled)
		Eventually(notes(ctx, "default")).Should(ContainElement(ContainSubstring("ConfigMap " + theirs + "/citoroute-mesh exists")))
		Expect(get(ctx, config)()).To(HaveField("Data", Equal(map[string]string{"a": "b"})))
		label(ctx, theirs, "")
		Consistently(get(ctx, config)).Should(HaveField("Data", Equal(map[string]string{"a": "b"})))
		Expect(isGone(ctx, meshConfig(plain))()).To(BeTrue())
	})

	It("removes what is left of a label that went while nobody watched", func(ctx SpecContext) {
		ns := newMeshedNamespace(ctx)
		Eventually(get(ctx, meshConfig(ns))).ShouldNot(BeNil())
		suite.stop()
		label(ctx, ns, "")
		startController()
		Eventually(isGone(ctx, meshConfig(ns))).Should(BeTrue())
	})

	It("gives a sidecar its namespace's configuration, and nobody else's", func(ctx SpecContext) {
		shop, other := newMeshedNamespace(ctx), newMeshedNamespace(ctx)
		for _, ns := range []string{shop, other} {
			Expect(suite.client.Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "app"}})).To(Succeed())
			Expect(suite.client.Create(ctx, &corev1.Service{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cart"},
				Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
			})).To(Succeed())
		}
		route := newRoute(shop, "cart", "cart", "ignored.example.com")
		route.Spec.ParentRefs[0].Group, route.Spec.ParentRefs[0].Kind = new(gatewayv1.Group("")), new(gatewayv1.Kind("Service"))
		Expect(suite.client.Create(ctx, route)).To(Succeed())

		account := func(ns string) types.NamespacedName { return types.NamespacedName{Namespace: ns, Name: "app"} }
		config := types.NamespacedName{Namespace: shop, Name: infra.MeshConfig}
		honest := connectProxy(ctx, "mesh/"+shop, account(shop), config)
		curious := connectProxy(ctx, "mesh/"+shop, account(other), config)
		Eventually(honest.count).WithArguments(ir.TypeListener).Should(Equal(1))
		Eventually(parents(ctx, route)).Should(ConsistOf(DefaultControllerName))
		Consistently(curious.count).WithArguments(ir.TypeListener).Should(BeZero())

		label(ctx, shop, "")
		Eventually(honest.count).WithArguments(ir.TypeListener).Should(BeZero(), "who left the mesh has no routes")
	})

	It("is not there when it is turned off", func(ctx SpecContext) {
		suite.stop()
		DeferCleanup(startController)
		stop := startReplica(suite.address, suite.webhook, func(o *Options) { o.Mesh = false })
		defer stop()
		ns := newMeshedNamespace(ctx)
		class, gateway := className("meshless", DefaultControllerName), newGateway(ns, "web", "meshless")
		Expect(suite.client.Create(ctx, class)).To(Succeed())
		Expect(suite.client.Create(ctx, gateway)).To(Succeed())
		Eventually(condition(ctx, gateway, gatewayv1.GatewayConditionAccepted)).Should(Equal("True Accepted"))
		Consistently(isGone(ctx, meshConfig(ns))).Should(BeTrue())
		_, err := new(net.Dialer).DialContext(ctx, "tcp", suite.webhook)
		Expect(err).To(MatchError(syscall.ECONNREFUSED))
	})

	It("says what its XMesh supports, and leaves others alone", func(ctx SpecContext) {
		ours, theirs := newXMesh("citoroute", DefaultControllerName), newXMesh("other", "example.com/mesh")
		Expect(suite.client.Create(ctx, ours)).To(Succeed())
		Expect(suite.client.Create(ctx, theirs)).To(Succeed())
		Eventually(get(ctx, ours)).Should(HaveField("Status.Conditions", ContainElement(And(
			HaveField("Type", "Accepted"), HaveField("Status", metav1.ConditionTrue)))))
		Expect(ours.Status.SupportedFeatures).To(ContainElement(HaveField("Name", gatewayv1.FeatureName("MeshConsumerRoute"))))
		Expect(get(ctx, theirs)()).To(HaveField("Status.SupportedFeatures", BeEmpty()))
	})

	It("follows a change of its authority", func(ctx SpecContext) {
		config, ns := webhookManifest(), newMeshedNamespace(ctx)
		Expect(suite.client.Create(ctx, config)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(suite.client.Delete(ctx, webhookManifest())).To(Succeed()) })
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ownNamespace, Name: "citoroute-controller-tls"}}
		Eventually(get(ctx, secret)).ShouldNot(BeNil())
		next, _, err := authority.Material{}.Renew([]string{streamHost, "citoroute-webhook." + ownNamespace + ".svc"}, time.Now())
		Expect(err).NotTo(HaveOccurred())
		secret.Data = map[string][]byte{
			keyAuthorities: next.Authorities, keyAuthorityKeys: next.AuthorityKeys,
			corev1.TLSCertKey: next.Certificate, corev1.TLSPrivateKeyKey: next.Key,
		}
		Expect(suite.client.Update(ctx, secret)).To(Succeed())
		Eventually(get(ctx, config)).Should(HaveField("Webhooks", ConsistOf(HaveField("ClientConfig.CABundle", Equal(next.Authorities)))))
		Eventually(get(ctx, meshConfig(ns))).Should(HaveField("Data", HaveKeyWithValue(infra.KeyCA, string(next.Authorities))))
		Expect(callWebhook(ctx, next.Authorities, podPath).Response.Allowed).To(BeTrue())
	})

	It("has API servers find its webhook and trust it", func(ctx SpecContext) {
		config := webhookManifest()
		Expect(suite.client.Create(ctx, config)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(suite.client.Delete(ctx, webhookManifest())).To(Succeed()) })
		Eventually(get(ctx, config)).Should(HaveField("Webhooks", ConsistOf(HaveField("ClientConfig.CABundle", ContainSubstring("BEGIN CERTIFICATE")))))
		Expect(config.Webhooks).To(HaveExactElements(HaveField("ClientConfig.Service", HaveField("Namespace", ownNamespace))))
		bundle := config.Webhooks[0].ClientConfig.CABundle

		review := callWebhook(ctx, bundle, *config.Webhooks[0].ClientConfig.Service.Path)
		Expect(review.Response).NotTo(BeNil())
		Expect(review.Response.Allowed).To(BeTrue())
		Expect(string(review.Response.Patch)).To(ContainSubstring("citoroute/proxy:test"))

		config.Webhooks[0].ClientConfig.CABundle = nil
		config.Webhooks[0].ClientConfig.Service.Namespace = "elsewhere"
		Expect(suite.client.Update(ctx, config)).To(Succeed())
		Eventually(get(ctx, config)).Should(HaveField("Webhooks", ConsistOf(And(
			HaveField("ClientConfig.CABundle", Equal(bundle)), HaveField("ClientConfig.Service", HaveField("Namespace", ownNamespace)),
			HaveField("FailurePolicy", HaveValue(Equal(registrationv1.Fail))), HaveField("Rules", HaveLen(1))))))
	})
})

// notes returns what events of a namespace say.
func notes(ctx context.Context, namespace string) func() ([]string, error) {
	return func() ([]string, error) {
		list := &corev1.EventList{}
		err := suite.client.List(ctx, list, client.InNamespace(namespace))
		var out []string
		for _, e := range list.Items {
			out = append(out, e.Message)
		}
		return out, err
	}
}

// webhookManifest is what the installation has.
func webhookManifest() *registrationv1.MutatingWebhookConfiguration {
	GinkgoHelper()
	b, err := os.ReadFile(filepath.Join("..", "..", "config", "webhook", "manifests.yaml"))
	Expect(err).NotTo(HaveOccurred())
	out := &registrationv1.MutatingWebhookConfiguration{}
	Expect(yaml.UnmarshalStrict(bytes.TrimPrefix(b, []byte("---\n")), out)).To(Succeed())
	return out
}

// callWebhook has the webhook review a pod, as an API server would that trusts
// bundle alone.
func callWebhook(ctx context.Context, bundle []byte, path string) *admissionv1.AdmissionReview {
	GinkgoHelper()
	pool := x509.NewCertPool()
	Expect(pool.AppendCertsFromPEM(bundle)).To(BeTrue())
	pod, err := json.Marshal(&corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Name: "cart"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}},
	})
	Expect(err).NotTo(HaveOccurred())
	body, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "1", Operation: admissionv1.Create, Namespace: "shop", Name: "cart",
			Kind:     metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			Object:   runtime.RawExtension{Raw: pod},
		},
	})
	Expect(err).NotTo(HaveOccurred())
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS13},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, suite.webhook)
		},
	}
	defer transport.CloseIdleConnections()
	url := "https://citoroute-webhook." + ownNamespace + ".svc/" + strings.TrimPrefix(path, "/")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	Expect(err).NotTo(HaveOccurred())
	request.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Transport: transport}).Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer func() { Expect(response.Body.Close()).To(Succeed()) }()
	Expect(response.Close).To(BeTrue(), "the next call may find another replica")
	out := &admissionv1.AdmissionReview{}
	Expect(json.NewDecoder(response.Body).Decode(out)).To(Succeed())
	return out
}
