package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/citoroute/citoroute/internal/infra"
)

// formerReplicas owns the number of replicas that the controller once said and
// does not say any more, until somebody scales.
const formerReplicas = infra.ManagedBy + "-replicas"

// release leaves the number of replicas to others, if it was ours and is not to
// be any more. Server-side apply takes a field away when its last owner leaves
// it out, and the Deployment would have one replica: so another owner has it
// first, as it is.
func (a applier) release(ctx context.Context, want infra.Object) error {
	deployment, ok := want.(*appsv1.Deployment)
	if !ok || deployment.Spec.Replicas != nil {
		return nil
	}
	now := &appsv1.Deployment{}
	err := a.live.Get(ctx, client.ObjectKeyFromObject(deployment), now) // the cache has no managed fields
	if err != nil || now.Spec.Replicas == nil || !slices.ContainsFunc(now.ManagedFields, saysReplicas) {
		return client.IgnoreNotFound(err)
	}
	scale := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": deployment.APIVersion, "kind": deployment.Kind,
		"metadata": map[string]any{"namespace": now.Namespace, "name": now.Name, "resourceVersion": now.ResourceVersion},
		"spec":     map[string]any{"replicas": int64(*now.Spec.Replicas)},
	}}
	err = a.Apply(ctx, client.ApplyConfigurationFromUnstructured(scale), client.FieldOwner(formerReplicas), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("release replicas of Deployment %s/%s: %w", now.Namespace, now.Name, err)
	}
	return nil
}

// saysReplicas says that the controller owns the number of replicas.
func saysReplicas(entry metav1.ManagedFieldsEntry) bool {
	if entry.Manager != infra.ManagedBy || entry.Operation != metav1.ManagedFieldsOperationApply || entry.FieldsV1 == nil {
		return false
	}
	var fields struct {
		Spec map[string]json.RawMessage `json:"f:spec"`
	}
	if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
		return false
	}
	_, ok := fields.Spec["f:replicas"]
	return ok
}
