package controller

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/infra"
)

// TestHold_RenewsOnlyWhomProxiesTrust is a Gateway whose parameters are gone for
// longer than the controller's authorities live.
func TestHold_RenewsOnlyWhomProxiesTrust(t *testing.T) {
	gateway := newGateway("ns", "web", "citoroute")
	full := map[string]string{infra.KeyCA: "old", "bootstrap.toml": "as it was"}
	for name, c := range map[string]struct {
		owner      types.UID
		data, want map[string]string
	}{
		"Ours":    {"uid", full, map[string]string{infra.KeyCA: "new", "bootstrap.toml": "as it was"}},
		"Others":  {"other", full, full},
		"Emptied": {"uid", nil, map[string]string{infra.KeyCA: "new"}},
	} {
		t.Run(name, func(t *testing.T) {
			gateway.UID = "uid"
			owner := metav1.OwnerReference{APIVersion: gatewayv1.GroupVersion.String(), Kind: "Gateway", Name: "web", UID: c.owner, Controller: new(true)}
			config := &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web-citoroute", OwnerReferences: []metav1.OwnerReference{owner}},
				Data:       maps.Clone(c.data),
			}
			cluster := fake.NewClientBuilder().WithObjects(config).Build()
			r := &GatewayReconciler{client: applier{cluster, cluster}}
			if err := r.hold(t.Context(), gateway, []byte("new")); err != nil {
				t.Fatal(err)
			}
			if err := cluster.Get(t.Context(), client.ObjectKeyFromObject(config), config); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, config.Data); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	r := &GatewayReconciler{client: applier{fake.NewFakeClient(), fake.NewFakeClient()}}
	if err := r.hold(t.Context(), gateway, []byte("new")); err != nil {
		t.Errorf("nothing is there: %v", err)
	}
}
