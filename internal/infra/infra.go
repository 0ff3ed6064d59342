package infra

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/bootstrap"
)

// Labels of every object of a Gateway.
const (
	// LabelGateway holds the Gateway's name (GEP-1762), see [LabelValue]. It is
	// also what the Deployment and the Service select pods by.
	LabelGateway = "gateway.networking.k8s.io/gateway-name"
	// labelClass holds the GatewayClass's name (GEP-1762).
	labelClass = "gateway.networking.k8s.io/gateway-class-name"
	// LabelManagedBy is [ManagedBy] on all that the controller made.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is also the field owner of server-side apply.
	ManagedBy = "citoroute"
)

const (
	// TokenAudience is the audience of the proxies' ServiceAccount tokens.
	TokenAudience = "citoroute"
	// KeyCA is the key of the ConfigMap with the controller's certificate authorities.
	KeyCA = "ca.crt"
	// keyBootstrap is the key of the ConfigMap with the proxy's bootstrap.
	keyBootstrap = "bootstrap.toml"
	// MetricsPort is where a proxy serves /metrics and its probes. A listener
	// cannot have it.
	MetricsPort = 15020
)

// Options are the same for every Gateway and for the mesh.
type Options struct {
	// Image is the proxy's.
	Image           string
	ImagePullPolicy corev1.PullPolicy
	// ServiceType is LoadBalancer where empty.
	ServiceType corev1.ServiceType
	// Servers are the controllers' host:port addresses; ServerName is checked
	// against their certificate.
	Servers    []string
	ServerName string
	// LogLevel and AccessLog are the proxies' (see package bootstrap).
	LogLevel  string
	AccessLog bool
	// Drain is how long a proxy waits for requests in flight; 0: 30 s.
	Drain time.Duration
	// Tracing and Push are the proxies', too.
	Tracing bootstrap.Tracing
	Push    bootstrap.Push
	// IssuerNetworks are where the proxies may fetch keys of token issuers
	// besides the internet.
	IssuerNetworks []netip.Prefix
}

// Input is what the objects of one Gateway follow from.
type Input struct {
	Options
	Gateway *gatewayv1.Gateway
	// Parameters are those of the Gateway and its class; they hold before the
	// Options.
	Parameters v1alpha1.GatewayParametersSpec
	// Node is the name under which the proxy asks for its configuration.
	Node string
	// Ports are those that listeners bind, the Gateway's and its ListenerSets'.
	Ports []Port
	// CA is the PEM bundle of the controller's certificate authorities.
	CA []byte
}

// Object is a Kubernetes object.
type Object interface {
	metav1.Object
	runtime.Object
}

// Objects returns the objects of a Gateway, in the order in which to apply
// them. There is no Service without ports: Kubernetes allows none.
func Objects(in Input) ([]Object, error) {
	in.Options = in.with(in.Parameters)
	config, err := in.bootstrap(bootstrap.Default(), in.Node).Marshal()
	if err != nil {
		return nil, fmt.Errorf("gateway %s/%s: %w", in.Gateway.Namespace, in.Gateway.Name, err)
	}
	sum := sha256.Sum256(config)
	objects := []Object{in.account(), in.config(config), in.deployment(hex.EncodeToString(sum[:8])), in.budget()}
	if a := in.Parameters.Deployment.Autoscaling; a != nil {
		objects = append(objects, in.autoscaler(*a))
	}
	if len(in.Ports) > 0 {
		objects = append(objects, in.services()...)
	}
	return objects, nil
}

func (in Input) account() *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:                     metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta:                   in.meta(),
		AutomountServiceAccountToken: new(false),
	}
}

func (in Input) config(file []byte) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: in.meta(),
		Data:       map[string]string{keyBootstrap: string(file), KeyCA: string(in.CA)},
	}
}

// Key returns the namespace and name of every object of a Gateway.
func Key(gateway *gatewayv1.Gateway) (namespace, name string) {
	return gateway.Namespace, objectName(gateway.Name, string(gateway.Spec.GatewayClassName))
}

func (in Input) meta() metav1.ObjectMeta {
	namespace, name := Key(in.Gateway)
	return metav1.ObjectMeta{
		Name:            name,
		Namespace:       namespace,
		Labels:          in.labels(),
		Annotations:     in.annotations(),
		OwnerReferences: []metav1.OwnerReference{in.owner()},
	}
}

func (in Input) owner() metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion:         gatewayv1.GroupVersion.String(),
		Kind:               "Gateway",
		Name:               in.Gateway.Name,
		UID:                in.Gateway.UID,
		Controller:         new(true),
		BlockOwnerDeletion: new(true),
	}
}

// labels returns those of spec.infrastructure and ours, which win: objects are
// selected by them.
func (in Input) labels() map[string]string {
	out := map[string]string{}
	if i := in.Gateway.Spec.Infrastructure; i != nil {
		out = plain(i.Labels)
	}
	maps.Copy(out, in.selector())
	out[labelClass] = LabelValue(string(in.Gateway.Spec.GatewayClassName))
	out[LabelManagedBy] = ManagedBy
	out["app.kubernetes.io/name"] = "citoroute-proxy"
	return out
}

// plain returns labels or annotations as strings.
func plain[K, V ~string](in map[K]V) map[string]string {
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[string(k)] = string(v)
	}
	return out
}

func (in Input) annotations() map[string]string {
	i := in.Gateway.Spec.Infrastructure
	if i == nil || len(i.Annotations) == 0 {
		return nil
	}
	return plain(i.Annotations)
}

// selector is immutable in a Deployment, so it holds only what never changes.
func (in Input) selector() map[string]string {
	return map[string]string{LabelGateway: LabelValue(in.Gateway.Name)}
}

// bootstrap completes c to what the proxies of a node start from.
func (o Options) bootstrap(c bootstrap.Config, node string) bootstrap.Config {
	c.Node = node
	c.Source = bootstrap.SourceStream
	c.Stream = o.stream()
	c.Metrics = fmt.Sprintf(":%d", MetricsPort)
	c.StateDir = stateDir
	c.Issuers.Networks = o.IssuerNetworks
	c.Log.Level = cmp.Or(o.LogLevel, c.Log.Level)
	c.Log.Access = o.AccessLog
	c.Tracing = o.Tracing
	if o.Push.Endpoint != "" {
		c.Push = o.Push
	}
	c.Timeouts.Drain = bootstrap.Duration(o.drain())
	return c
}

func (o Options) stream() bootstrap.Stream {
	return bootstrap.Stream{
		Servers:    o.Servers,
		ServerName: o.ServerName,
		CAFile:     configDir + "/" + KeyCA,
		TokenFile:  tokenDir + "/token",
	}
}
