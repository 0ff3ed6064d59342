package controller

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/porttest"
)

const (
	ownNamespace = "citoroute-system"
	streamHost   = "citoroute-controller.citoroute-system.svc"
	// absentAtFirst is a definition that one spec installs.
	absentAtFirst = "gateway.networking.k8s.io_listenersets.yaml"
)

// suite is what all specs share: an API server, a client without a cache, and
// the controller under test.
var suite struct {
	config  *rest.Config
	client  client.WithWatch
	crds    string // folder of the Gateway API's definitions
	address string // of the config stream
	webhook string // address of the mesh's webhook
	stop    func() // stops the running controller
}

func TestController(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	SetDefaultConsistentlyDuration(time.Second)
	RunSpecs(t, "controller")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	log.SetLogger(logr.FromSlogHandler(logHandler()))
	scheme, err := NewScheme()
	Expect(err).NotTo(HaveOccurred())
	suite.crds = gatewayAPIDefinitions(ctx)
	environment := &envtest.Environment{
		BinaryAssetsDirectory: assets(),
		CRDDirectoryPaths:     append(definitionsExcept(absentAtFirst), filepath.Join("..", "..", "config", "crd", "bases")),
		ErrorIfCRDPathMissing: true,
		Scheme:                scheme,
	}
	suite.config, err = environment.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(environment.Stop)
	suite.client, err = client.NewWithWatch(suite.config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	Expect(suite.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ownNamespace}})).To(Succeed())
	suite.address, suite.webhook = porttest.Address(GinkgoTB()), porttest.Address(GinkgoTB())
	startController()
	DeferCleanup(func() { suite.stop() })
})

// startController runs the controller until suite.stop is called.
func startController() {
	GinkgoHelper()
	stop := startReplica(suite.address, suite.webhook)
	suite.stop = func() {
		GinkgoHelper()
		stop()
		suite.stop = func() {}
	}
}

// startReplica runs a controller whose config stream and webhook are at these
// addresses, and returns what stops it. Its options may be changed.
func startReplica(address, webhook string, change ...func(*Options)) (stop func()) {
	GinkgoHelper()
	registry := prometheus.NewRegistry()
	scheme, err := NewScheme()
	Expect(err).NotTo(HaveOccurred())
	mgr, err := ctrl.NewManager(suite.config, ctrl.Options{
		Scheme: scheme, Cache: CacheOptions(), Logger: logr.FromSlogHandler(logHandler()),
		Metrics:        metricsserver.Options{BindAddress: "0"},
		LeaderElection: true, LeaderElectionID: "controller.citoroute.io", LeaderElectionNamespace: ownNamespace,
		LeaderElectionReleaseOnCancel: true,
	})
	Expect(err).NotTo(HaveOccurred())
	o := Options{
		Namespace: ownNamespace, ServiceName: "citoroute-controller", SecretName: "citoroute-controller-tls",
		StreamAddress: address, Mesh: true, WebhookName: "citoroute-webhook", WebhookAddress: webhook,
		Infra:  infra.Options{Image: "citoroute/proxy:test"},
		Logger: slog.New(logHandler()), Registry: registry,
	}
	for _, f := range change {
		f(&o)
	}
	Expect(Setup(mgr, o)).To(Succeed())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	return func() {
		GinkgoHelper()
		cancel()
		Eventually(done).Should(Receive(Not(HaveOccurred())))
	}
}

func logHandler() slog.Handler { return slog.NewTextHandler(GinkgoWriter, nil) }

// assets returns the folder with etcd and kube-apiserver: `make test` sets the
// variable; otherwise it is where the local cluster keeps its builds.
func assets() string {
	GinkgoHelper()
	dir := os.Getenv("KUBEBUILDER_ASSETS")
	if dir == "" {
		cache, err := os.UserCacheDir()
		Expect(err).NotTo(HaveOccurred())
		dir = filepath.Join(cache, "citoroute", "cluster", "bin")
	}
	for _, program := range []string{"etcd", "kube-apiserver"} {
		Expect(filepath.Join(dir, program)).To(BeAnExistingFile(), "run the tests by `make test`, or set KUBEBUILDER_ASSETS")
	}
	return dir
}

// gatewayAPIDefinitions returns the folder of the experimental channel in the
// module cache.
func gatewayAPIDefinitions(ctx context.Context) string {
	GinkgoHelper()
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/gateway-api").Output()
	Expect(err).NotTo(HaveOccurred())
	return filepath.Join(strings.TrimSpace(string(out)), "config", "crd", "experimental")
}

// definitionsExcept lists the Gateway API's definitions but one.
func definitionsExcept(absent string) []string {
	GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(suite.crds, "gateway.networking.*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	var out []string
	for _, f := range files {
		if base := filepath.Base(f); base != absent && !strings.Contains(base, "_vap_") {
			out = append(out, f)
		}
	}
	Expect(out).NotTo(BeEmpty())
	return out
}
