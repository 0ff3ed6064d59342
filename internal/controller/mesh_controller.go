package controller

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/citoroute/citoroute/internal/engine"
	"github.com/citoroute/citoroute/internal/infra"
	"github.com/citoroute/citoroute/internal/translate"
)

// MeshReconciler keeps, in each namespace of the mesh, the ConfigMap that its
// sidecars start from, and removes it from a namespace that left. It also keeps
// the configuration of the webhook that injects them.
type MeshReconciler struct {
	client   applier
	world    *World
	identity *Identity
	options  infra.Options
	// webhook is the Service by which API servers reach the webhook.
	webhook types.NamespacedName
	events  events.EventRecorder
}

// Reconcile looks at one namespace, or at the webhook's configuration.
func (r *MeshReconciler) Reconcile(ctx context.Context, key translate.Key) (ctrl.Result, error) {
	if key == webhookKey() {
		return ctrl.Result{}, r.reconcileWebhook(ctx)
	}
	return ctrl.Result{}, r.reconcileNamespace(ctx, key)
}

func (r *MeshReconciler) reconcileNamespace(ctx context.Context, key translate.Key) error {
	o, _ := r.world.object(key)
	namespace, ok := o.(*corev1.Namespace)
	switch {
	case !ok || namespace.DeletionTimestamp != nil:
		return nil
	case !r.world.inMesh(key.Name):
		return r.remove(ctx, key.Name)
	}
	bundle := r.identity.Authorities()
	if bundle == nil {
		return nil // every namespace is looked at again once there is one
	}
	config, err := infra.Mesh(infra.MeshInput{Options: r.options, Namespace: key.Name, Node: engine.NodeOf(key), CA: bundle})
	if err != nil {
		return err
	}
	err = r.client.apply(ctx, config, managed)
	if err == nil || namespaceIsGoing(err) {
		return nil
	}
	r.events.Eventf(namespace, nil, corev1.EventTypeWarning, "MeshFailed", "Apply", "%s", err)
	return err
}

// remove deletes the ConfigMap of a namespace, if it is ours.
func (r *MeshReconciler) remove(ctx context.Context, namespace string) error {
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: infra.MeshConfig}}
	err := r.client.Get(ctx, client.ObjectKeyFromObject(config), config)
	if err != nil || !managed(config) {
		return client.IgnoreNotFound(err)
	}
	return client.IgnoreNotFound(r.client.Delete(ctx, config))
}
