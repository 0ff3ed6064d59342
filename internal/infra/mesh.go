package infra

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/citoroute/citoroute/internal/bootstrap"
)

const (
	// MeshConfig is the name of the ConfigMap that all sidecars of a namespace
	// start from.
	MeshConfig = "citoroute-mesh"
	// KeySidecar is its key with the sidecars' bootstrap; KeyCA is the other.
	KeySidecar = "proxy.toml"
)

// MeshInput is what the ConfigMap of a meshed namespace follows from.
type MeshInput struct {
	Options
	Namespace string
	// Node is the name under which sidecars ask for their configuration.
	Node string
	// CA is the PEM bundle of the controller's certificate authorities.
	CA []byte
}

// Mesh returns the ConfigMap of a meshed namespace. It goes with the namespace,
// or with the namespace's label.
func Mesh(in MeshInput) (*corev1.ConfigMap, error) {
	config, err := in.bootstrap(bootstrap.DefaultSidecar(), in.Node).Marshal()
	if err != nil {
		return nil, fmt.Errorf("mesh of namespace %s: %w", in.Namespace, err)
	}
	return &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{
			Name:      MeshConfig,
			Namespace: in.Namespace,
			Labels:    map[string]string{LabelManagedBy: ManagedBy, "app.kubernetes.io/name": "citoroute-sidecar"},
		},
		Data: map[string]string{KeySidecar: string(config), KeyCA: string(in.CA)},
	}, nil
}
