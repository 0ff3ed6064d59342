package controller

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/push"
	"github.com/citoroute/citoroute/internal/translate"
	"github.com/citoroute/citoroute/internal/webhook"
)

const (
	// DefaultControllerName is the spec.controllerName of the GatewayClasses
	// that CitoRoute serves.
	DefaultControllerName = "citoroute.io/gateway-controller"
	// workers is how many objects each reconciler looks at simultaneously.
	workers = 4
)

// Options configure the controller.
type Options struct {
	// ControllerName is DefaultControllerName where empty.
	ControllerName string
	// Namespace is the controller's own.
	Namespace string
	// PodName and PodUID are this replica's Pod, which owns what the replica tells
	// the others. Without a name it tells them nothing, as one that is alone.
	PodName string
	PodUID  types.UID
	// ServiceName is the Service by which proxies reach the config stream, and
	// SecretName the Secret with its certificates, both in Namespace.
	ServiceName, SecretName string
	// StreamAddress is where the config stream listens, host:port.
	StreamAddress string
	// Mesh serves the namespaces that ask for it. Without it nothing is injected
	// and sidecars get nothing new.
	Mesh bool
	// WebhookName is the Service in Namespace by which API servers reach the
	// webhook of the mesh, and WebhookAddress is where it listens, host:port.
	WebhookName, WebhookAddress string
	// Infra is what all Gateways' infrastructure has in common. Servers and
	// ServerName are filled in from ServiceName where empty.
	Infra infra.Options
	// Logger is for what happens on config streams.
	Logger *slog.Logger
	// Registry takes the controller's metrics.
	Registry prometheus.Registerer
}

// CacheOptions returns how the manager's cache must be made: it keeps what
// translation reads, and as little of it as possible.
func CacheOptions() cache.Options {
	ours := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{infra.LabelManagedBy: infra.ManagedBy})}
	return cache.Options{
		DefaultTransform:             cache.TransformStripManagedFields(),
		DefaultUnsafeDisableDeepCopy: new(false),
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.Deployment{}:                     ours,
			&corev1.ServiceAccount{}:                 ours,
			&policyv1.PodDisruptionBudget{}:          ours,
			&autoscalingv2.HorizontalPodAutoscaler{}: ours,
			&corev1.Secret{}:                         {Field: usableSecrets()},
			&admissionv1.MutatingWebhookConfiguration{}: {
				Field: fields.OneTermEqualSelector("metadata.name", webhookConfiguration),
			},
		},
	}
}

// usableSecrets leaves out those that no reference can mean: there may be many.
func usableSecrets() fields.Selector {
	return fields.AndSelectors(
		fields.OneTermNotEqualSelector("type", "helm.sh/release.v1"),
		fields.OneTermNotEqualSelector("type", string(corev1.SecretTypeServiceAccountToken)),
		fields.OneTermNotEqualSelector("type", string(corev1.SecretTypeDockerConfigJson)),
	)
}

// Setup adds everything that the controller does to a manager: the one list of
// its parts.
func Setup(mgr ctrl.Manager, o Options) error {
	if err := o.complete(); err != nil {
		return err
	}
	m, err := newMetrics(o.Registry)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	world := newWorld(engine.Options{ControllerName: o.ControllerName, Mesh: o.Mesh}, logger(mgr), m)
	identity := newIdentity(mgr, o, world)
	refusals := newRefusals(mgr.GetClient(), o, logger(mgr), world.restateNode)
	world.server = newServer(mgr, o, world, identity, refusals)
	if err := m.watch(o.Registry, world, identity); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	stream := &Stream{world: world, server: world.server, address: o.StreamAddress, bound: make(chan struct{})}
	for _, r := range []manager.Runnable{newFeed(mgr, o, world, identity, refusals), identity, stream, refusals} {
		if err := mgr.Add(r); err != nil {
			return err
		}
	}
	if err := addReconcilers(mgr, o, world, identity, refusals); err != nil {
		return err
	}
	if o.Mesh {
		if err := addMesh(mgr, o, world, identity); err != nil {
			return err
		}
	}
	return mgr.AddReadyzCheck("stream", ready(stream, identity))
}

func logger(mgr ctrl.Manager) logr.Logger { return mgr.GetLogger().WithName("citoroute") }

func newIdentity(mgr ctrl.Manager, o Options, world *World) *Identity {
	return &Identity{
		client:  mgr.GetClient(),
		reader:  mgr.GetAPIReader(),
		secret:  types.NamespacedName{Namespace: o.Namespace, Name: o.SecretName},
		hosts:   o.hosts(),
		now:     time.Now,
		log:     logger(mgr).WithName("identity"),
		changed: world.reconsiderAll,
	}
}

func newServer(mgr ctrl.Manager, o Options, world *World, identity *Identity, refusals *Refusals) *push.Server {
	rejected := func(node string) string { return world.server.State(node).Rejected }
	return push.NewServer(push.ServerOptions{
		TLS:       &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: identity.Certificate},
		Authorize: authorize(mgr.GetClient(), world),
		Changed: func(node string) {
			refusals.note(node, rejected)
			world.restateNode(node)
		},
		Logger: o.Logger,
	})
}

