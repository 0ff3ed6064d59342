package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/citoroute/citoroute/internal/infra"
)

// errNotOurs is about an object.
var errNotOurs = errors.New("exists and is not ours: rename or remove it")

// applier writes to the cluster what the controller makes.
type applier struct {
	client.Client // reads from the cache
	// live reads from the cluster.
	live client.Reader
}

// apply makes one object what it should be, if it is not. An object in its
// place that is not ours is an error: somebody else made it, for something else.
func (a applier) apply(ctx context.Context, want infra.Object, ours func(client.Object) bool) error {
	wanted, err := intent(want)
	if err != nil {
		return err
	}
	current, err := a.current(ctx, want)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	if err == nil {
		if !ours(current) {
			return fmt.Errorf("%s %s/%s %w", wanted.GetKind(), want.GetNamespace(), want.GetName(), errNotOurs)
		}
		if same, err := matches(current, wanted); err != nil || same {
			return err
		}
	}
	if err := a.release(ctx, want); err != nil {
		return err
	}
	log.FromContext(ctx).Info("Applying", "kind", wanted.GetKind(), "name", want.GetName())
	err = a.Apply(ctx, client.ApplyConfigurationFromUnstructured(wanted), client.FieldOwner(infra.ManagedBy), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("apply %s %s/%s: %w", wanted.GetKind(), want.GetNamespace(), want.GetName(), err)
	}
	return nil
}

// isRefusal says that an object is not applied for what it is, so that trying
// again would not help.
func isRefusal(err error) bool {
	return errors.Is(err, errNotOurs) || apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err)
}

// managed says that the controller made an object.
func managed(o client.Object) bool { return o.GetLabels()[infra.LabelManagedBy] == infra.ManagedBy }

// matches says that the cluster has an object as it should be.
func matches(current client.Object, wanted *unstructured.Unstructured) (bool, error) {
	has, err := runtime.DefaultUnstructuredConverter.ToUnstructured(current)
	if err != nil {
		return false, fmt.Errorf("convert %s: %w", wanted.GetKind(), err)
	}
	return contains(has, withoutKind(wanted)), nil
}

// current reads the object as the cluster has it. What the cache has not may
// have been made a moment ago, by somebody else: then the cluster is asked.
func (a applier) current(ctx context.Context, want infra.Object) (client.Object, error) {
	o, ok := want.DeepCopyObject().(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is no API object", want)
	}
	key := client.ObjectKeyFromObject(o)
	err := a.Get(ctx, key, o)
	if apierrors.IsNotFound(err) {
		err = a.live.Get(ctx, key, o)
	}
	return o, err
}

// intent returns what to apply: the fields that are set, and nothing that the
// cluster decides.
func intent(o infra.Object) (*unstructured.Unstructured, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", o, err)
	}
	u := &unstructured.Unstructured{}
	if err := json.Unmarshal(b, &u.Object); err != nil {
		return nil, fmt.Errorf("encode %T: %w", o, err)
	}
	delete(u.Object, "status")
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	return u, stamp(u)
}
