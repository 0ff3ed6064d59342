package translate

import (
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// Policy reports on an object of our own that is neither Gateway nor route. Its
// resources are made when something refers to them.
func Policy(r Reader, key Key, options Options) Output {
	var report Report
	switch o := r.Get(key).(type) {
	case *v1alpha1.LLMBackend:
		report.Findings = resolveLLM(r, key, o).findings
	case *v1alpha1.Consumer:
		_, report.Findings = resolveConsumer(r, key, o)
	case *v1alpha1.JWTValidationPolicy:
		reportJWT(r, key, o, &report)
	case *v1alpha1.LLMLimitPolicy:
		report = reportLimits(r, key, o)
	case *v1alpha1.LLMPriceTable:
		report = reportPrices(r, key, o)
	default:
		return Output{}
	}
	report.ControllerName, report.Managed = gatewayv1.GatewayController(options.ControllerName), true
	return Output{Reports: []ObjectReport{{key, report}}}
}
