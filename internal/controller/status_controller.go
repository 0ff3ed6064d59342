package controller

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/citoroute/citoroute/internal/status"
	"github.com/citoroute/citoroute/internal/translate"
)

// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gatewayclasses/status;gateways/status;listenersets/status;httproutes/status;grpcroutes/status;tlsroutes/status;tcproutes/status;udproutes/status;backendtlspolicies/status,verbs=update;patch
// +kubebuilder:rbac:groups=gateway.networking.x-k8s.io,resources=xmeshes/status,verbs=update;patch
// +kubebuilder:rbac:groups=citoroute.io,resources=llmroutes/status;llmbackends/status;consumers/status;jwtvalidationpolicies/status;llmlimitpolicies/status;llmpricetables/status,verbs=update;patch

// StatusReconciler is the only writer of status.
type StatusReconciler struct {
	client client.Client
	world  *World
	facts  *facts
}

// Reconcile writes the status of one object, if it is another one than the
// object has.
func (r *StatusReconciler) Reconcile(ctx context.Context, key translate.Key) (ctrl.Result, error) {
	o, report := r.world.object(key)
	if o == nil {
		return ctrl.Result{}, nil
	}
	facts, wait, err := r.facts.of(ctx, o)
	if err != nil || wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, err
	}
	updated, changed := status.Compute(o, report, facts, metav1.NewTime(r.facts.now()))
	if !changed {
		return ctrl.Result{}, nil
	}
	return ctrl.Result{}, r.write(ctx, key, updated)
}

// write demands that the object is as it was seen: what others write in the
// meantime is never lost, and the newer object, or that it is gone, comes along
// by itself and has this looked at again.
func (r *StatusReconciler) write(ctx context.Context, key translate.Key, updated translate.Object) error {
	writable, ok := updated.(client.Object)
	if !ok {
		return fmt.Errorf("%T is no API object", updated)
	}
	err := r.client.Status().Update(ctx, writable)
	if err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("write status of %s: %w", key, err)
}
