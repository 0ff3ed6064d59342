package controller

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/infra"
)

// TestApply_TakesNothingOver is an object of somebody else's that the cache has
// not seen yet.
func TestApply_TakesNothingOver(t *testing.T) {
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "config"}, Data: map[string]string{"a": "b"}}
	applied := false
	cluster := fake.NewClientBuilder().WithObjects(theirs).Build()
	behind := interceptor.NewClient(cluster, interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "configmaps"}, key.Name)
		},
		Apply: func(context.Context, client.WithWatch, runtime.ApplyConfiguration, ...client.ApplyOption) error {
			applied = true
			return nil
		},
	})
	ours := &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "config"},
	}
	err := applier{behind, cluster}.apply(t.Context(), ours, managed)
	if err == nil || !strings.Contains(err.Error(), "is not ours") || applied {
		t.Errorf("got %v, applied: %t", err, applied)
	}
	ours.Name = "other"
	if err := (applier{behind, cluster}).apply(t.Context(), ours, managed); err != nil || !applied {
		t.Errorf("one that is not there: %v, applied: %t", err, applied)
	}
}

// TestOwnedBy_WhoseObjects are objects in the place of one of a Gateway's.
func TestOwnedBy_WhoseObjects(t *testing.T) {
	gateway := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "this"}}
	label := map[string]string{infra.LabelManagedBy: infra.ManagedBy}
	controlledBy := func(uid types.UID) []metav1.OwnerReference {
		return []metav1.OwnerReference{{APIVersion: "gateway.networking.k8s.io/v1", Kind: "Gateway", Name: "web", UID: uid, Controller: new(true)}}
	}
	for name, c := range map[string]struct {
		object metav1.ObjectMeta
		want   bool
	}{
		"the Gateway's":                          {metav1.ObjectMeta{OwnerReferences: controlledBy("this")}, true},
		"ours and nobody's":                      {metav1.ObjectMeta{Labels: label}, true},
		"somebody's":                             {metav1.ObjectMeta{}, false},
		"another controller's":                   {metav1.ObjectMeta{OwnerReferences: controlledBy("other")}, false},
		"of a Gateway of that name that is gone": {metav1.ObjectMeta{Labels: label, OwnerReferences: controlledBy("before")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ownedBy(gateway)(&corev1.Service{ObjectMeta: c.object}); got != c.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
