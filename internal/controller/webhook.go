package controller

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/types"
	applyadmissionv1 "k8s.io/client-go/applyconfigurations/admissionregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/translate"
)

// Pods of the mesh are not admitted without a word of ours: one without a
// sidecar would leave its routes out, unseen. Nothing else is asked about:
// the controller and the proxies of Gateways are labelled, to come up without.
//
// +kubebuilder:webhookconfiguration:mutating=true,name=citoroute-webhook
// +kubebuilder:webhook:path=/mutate--v1-pod,mutating=true,failurePolicy=fail,sideEffects=None,timeoutSeconds=5,reinvocationPolicy=IfNeeded,groups="",resources=pods,verbs=create,versions=v1,name=pods.citoroute.io,admissionReviewVersions=v1,serviceName=citoroute-webhook,serviceNamespace=citoroute-system,patch=`{"namespaceSelector":{"matchLabels":{"citoroute.io/injection":"enabled"}},"objectSelector":{"matchExpressions":[{"key":"citoroute.io/injection","operator":"NotIn","values":["disabled"]}]}}`

// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations,resourceNames=citoroute-webhook,verbs=get;list;watch;patch

const (
	webhookConfiguration = "citoroute-webhook"
	podWebhook           = "pods.citoroute.io"
	podPath              = "/mutate--v1-pod"
)

// webhookKey has the mesh's reconciler look at the webhook's configuration.
func webhookKey() translate.Key {
	return translate.Key{Kind: "MutatingWebhookConfiguration", Name: webhookConfiguration}
}

// newWebhook returns a server, of every replica, that answers for pods. It
// shows the certificate of the config stream.
func newWebhook(address string, identity *Identity, pods http.Handler) (webhook.Server, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("controller options: WebhookAddress: %w", err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return nil, fmt.Errorf("controller options: WebhookAddress: %q is not a port from 1 to 65535", text)
	}
	server := webhook.NewServer(webhook.Options{Host: host, Port: int(port), TLSOpts: []func(*tls.Config){func(c *tls.Config) {
		c.MinVersion = tls.VersionTLS13
		c.NextProtos = []string{"http/1.1"}
		c.GetCertificate = identity.Certificate
	}}})
	server.Register(podPath, once(pods))
	return server, nil
}

// once makes every call a connection of its own: an API server would keep one
// for days otherwise, to a replica that others leave alone, and lose what it
// sends when that replica stops.
func once(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		h.ServeHTTP(w, r)
	})
}

// reconcileWebhook has API servers find the webhook and trust its certificate,
// whatever namespace the controller is in. Who installed no configuration has
// no pods injected.
func (r *MeshReconciler) reconcileWebhook(ctx context.Context) error {
	bundle := r.identity.Authorities()
	if bundle == nil {
		return nil
	}
	config := &admissionv1.MutatingWebhookConfiguration{}
	if err := r.client.Get(ctx, client.ObjectKey{Name: webhookConfiguration}, config); err != nil {
		return client.IgnoreNotFound(err)
	}
	i := slices.IndexFunc(config.Webhooks, func(w admissionv1.MutatingWebhook) bool { return w.Name == podWebhook })
	if i < 0 || r.reaches(config.Webhooks[i].ClientConfig, bundle) {
		return nil
	}
	want := applyadmissionv1.MutatingWebhookConfiguration(webhookConfiguration).WithWebhooks(
		applyadmissionv1.MutatingWebhook().WithName(podWebhook).WithClientConfig(
			applyadmissionv1.WebhookClientConfig().WithCABundle(bundle...).WithService(
				applyadmissionv1.ServiceReference().WithNamespace(r.webhook.Namespace).WithName(r.webhook.Name).WithPath(podPath))))
	if err := r.client.Apply(ctx, want, client.FieldOwner(infra.ManagedBy), client.ForceOwnership); err != nil {
		return fmt.Errorf("apply MutatingWebhookConfiguration %s: %w", webhookConfiguration, err)
	}
	return nil
}

// reaches says that a caller with this configuration finds us and trusts us.
func (r *MeshReconciler) reaches(c admissionv1.WebhookClientConfig, bundle []byte) bool {
	return c.Service != nil && bytes.Equal(c.CABundle, bundle) &&
		r.webhook == types.NamespacedName{Namespace: c.Service.Namespace, Name: c.Service.Name}
}
