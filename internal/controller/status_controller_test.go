package controller

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// TestStatus_WaitsForTheNewerObject is an object that the API server has in
// another form than was seen. To try the same again is of no use until that has
// come along, and it has the status looked at anew.
func TestStatus_WaitsForTheNewerObject(t *testing.T) {
	for name, refused := range map[string]error{
		"Changed": apierrors.NewConflict(schema.GroupResource{Resource: "gateways"}, "web", nil),
		"Gone":    apierrors.NewNotFound(schema.GroupResource{Resource: "gateways"}, "web"),
	} {
		t.Run(name, func(t *testing.T) {
			cluster := interceptor.NewClient(fake.NewFakeClient(), interceptor.Funcs{
				SubResourceUpdate: func(context.Context, client.Client, string, client.Object, ...client.SubResourceUpdateOption) error {
					return refused
				},
			})
			r := &StatusReconciler{client: cluster, world: emptyWorld(t)}
			gateway := newGateway("ns", "web", "citoroute")
			if err := r.write(t.Context(), keyOf(gateway), gateway); err != nil {
				t.Error(err)
			}
			if n := r.world.status.NumRequeues(keyOf(gateway)); n != 0 {
				t.Errorf("queued %d times", n)
			}
		})
	}
}
