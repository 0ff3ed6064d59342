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
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
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
