package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// testCluster is the cluster under test.
type testCluster struct {
	client.Client
	config *rest.Config
}

func connect() (*testCluster, error) {
	cfg, err := config.GetConfig()
	if err != nil {
		return nil, err
	}
	cfg.QPS, cfg.Burst = 1000, 1000 // 1,000 changes in a few seconds
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), gatewayv1.Install(scheme)); err != nil {
		return nil, err
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	return &testCluster{c, cfg}, err
}

// exec runs a command in a container and returns its standard output.
func (c *testCluster) exec(ctx context.Context, pod corev1.Pod, container string, command ...string) (string, error) {
	core, err := corev1client.NewForConfig(c.config)
	if err != nil {
		return "", err
	}
	request := core.RESTClient().Post().Namespace(pod.Namespace).Resource("pods").Name(pod.Name).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: container, Command: command, Stdout: true, Stderr: true}, clientgoscheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(c.config, http.MethodPost, request.URL())
	if err != nil {
		return "", err
	}
	var stdout, stderr bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &stdout, Stderr: &stderr})
	if err != nil {
		err = fmt.Errorf("%s in %s: %w: %s", command[0], pod.Name, err, cmp.Or(stderr.String(), stdout.String()))
	}
	return stdout.String(), err
}

// namespace makes a namespace that lives as long as the spec.
func (c *testCluster) namespace(ctx context.Context) string {
	GinkgoHelper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "e2e-"}}
	Expect(c.Create(ctx, ns)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) {
		Expect(client.IgnoreNotFound(c.Delete(ctx, ns))).To(Succeed())
	})
	return ns.Name
}

// apply applies testdata/<file> to the namespace, whose name replaces NAMESPACE.
func (c *testCluster) apply(ctx context.Context, namespace, file string) {
	GinkgoHelper()
	c.applyText(ctx, namespace, strings.ReplaceAll(testdata(file), "NAMESPACE", namespace))
}

// testdata returns the text of testdata/<file>.
func testdata(file string) string {
	GinkgoHelper()
	b, err := os.ReadFile(filepath.Join("testdata", file))
	Expect(err).NotTo(HaveOccurred())
	return string(b)
}

// applyText applies manifests to the namespace.
func (c *testCluster) applyText(ctx context.Context, namespace, manifests string) {
	GinkgoHelper()
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewBufferString(manifests), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return
		}
		Expect(err).NotTo(HaveOccurred())
		if len(object.Object) == 0 {
			continue
		}
		object.SetNamespace(namespace)
		Expect(c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object),
			client.FieldOwner("e2e"), client.ForceOwnership)).To(Succeed(), "%s %s", object.GetKind(), object.GetName())
	}
}

// gatewayAddress waits until the Gateway is programmed and returns its address.
func (c *testCluster) gatewayAddress(ctx context.Context, namespace, name string) string {
	GinkgoHelper()
	var gateway gatewayv1.Gateway
	Eventually(func(g Gomega) {
		g.Expect(c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &gateway)).To(Succeed())
		g.Expect(gateway.Status.Addresses).NotTo(BeEmpty())
		programmed := meta.FindStatusCondition(gateway.Status.Conditions, string(gatewayv1.GatewayConditionProgrammed))
		g.Expect(programmed).NotTo(BeNil())
		g.Expect(programmed.Status).To(Equal(metav1.ConditionTrue), programmed.Message)
	}).WithContext(ctx).Should(Succeed())
	return gateway.Status.Addresses[0].Value
}

// deploymentsReady waits until each Deployment of the namespace has all its pods.
func (c *testCluster) deploymentsReady(ctx context.Context, namespace string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var list appsv1.DeploymentList
		g.Expect(c.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
		g.Expect(list.Items).NotTo(BeEmpty())
		for _, d := range list.Items {
			g.Expect(d.Status.ObservedGeneration).To(Equal(d.Generation), d.Name)
			g.Expect(d.Status.ReadyReplicas).To(Equal(*d.Spec.Replicas), d.Name)
			g.Expect(d.Status.Replicas).To(Equal(*d.Spec.Replicas), d.Name)
		}
	}).WithContext(ctx).WithTimeout(controllerTimeout).Should(Succeed())
}

// requireController fails unless the controller is deployed and its class accepted.
func (c *testCluster) requireController(ctx context.Context) {
	GinkgoHelper()
	c.deploymentsReady(ctx, controllerNamespace)
	Eventually(func(g Gomega) {
		var class gatewayv1.GatewayClass
		g.Expect(c.Get(ctx, client.ObjectKey{Name: "citoroute"}, &class)).To(Succeed())
		g.Expect(meta.IsStatusConditionTrue(class.Status.Conditions, "Accepted")).To(BeTrue())
	}).WithContext(ctx).Should(Succeed())
}

// condition returns the first condition of the type found anywhere in the
// object's status, whatever its kind; nil if there is none.
func (c *testCluster) condition(ctx context.Context, kind, namespace, name, conditionType string) *metav1.Condition {
	GinkgoHelper()
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(apiVersions[kind])
	object.SetKind(kind)
	Expect(c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)).To(Succeed())
	return findCondition(object.Object["status"], conditionType)
}

// apiVersions of the kinds whose conditions the specs look at.
var apiVersions = map[string]string{
	"Gateway":    "gateway.networking.k8s.io/v1",
	"HTTPRoute":  "gateway.networking.k8s.io/v1",
	"LLMBackend": "citoroute.io/v1alpha1",
	"LLMRoute":   "citoroute.io/v1alpha1",
}

func findCondition(status any, conditionType string) *metav1.Condition {
	switch s := status.(type) {
	case []any:
		for _, item := range s {
			if found := findCondition(item, conditionType); found != nil {
				return found
			}
		}
	case map[string]any:
		if s["type"] == conditionType && s["reason"] != nil {
			return &metav1.Condition{
				Type:    conditionType,
				Status:  metav1.ConditionStatus(fmt.Sprint(s["status"])),
				Reason:  fmt.Sprint(s["reason"]),
				Message: fmt.Sprint(s["message"]),
			}
		}
		for _, value := range s {
			if found := findCondition(value, conditionType); found != nil {
				return found
			}
		}
	}
	return nil
}
