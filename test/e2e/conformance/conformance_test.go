// Package conformance runs the upstream Gateway API conformance suite against
// the cluster that KUBECONFIG names. Each flag of the suite may follow -args;
// `make conformance` gives those that matter.
package conformance

import (
	"context"
	"flag"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/conformance"
	confv1 "sigs.k8s.io/gateway-api/conformance/apis/v1"
	"sigs.k8s.io/gateway-api/conformance/utils/flags"
	"sigs.k8s.io/gateway-api/conformance/utils/suite"
	"sigs.k8s.io/gateway-api/pkg/features"
)

// implementationVersion is what the report says was tested.
var implementationVersion = flag.String("implementation-version", "main", "version that the report names")

func TestConformance(t *testing.T) {
	opts := conformance.DefaultOptions(t)
	if opts.GatewayClassName == flags.DefaultGatewayClassName {
		opts.GatewayClassName = "citoroute"
	}
	opts.Implementation = confv1.Implementation{
		Organization: "citoroute",
		Project:      "citoroute",
		URL:          "https://github.com/citoroute/citoroute",
		Version:      *implementationVersion,
		Contact:      []string{"https://github.com/citoroute/citoroute/issues"},
	}
	// Deleting the base namespaces is no part of what is tested, and slow on a
	// busy machine; a failure there would hide the results.
	opts.TimeoutConfig.DeleteTimeout = 3 * time.Minute
	supported := supportedFeatures(t, &opts)
	if opts.RunTest != "" && len(opts.SupportedFeatures) == 0 {
		// The suite looks at the GatewayClass by itself only when it runs all tests.
		opts.SupportedFeatures = supported
	}
	if opts.ReportOutputPath != "" {
		t.Cleanup(func() { requireWholeCore(t, opts.ReportOutputPath) }) // runs after the suite has written it
	}
	conformance.RunConformanceWithOptions(t, opts)
}

// supportedFeatures waits until the GatewayClass declares what it supports,
// which the suite reads once without waiting.
func supportedFeatures(t *testing.T, opts *suite.ConformanceOptions) []features.FeatureName {
	t.Helper()
	var class gatewayv1.GatewayClass
	key := types.NamespacedName{Name: opts.GatewayClassName}
	declared := func(ctx context.Context) (bool, error) {
		err := opts.Client.Get(ctx, key, &class)
		return len(class.Status.SupportedFeatures) > 0, client.IgnoreNotFound(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, declared); err != nil {
		t.Fatalf("GatewayClass %s declares no supported features: %v", key.Name, err)
	}
	var names []features.FeatureName
	for _, f := range class.Status.SupportedFeatures {
		names = append(names, features.FeatureName(f.Name))
	}
	return names
}