func newFeed(mgr ctrl.Manager, o Options, world *World, identity *Identity, refusals *Refusals) *Feed {
	return &Feed{
		world: world, identity: identity, refusals: refusals, cache: mgr.GetCache(), mapper: mgr.GetRESTMapper(),
		log: logger(mgr).WithName("feed"), mesh: o.Mesh,
	}
}

// addReconcilers adds the leader's two writers.
func addReconcilers(mgr ctrl.Manager, o Options, world *World, identity *Identity, refusals *Refusals) error {
	gateways := &GatewayReconciler{
		client: applier{mgr.GetClient(), mgr.GetAPIReader()}, world: world, identity: identity, options: o.Infra,
		events: mgr.GetEventRecorder("citoroute-controller"),
	}
	if err := drain(mgr, "gateway", world.infra, gateways); err != nil {
		return err
	}
	return drain(mgr, "status", world.status, &StatusReconciler{
		client: mgr.GetClient(), world: world,
		facts: &facts{reader: mgr.GetClient(), world: world, server: world.server, refusals: refusals, now: time.Now},
	})
}

// addMesh adds the mesh: the webhook of every replica, and the leader's writer.
func addMesh(mgr ctrl.Manager, o Options, world *World, identity *Identity) error {
	server, err := newWebhook(o.WebhookAddress, identity, webhook.Pods(o.Infra))
	if err != nil {
		return err
	}
	if err := mgr.Add(server); err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("webhook", server.StartedChecker()); err != nil {
		return err
	}
	return drain(mgr, "mesh", world.mesh, &MeshReconciler{
		client: applier{mgr.GetClient(), mgr.GetAPIReader()}, world: world, identity: identity, options: o.Infra,
		webhook: types.NamespacedName{Namespace: o.Namespace, Name: o.WebhookName},
		events:  mgr.GetEventRecorder("citoroute-controller"),
	})
}

// drain has the leader's reconciler look at the keys of a queue, which every
// replica fills.
func drain(mgr ctrl.Manager, name string, q queue, r reconcile.TypedReconciler[translate.Key]) error {
	_, err := controller.NewTyped(name, mgr, controller.TypedOptions[translate.Key]{
		Reconciler:              r,
		MaxConcurrentReconciles: workers,
		SkipNameValidation:      new(true), // several managers in one test process
		LogConstructor:          logFor(mgr.GetLogger().WithValues("controller", name)),
		NewQueue: func(string, workqueue.TypedRateLimiter[translate.Key]) workqueue.TypedRateLimitingInterface[translate.Key] {
			return q
		},
	})
	if err != nil {
		return fmt.Errorf("controller %s: %w", name, err)
	}
	return nil
}

// logFor has lines name the object that is looked at.
func logFor(log logr.Logger) func(*translate.Key) logr.Logger {
	return func(key *translate.Key) logr.Logger {
		if key == nil {
			return log
		}
		return log.WithValues("object", key.String())
	}
}

// ready says that this replica serves configuration.
func ready(stream *Stream, identity *Identity) func(*http.Request) error {
	return func(*http.Request) error {
		select {
		case <-stream.bound:
		default:
			return errors.New("objects are not translated yet")
		}
		_, err := identity.Certificate(nil)
		return err
	}
}

// complete fills in what is derived and checks what is required.
func (o *Options) complete() error {
	if o.ControllerName == "" {
		o.ControllerName = DefaultControllerName
	}
	if err := o.checkRequired(); err != nil {
		return err
	}
	host := serviceHost(o.ServiceName, o.Namespace)
	if o.Infra.ServerName == "" {
		o.Infra.ServerName = host
	}
	if len(o.Infra.Servers) == 0 {
		_, port, err := net.SplitHostPort(o.StreamAddress)
		if err != nil {
			return fmt.Errorf("controller options: StreamAddress: %w", err)
		}
		o.Infra.Servers = []string{net.JoinHostPort(host, port)}
	}
	return nil
}

// hosts are the names by which the controller is called.
func (o *Options) hosts() []string {
	hosts := []string{o.Infra.ServerName}
	if o.Mesh {
		hosts = append(hosts, serviceHost(o.WebhookName, o.Namespace))
	}
	return hosts
}

func serviceHost(name, namespace string) string { return name + "." + namespace + ".svc" }

func (o *Options) checkRequired() error {
	required := map[string]string{
		"Namespace": o.Namespace, "ServiceName": o.ServiceName, "SecretName": o.SecretName,
		"StreamAddress": o.StreamAddress, "Infra.Image": o.Infra.Image,
	}
	if o.Mesh {
		required["WebhookName"], required["WebhookAddress"] = o.WebhookName, o.WebhookAddress
	}
	for name, value := range required {
		if value == "" {
			return fmt.Errorf("controller options: %s is required", name)
		}
	}
	return nil
}
