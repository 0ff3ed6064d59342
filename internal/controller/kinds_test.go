package controller

import "testing"

func TestSource_Definition(t *testing.T) {
	want := map[string]string{
		"GatewayClass":      "gatewayclasses.gateway.networking.k8s.io",
		"BackendTLSPolicy":  "backendtlspolicies.gateway.networking.k8s.io",
		"XMesh":             "xmeshes.gateway.networking.x-k8s.io",
		"LLMRoute":          "llmroutes.citoroute.io",
		"GatewayParameters": "gatewayparameters.citoroute.io",
	}
	for _, s := range sources() {
		if name, ok := want[s.kind.Kind]; ok && s.definition() != name {
			t.Errorf("%s is defined by %s, want %s", s.kind.Kind, s.definition(), name)
		}
	}
}
