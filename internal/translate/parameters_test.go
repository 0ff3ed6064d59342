package translate_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/translate"
)

const parametersWorld = `
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: citoroute}
spec: {controllerName: citoroute.io/gateway-controller, parametersRef: {group: citoroute.io, kind: GatewayParameters, namespace: platform, name: all}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  gatewayClassName: citoroute
  listeners: [{name: http, port: 80, protocol: HTTP}]
  infrastructure: {parametersRef: {group: citoroute.io, kind: GatewayParameters, name: web}}
`

func TestParameters_OfTheGatewayHoldBeforeThoseOfItsClass(t *testing.T) {
	for name, c := range map[string]struct{ class, own, want string }{
		"Nothing":     {`{}`, `{}`, `{}`},
		"OfTheClass":  {`{deployment: {replicas: 3}, logging: {accessLog: true}}`, `{}`, `{deployment: {replicas: 3}, logging: {accessLog: true}}`},
		"OfTheOther":  {`{}`, `{service: {type: NodePort}}`, `{service: {type: NodePort}}`},
		"FieldsMix":   {`{service: {type: NodePort, externalTrafficPolicy: Local}}`, `{service: {type: LoadBalancer}}`, `{service: {type: LoadBalancer, externalTrafficPolicy: Local}}`},
		"FalseIsSet":  {`{logging: {accessLog: true}}`, `{logging: {accessLog: false}}`, `{logging: {accessLog: false}}`},
		"OneScale":    {`{deployment: {replicas: 3}}`, `{deployment: {autoscaling: {maxReplicas: 5}}}`, `{deployment: {autoscaling: {maxReplicas: 5}}}`},
		"OtherScale":  {`{deployment: {autoscaling: {maxReplicas: 5}}}`, `{deployment: {replicas: 3}}`, `{deployment: {replicas: 3}}`},
		"WholeFields": {`{deployment: {resources: {requests: {cpu: 1}}}}`, `{deployment: {resources: {limits: {memory: 1Gi}}}}`, `{deployment: {resources: {limits: {memory: 1Gi}}}}`},
		"WholeLists":  {`{service: {nodePorts: [{port: 80, nodePort: 30080}]}}`, `{service: {nodePorts: [{port: 443, nodePort: 30443}]}}`, `{service: {nodePorts: [{port: 443, nodePort: 30443}]}}`},
		"Families":    {`{service: {ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv4, IPv6]}}`, `{service: {ipFamilyPolicy: SingleStack}}`, `{service: {ipFamilyPolicy: SingleStack}}`},
		"HeadersOfProxies": {
			`{clients: {trustedProxies: [10.0.0.0/8], trustedHeaders: [X-Forwarded-Host]}}`, `{clients: {trustedProxies: [192.0.2.0/24]}}`,
			`{clients: {trustedProxies: [192.0.2.0/24]}}`,
		},
		"NobodyAfterAll": {
			`{clients: {proxyProtocol: {trustedCIDRs: [10.0.0.0/8]}, trustedProxies: [10.0.0.0/8]}}`, `{clients: {proxyProtocol: {trustedCIDRs: []}, trustedProxies: []}}`,
			`{clients: {proxyProtocol: {trustedCIDRs: []}, trustedProxies: []}}`,
		},
		"KeysOfMaps": {`{service: {annotations: {a: "1", b: "1"}}}`, `{service: {annotations: {b: "2", c: "2"}}}`, `{service: {annotations: {a: "1", b: "2", c: "2"}}}`},
	} {
		t.Run(name, func(t *testing.T) {
			e := engine.New(engine.Options{ControllerName: controllerName})
			e.Apply(decode(t, newDecoder(t), []byte(parametersWorld))...)
			gateway := translate.Key{Kind: translate.KindGateway, Namespace: "shop", Name: "web"}
			if got := e.Parameters(gateway); got != nil {
				t.Fatalf("nothing is there and yet there is %+v", got)
			}
			for key, spec := range map[translate.Key]string{
				{Kind: translate.KindGatewayParameters, Namespace: "platform", Name: "all"}: c.class,
				{Kind: translate.KindGatewayParameters, Namespace: "shop", Name: "web"}:     c.own,
			} {
				object := &v1alpha1.GatewayParameters{Spec: parametersSpec(t, spec)}
				if infra := e.Apply(engine.Change{Key: key, Object: object}).Infra; e.Parameters(gateway) != nil && !cmp.Equal(infra, []translate.Key{gateway}) {
					t.Errorf("a change of %s asks for a look at %v", key, infra)
				}
			}
			want := parametersSpec(t, c.want)
			if diff := cmp.Diff(&want, e.Parameters(gateway)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func parametersSpec(t *testing.T, in string) (out v1alpha1.GatewayParametersSpec) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(in), &out); err != nil {
		t.Fatal(err)
	}
	return out
}
