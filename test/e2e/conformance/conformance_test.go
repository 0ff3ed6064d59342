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
	xv1alpha1 "sigs.k8s.io/gateway-api/apisx/v1alpha1"
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
		// The suite looks at declarations by itself only when it runs all tests.
		opts.SupportedFeatures = supported
	}
	if opts.ReportOutputPath != "" {
		t.Cleanup(func() { requireWholeCore(t, opts.ReportOutputPath) }) // runs after the suite has written it
	}
	conformance.RunConformanceWithOptions(t, opts)
}

// supportedFeatures waits until the GatewayClass, or else the XMesh, declares what
// it supports, which the suite reads once without waiting.
func supportedFeatures(t *testing.T, opts *suite.ConformanceOptions) []features.FeatureName {
	t.Helper()
	var names []features.FeatureName
	declared := func(ctx context.Context) (bool, error) {
		list, err := declaration(ctx, opts)
		for _, f := range list {
			names = append(names, features.FeatureName(f.Name))
		}
		return len(names) > 0, client.IgnoreNotFound(err)
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, time.Minute, true, declared); err != nil {
		t.Fatalf("GatewayClass %q or XMesh %q declares no supported features: %v", opts.GatewayClassName, opts.MeshName, err)
	}
	return names
}

func declaration(ctx context.Context, opts *suite.ConformanceOptions) ([]gatewayv1.SupportedFeature, error) {
	if opts.GatewayClassName == "" {
		var mesh xv1alpha1.XMesh
		err := opts.Client.Get(ctx, types.NamespacedName{Name: opts.MeshName}, &mesh)
		return mesh.Status.SupportedFeatures, err
	}
	var class gatewayv1.GatewayClass
	err := opts.Client.Get(ctx, types.NamespacedName{Name: opts.GatewayClassName}, &class)
	return class.Status.SupportedFeatures, err
}
