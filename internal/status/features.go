package status

import (
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// SupportedFeatures lists the Gateway API features that CitoRoute supports and
// tests, sorted by name, as GatewayClass.status.supportedFeatures shows them. A
// feature is here only if it works from manifest to response.
func SupportedFeatures() []gatewayv1.SupportedFeature {
	return supported(
		"BackendTLSPolicy",
		"BackendTLSPolicySANValidation",
		"GRPCRoute",
		"GRPCRouteNamedRouteRule",
		"GRPCRouteRequestHeaderModifier",
		"Gateway",
		"GatewayAddressEmpty",
		"GatewayBackendClientCertificate",
		"GatewayFrontendClientCertificateValidation",
		"GatewayFrontendClientCertificateValidationInsecureFallback",
		"GatewayHTTPListenerIsolation",
		"GatewayHTTPSListenerDetectMisdirectedRequests",
		"GatewayInfrastructure",
		"GatewayPort8080",
		"GatewayRouteHostnameIntersectionPrecedence",
		"GatewayStaticAddresses",
		"HTTPRoute",
		"HTTPRoute303RedirectStatusCode",
		"HTTPRoute307RedirectStatusCode",
		"HTTPRoute308RedirectStatusCode",
		"HTTPRouteBackendProtocolH2C",
		"HTTPRouteBackendProtocolWebSocket",
		"HTTPRouteBackendRequestHeaderModification",
		"HTTPRouteBackendTimeout",
		"HTTPRouteBackendURLRewrite",
		"HTTPRouteCORS",
		"HTTPRouteDestinationPortMatching",
		"HTTPRouteHostRewrite",
		"HTTPRouteMethodMatching",
		"HTTPRouteNamedRouteRule",
		"HTTPRouteParentRefPort",
		"HTTPRoutePathRedirect",
		"HTTPRoutePathRewrite",
		"HTTPRoutePortRedirect",
		"HTTPRouteQueryParamMatching",
		"HTTPRouteRequestMirror",
		"HTTPRouteRequestMultipleMirrors",
		"HTTPRouteRequestPercentageMirror",
		"HTTPRouteRequestTimeout",
		"HTTPRouteResponseHeaderModification",
		"HTTPRouteRetryCodes",
		"HTTPRouteRetryConnectionError",
		"HTTPRouteSchemeRedirect",
		"ListenerSet",
		"ReferenceGrant",
		"TCPRoute",
		"TLSRoute",
		"TLSRouteModeMixed",
		"TLSRouteModeTerminate",
		"UDPRoute",
	)
}

// MeshFeatures is SupportedFeatures for routes that are attached to Services, as
// XMesh.status.supportedFeatures shows them.
func MeshFeatures() []gatewayv1.SupportedFeature {
	return supported(
		"GRPCRoute",
		"HTTPRoute",
		"HTTPRoute303RedirectStatusCode",
		"HTTPRoute307RedirectStatusCode",
		"HTTPRoute308RedirectStatusCode",
		"HTTPRouteParentRefPort",
		"HTTPRouteResponseHeaderModification",
		"Mesh",
		"MeshClusterIPMatching",
		"MeshConsumerRoute",
		"MeshHTTPRouteBackendRequestHeaderModification",
		"MeshHTTPRouteNamedRouteRule",
		"MeshHTTPRouteQueryParamMatching",
		"MeshHTTPRouteRedirectPath",
		"MeshHTTPRouteRedirectPort",
		"MeshHTTPRouteRewritePath",
		"MeshHTTPRouteSchemeRedirect",
	)
}

func supported(names ...string) []gatewayv1.SupportedFeature {
	slices.Sort(names)
	out := make([]gatewayv1.SupportedFeature, 0, len(names))
	for _, name := range names {
		out = append(out, gatewayv1.SupportedFeature{Name: gatewayv1.FeatureName(name)})
	}
	return out
}
