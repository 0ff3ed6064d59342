// Command controller is the operator: it translates Gateway API objects, serves
// configuration to the proxies, runs a Deployment of them per Gateway and
// writes status. Several replicas may run: all serve configuration, the leader
// alone writes what users see.
package main

import (
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/citoroute/citoroute/internal/controller"
)

// Limits of what is asked of the API server, which has its own priorities and
// fairness beyond that.
const (
	clientQPS   = 200
	clientBurst = 400
	// stopTimeout is how long a stopping controller waits for its parts.
	stopTimeout = 10 * time.Second
)

// settings are the command line.
type settings struct {
	controller.Options

	metrics                 metricsSettings
	healthAddress           string
	leaderElection          bool
	logLevel                slog.Level
	pullPolicy, serviceType string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "controller:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	s := parse(args)
	handler := slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: s.logLevel})
	s.Logger = slog.New(handler)
	s.Registry = metrics.Registry
	logger := logr.FromSlogHandler(handler)
	log.SetLogger(logger)

	mgr, err := s.manager(logger)
	if err != nil {
		return err
	}
	if err := controller.Setup(mgr, s.Options); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	return mgr.Start(ctrl.SetupSignalHandler())
}

func (s *settings) manager(logger logr.Logger) (ctrl.Manager, error) {
	scheme, err := controller.NewScheme()
	if err != nil {
		return nil, err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = clientQPS, clientBurst
	served, err := s.metrics.options()
	if err != nil {
		return nil, err
	}
	return ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Logger:                 logger,
		Cache:                  controller.CacheOptions(),
		Metrics:                served,
		HealthProbeBindAddress: s.healthAddress,
		LeaderElection:         s.leaderElection,
		LeaderElectionID:       "controller.citoroute.io",
		// The lease is given up last, so that a successor takes over at once.
		LeaderElectionReleaseOnCancel: true,
		LeaderElectionNamespace:       s.Namespace,
		GracefulShutdownTimeout:       new(stopTimeout),
	})
}

// parse reads the command line. Defaults that depend on the installation come
// from the environment.
func parse(args []string) *settings {
	s := &settings{}
	s.PodName, s.PodUID = os.Getenv("POD_NAME"), types.UID(os.Getenv("POD_UID"))
	f := flag.NewFlagSet("controller", flag.ExitOnError)
	s.streamFlags(f)
	s.proxyFlags(f)
	s.meshFlags(f)
	s.metrics.flags(f)
	s.processFlags(f)
	_ = f.Parse(args) // exits on error
	s.Infra.ImagePullPolicy = corev1.PullPolicy(s.pullPolicy)
	s.Infra.ServiceType = corev1.ServiceType(s.serviceType)
	s.Infra.Push.Protocol = s.Infra.Tracing.Protocol
	return s
}

// streamFlags say what is served, and how proxies reach it.
func (s *settings) streamFlags(f *flag.FlagSet) {
	f.StringVar(&s.ControllerName, "controller-name", controller.DefaultControllerName,
		"spec.controllerName of the GatewayClasses to serve")
	f.StringVar(&s.Namespace, "namespace", env("POD_NAMESPACE", "citoroute-system"),
		"the controller's own namespace (default from POD_NAMESPACE)")
	f.StringVar(&s.ServiceName, "stream-service", "citoroute-controller",
		"name of the Service by which proxies reach the config stream")
	f.StringVar(&s.SecretName, "stream-secret", "citoroute-controller-tls",
		"name of the Secret that keeps the config stream's certificates")
	f.StringVar(&s.StreamAddress, "stream-address", ":15010",
		"where the config stream listens")
}

// meshFlags say whether there is a mesh, and how API servers reach its webhook.
func (s *settings) meshFlags(f *flag.FlagSet) {
	f.BoolVar(&s.Mesh, "mesh", true,
		"serve a mesh in the namespaces that are labelled citoroute.io/injection=enabled")
	f.StringVar(&s.WebhookName, "webhook-service", "citoroute-webhook",
		"name of the Service by which API servers reach the webhook that injects sidecars")
	f.StringVar(&s.WebhookAddress, "webhook-address", ":9443",
		"where that webhook listens")
}

// proxyFlags say how the proxies of Gateways are run.
func (s *settings) proxyFlags(f *flag.FlagSet) {
	f.StringVar(&s.Infra.Image, "proxy-image", os.Getenv("PROXY_IMAGE"),
		"image of the proxies (default from PROXY_IMAGE; required)")
	f.StringVar(&s.pullPolicy, "proxy-image-pull-policy", string(corev1.PullIfNotPresent),
		"imagePullPolicy of the proxies: Always, IfNotPresent or Never")
	f.StringVar(&s.serviceType, "gateway-service-type", string(corev1.ServiceTypeLoadBalancer),
		"type of the Services of Gateways: LoadBalancer, NodePort or ClusterIP")
	f.StringVar(&s.Infra.LogLevel, "proxy-log-level", "info",
		"log level of the proxies: debug, info, warn or error")
	f.BoolVar(&s.Infra.AccessLog, "proxy-access-log", false,
		"have the proxies log every request")
	f.StringVar(&s.Infra.Tracing.Endpoint, "proxy-otlp-endpoint", "",
		"base URL of the OTLP collector that the proxies send spans to, such as http://collector.observability:4318; empty: none")
	f.StringVar(&s.Infra.Tracing.Protocol, "proxy-otlp-protocol", "http/protobuf",
		"what that collector speaks: http/protobuf or grpc")
	f.Float64Var(&s.Infra.Tracing.Ratio, "proxy-trace-ratio", 0.01,
		"share of requests, 0 to 1, that are recorded where the caller has not decided")
	f.StringVar(&s.Infra.Push.Endpoint, "proxy-otlp-metrics-endpoint", "",
		"base URL of the OTLP collector that the proxies push metrics to, by --proxy-otlp-protocol; empty: none")
	f.DurationVar((*time.Duration)(&s.Infra.Push.Interval), "proxy-otlp-metrics-interval", time.Minute,
		"time from one push of metrics to the next")
	f.Func("issuer-networks",
		"networks such as 10.96.0.0/12,10.244.0.0/16 from which proxies may fetch keys of token issuers, over http too; elsewhere only from public addresses over https",
		func(list string) error { return parseNetworks(list, &s.Infra.IssuerNetworks) })
}

// processFlags are about this process.
func (s *settings) processFlags(f *flag.FlagSet) {
	f.StringVar(&s.healthAddress, "health-address", ":8081",
		"where /healthz and /readyz are served")
	f.BoolVar(&s.leaderElection, "leader-election", true,
		"write to the cluster only while holding a lease; needed for several replicas")
	f.TextVar(&s.logLevel, "log-level", slog.LevelInfo,
		"log level of the controller: DEBUG, INFO, WARN or ERROR")
}

// parseNetworks reads prefixes with commas between them.
func parseNetworks(list string, out *[]netip.Prefix) error {
	for text := range strings.SplitSeq(list, ",") {
		network, err := netip.ParsePrefix(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("%q is not a network such as 10.96.0.0/12", text)
		}
		*out = append(*out, network.Masked())
	}
	return nil
}

func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}
