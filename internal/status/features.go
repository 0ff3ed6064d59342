package status

import gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

// SupportedFeatures lists the Gateway API features that CitoRoute supports and
// tests, sorted by name, as GatewayClass.status.supportedFeatures shows them.
func SupportedFeatures() []gatewayv1.SupportedFeature {
	return nil
}
