package infra

import (
	"bytes"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/bootstrap"
)

var update = flag.Bool("update", false, "write the golden files anew")

func testInput(gateway *gatewayv1.Gateway, ports ...Port) Input {
	return Input{
		Options: Options{
			Image:      "citoroute/proxy:test",
			Servers:    []string{"citoroute-controller.citoroute-system.svc:15010"},
			ServerName: "citoroute-controller.citoroute-system.svc",
		},
		Gateway: gateway,
		Node:    "gateway/" + gateway.Namespace + "/" + gateway.Name,
		Ports:   ports,
		CA:      []byte("the bundle\n"),
	}
}

func testGateway(name string) *gatewayv1.Gateway {
	return &gatewayv1.Gateway{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: "uid"},
		Spec:       gatewayv1.GatewaySpec{GatewayClassName: "citoroute"},
	}
}

func TestObjects_Golden(t *testing.T) {
	infrastructure := testGateway("web")
	infrastructure.Spec.Infrastructure = &gatewayv1.GatewayInfrastructure{
		Labels:      map[gatewayv1.LabelKey]gatewayv1.LabelValue{"team": "shop", LabelGateway: "stolen"},
		Annotations: map[gatewayv1.AnnotationKey]gatewayv1.AnnotationValue{"note": "by the shop team"},
	}
	static := testGateway("web")
	static.Spec.Addresses = []gatewayv1.GatewaySpecAddress{
		{Type: new(gatewayv1.HostnameAddressType), Value: "shop.example.com"},
		{Type: new(gatewayv1.IPAddressType)},
		{Value: "192.0.2.7"},
	}
	several := testGateway("web")
	several.Spec.Addresses = []gatewayv1.GatewaySpecAddress{
		{Value: "192.0.2.7"}, {Value: "2001:db8::7"}, {Value: "2001:0DB8::7"},
	}
	clusterIP := testInput(testGateway("web"), Port{80, corev1.ProtocolTCP})
	clusterIP.ServiceType = corev1.ServiceTypeClusterIP
	for name, in := range map[string]Input{
		"Ports": testInput(testGateway("web"),
			Port{443, corev1.ProtocolTCP}, Port{80, corev1.ProtocolTCP}, Port{443, corev1.ProtocolUDP}, Port{80, corev1.ProtocolTCP}),
		"NoPorts":         testInput(testGateway("web")),
		"Infrastructure":  testInput(infrastructure, Port{80, corev1.ProtocolTCP}),
		"StaticAddress":   testInput(static, Port{80, corev1.ProtocolTCP}),
		"StaticAddresses": testInput(several, Port{80, corev1.ProtocolTCP}),
		"ClusterIP":       clusterIP,
		"Parameters":      withParameters(t, infrastructure, "everything"),
		"Replicas":        withParameters(t, several, "replicas"),
		"LongName":        testInput(testGateway(strings.Repeat("long-name.", 25)+"abc"), Port{80, corev1.ProtocolTCP}),
	} {
		t.Run(name, func(t *testing.T) {
			got := render(t, in)
			if !bytes.Equal(got, render(t, in)) {
				t.Error("the same input gives two outputs")
			}
			golden(t, name, got)
		})
	}
}

