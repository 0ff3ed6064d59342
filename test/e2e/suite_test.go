// Package e2e tests a deployed CitoRoute from the outside: it applies
// manifests to the cluster that KUBECONFIG names, and sends requests to the
// addresses that Gateways get.
package e2e

import (
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

const (
	controllerNamespace = "citoroute-system"
	gatewayNameLabel    = "gateway.networking.k8s.io/gateway-name"
)

// cluster is what every spec works on; BeforeSuite connects it.
var cluster *testCluster

func TestE2E(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(60 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	EnforceDefaultTimeoutsWhenUsingContexts()
	RunSpecs(t, "CitoRoute end to end")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	cluster, err = connect()
	Expect(err).NotTo(HaveOccurred())
	cluster.requireController(ctx)
})
