package controller

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/citoroute/citoroute/internal/controller/authority"
	"github.com/citoroute/citoroute/internal/infra"
)

// +kubebuilder:rbac:groups="",namespace=citoroute-system,resources=secrets,verbs=create;update

const (
	keyAuthorities   = "ca.crt"
	keyAuthorityKeys = "ca.key"
	// renewEvery is how often the leader looks whether a certificate is due, and
	// retryEvery after a failure.
	renewEvery = time.Hour
	retryEvery = 5 * time.Second
)

// Identity is the controller's side of the config stream and of the webhook: the
// certificate that it shows and the authorities that callers trust. The leader keeps both in a
// Secret; every replica follows that Secret.
type Identity struct {
	client client.Client
	reader client.Reader // not cached
	secret types.NamespacedName
	hosts  []string
	now    func() time.Time
	log    logr.Logger
	// changed is called when the authorities are others.
	changed func()

	material atomic.Pointer[authority.Material]
	serving  atomic.Pointer[tls.Certificate]
}

// NeedLeaderElection says that only the leader writes the Secret.
func (*Identity) NeedLeaderElection() bool { return true }

// Start keeps the Secret until ctx is done.
func (i *Identity) Start(ctx context.Context) error {
	for {
		wait := renewEvery
		if err := i.renew(ctx); err != nil && ctx.Err() == nil {
			i.log.Error(err, "Certificates of the config stream were not renewed")
			wait = retryEvery
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// renew brings the Secret up to date.
func (i *Identity) renew(ctx context.Context) error {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: i.secret.Namespace, Name: i.secret.Name}}
	if err := client.IgnoreNotFound(i.reader.Get(ctx, i.secret, secret)); err != nil {
		return fmt.Errorf("read Secret %s: %w", i.secret, err)
	}
	next, changed, err := materialOf(secret).Renew(i.hosts, i.now())
	if err != nil {
		return err
	}
	if changed {
		if err := i.write(ctx, secret, next); err != nil {
			return fmt.Errorf("write Secret %s: %w", i.secret, err)
		}
		i.log.Info("Renewed the certificates of the config stream", "secret", i.secret.String())
	}
	i.observe(secret)
	return nil
}

// write stores m in the Secret, which is new if it has no version.
func (i *Identity) write(ctx context.Context, secret *corev1.Secret, m authority.Material) error {
	secret.Type = corev1.SecretTypeTLS
	secret.Labels = map[string]string{infra.LabelManagedBy: infra.ManagedBy}
	secret.Data = map[string][]byte{
		keyAuthorities: m.Authorities, keyAuthorityKeys: m.AuthorityKeys,
		corev1.TLSCertKey: m.Certificate, corev1.TLSPrivateKeyKey: m.Key,
	}
	if secret.ResourceVersion == "" {
		return i.client.Create(ctx, secret)
	}
	return i.client.Update(ctx, secret)
}

// observe takes the material of the Secret in; other Secrets are ignored.
func (i *Identity) observe(secret *corev1.Secret) {
	if client.ObjectKeyFromObject(secret) != i.secret {
		return
	}
	m := materialOf(secret)
	pair, err := m.TLS()
	if err != nil {
		i.log.Error(err, "Secret is unusable", "secret", i.secret.String())
		return
	}
	i.serving.Store(pair)
	old := i.material.Swap(&m)
	if old == nil || !bytes.Equal(old.Authorities, m.Authorities) {
		i.changed()
	}
}

// Authorities returns the PEM bundle that callers trust; nil: there is none yet.
func (i *Identity) Authorities() []byte {
	if m := i.material.Load(); m != nil {
		return m.Authorities
	}
	return nil
}

// Certificate returns what the servers show. It suits tls.Config.
func (i *Identity) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c := i.serving.Load(); c != nil {
		return c, nil
	}
	return nil, errors.New("the certificate of the config stream is not there yet")
}

func materialOf(secret *corev1.Secret) authority.Material {
	return authority.Material{
		Authorities: secret.Data[keyAuthorities], AuthorityKeys: secret.Data[keyAuthorityKeys],
		Certificate: secret.Data[corev1.TLSCertKey], Key: secret.Data[corev1.TLSPrivateKeyKey],
	}
}
