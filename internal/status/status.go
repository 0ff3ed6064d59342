package status

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/translate"
)

// Facts are what translation cannot know.
type Facts struct {
	// Addresses are where clients reach the Gateway; empty: none is assigned yet.
	Addresses []gatewayv1.GatewayStatusAddress
	// UnusableAddresses are the values of spec.addresses that the cluster
	// cannot give to the Gateway.
	UnusableAddresses []string
	// Serving says that a proxy serves the Gateway's current configuration.
	Serving bool
	// Rejected is why a proxy refused the current configuration; empty: none did.
	Rejected string
}

// Compute returns a copy of obj with the status that report and facts give it
// at the time now, and whether that differs from the status that obj has. Kinds
// without a status come back unchanged.
func Compute(obj translate.Object, report translate.Report, facts Facts, now metav1.Time) (updated translate.Object, changed bool) {
	return obj, false
}