// withParameters is the Gateway with ports, and parameters of the API's own tests.
func withParameters(t *testing.T, gateway *gatewayv1.Gateway, file string) Input {
	t.Helper()
	b, err := os.ReadFile("../../api/v1alpha1/testdata/valid/gatewayparameters-" + file + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	var parameters v1alpha1.GatewayParameters
	if err := yaml.UnmarshalStrict(b, &parameters); err != nil {
		t.Fatal(err)
	}
	in := testInput(gateway, Port{80, corev1.ProtocolTCP}, Port{443, corev1.ProtocolTCP}, Port{443, corev1.ProtocolUDP})
	in.Parameters = parameters.Spec
	return in
}

func TestMesh_Golden(t *testing.T) {
	config, err := Mesh(MeshInput{
		Options: testInput(testGateway("web")).Options, Namespace: "shop", Node: "mesh/shop", CA: []byte("the bundle\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "Mesh", renderAll(t, config))
	if _, err := bootstrap.Parse([]byte(config.Data[KeySidecar])); err != nil {
		t.Errorf("a sidecar cannot start from this: %v", err)
	}
}

// golden compares with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".yaml")
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func render(t *testing.T, in Input) []byte {
	t.Helper()
	objects, err := Objects(in)
	if err != nil {
		t.Fatal(err)
	}
	return renderAll(t, objects...)
}

func renderAll(t *testing.T, objects ...Object) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, o := range objects {
		b, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(b)
	}
	return out.Bytes()
}

func TestObjects_PodsMayDoNothingButServe(t *testing.T) {
	objects, err := Objects(testInput(testGateway("web"), Port{80, corev1.ProtocolTCP}))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("GW-006 no rights", func(t *testing.T) {
		for _, o := range objects {
			if strings.Contains(o.GetObjectKind().GroupVersionKind().Kind, "Role") {
				t.Errorf("a proxy gets a %T", o)
			}
			if ref := metav1.GetControllerOf(o); ref == nil || ref.Kind != "Gateway" || ref.UID != "uid" {
				t.Errorf("%T is not owned by the Gateway: %v", o, ref)
			}
			if account, ok := o.(*corev1.ServiceAccount); ok && *account.AutomountServiceAccountToken {
				t.Error("pods get a token for the API server")
			}
		}
	})
	plain := testInput(testGateway("web")).pod()
	c := plain.Containers[0].SecurityContext
	if !*plain.SecurityContext.RunAsNonRoot || !*c.ReadOnlyRootFilesystem || *c.AllowPrivilegeEscalation ||
		*plain.AutomountServiceAccountToken || c.Capabilities.Drop[0] != "ALL" || len(c.Capabilities.Add) > 0 {
		t.Errorf("the pod may do too much: %+v %+v", plain.SecurityContext, c)
	}
	t.Run("Parameters", func(t *testing.T) {
		pod := withParameters(t, testGateway("web"), "everything").pod()
		pod.Containers[0].Resources = plain.Containers[0].Resources
		pod.TerminationGracePeriodSeconds = plain.TerminationGracePeriodSeconds
		pod.NodeSelector, pod.Tolerations, pod.Affinity = plain.NodeSelector, plain.Tolerations, plain.Affinity
		pod.TopologySpreadConstraints, pod.PriorityClassName, pod.ImagePullSecrets = plain.TopologySpreadConstraints, "", nil
		if diff := cmp.Diff(plain, pod); diff != "" {
			t.Errorf("they change what the pod may do, or where it comes from (-want +got):\n%s", diff)
		}
	})
}

func TestObjects_ParametersThatTheTypeOfServiceHasNot(t *testing.T) {
	in := withParameters(t, testGateway("web"), "everything")
	in.Parameters.Service.Type = v1alpha1.ServiceType(corev1.ServiceTypeNodePort)
	in.Options = in.with(in.Parameters)
	if s := in.service().Spec; s.LoadBalancerClass != nil || s.LoadBalancerSourceRanges != nil || s.Ports[1].NodePort == 0 {
		t.Errorf("a NodePort Service has %+v", s)
	}
	in.Parameters.Service.Type = v1alpha1.ServiceType(corev1.ServiceTypeClusterIP)
	in.Options = in.with(in.Parameters)
	if s := in.service().Spec; s.ExternalTrafficPolicy != "" || s.Ports[1].NodePort != 0 || s.LoadBalancerClass != nil {
		t.Errorf("a ClusterIP Service has %+v", s)
	}
}

func TestInput_ResourcesThatAreNotNamed(t *testing.T) {
	for name, c := range map[string]struct {
		autoscaling       bool
		own               string
		requests, limited string
	}{
		"Nothing":     {requests: "cpu=10m memory=32Mi"},
		"Autoscaling": {autoscaling: true, requests: "cpu=100m memory=32Mi"},
		"Request":     {own: `{requests: {cpu: 1}}`, requests: "cpu=1 memory=32Mi"},
		"Limit":       {own: `{limits: {memory: 16Mi}}`, requests: "cpu=10m", limited: "memory=16Mi"},
		"Both":        {own: `{requests: {memory: 8Mi}, limits: {memory: 16Mi}}`, requests: "cpu=10m memory=8Mi", limited: "memory=16Mi"},
	} {
		t.Run(name, func(t *testing.T) {
			in := testInput(testGateway("web"))
			if c.autoscaling {
				in.Parameters.Deployment.Autoscaling = &v1alpha1.Autoscaling{MaxReplicas: 2}
			}
			if err := yaml.UnmarshalStrict([]byte(c.own), &in.Parameters.Deployment.Resources); err != nil {
				t.Fatal(err)
			}
			got := in.resources()
			if diff := cmp.Diff([]string{c.requests, c.limited}, []string{amounts(got.Requests), amounts(got.Limits)}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func amounts(list corev1.ResourceList) string {
	var out []string
	for name, amount := range list {
		out = append(out, string(name)+"="+amount.String())
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestName_IsALabelAndUnique(t *testing.T) {
	seen := map[string]string{}
	for _, gateway := range []string{
		"web", "web.eu", "web-eu", "1web", "gw-1web", "a." + strings.Repeat("b", 251), "a." + strings.Repeat("b", 250) + "c",
		strings.Repeat("x", 53), strings.Repeat("x", 54), strings.Repeat("x-", 60),
	} {
		name := objectName(gateway, "citoroute")
		further := furtherName(name, netip.MustParseAddr("2001:db8::"))
		for _, name := range []string{name, further} {
			if errs := validation.IsDNS1035Label(name); len(errs) > 0 {
				t.Errorf("objectName(%q) = %q: %v", gateway, name, errs)
			}
		}
		if other, ok := seen[further]; ok {
			t.Errorf("%q and %q share the name %q", gateway, other, further)
		}
		seen[further] = gateway
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q share the name %q", gateway, other, name)
		}
		seen[name] = gateway
		if errs := validation.IsValidLabelValue(LabelValue(gateway)); len(errs) > 0 {
			t.Errorf("LabelValue(%q) = %q: %v", gateway, LabelValue(gateway), errs)
		}
	}
	if got := objectName("web", "citoroute"); got != "web-citoroute" {
		t.Errorf("objectName(web, citoroute) = %q", got)
	}
}
