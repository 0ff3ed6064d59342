package controller

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// annotationApplied holds the hash of what was applied, so that a field which
// is not wanted any more is noticed.
const annotationApplied = "citoroute.io/applied"

// stamp notes the hash of u on u.
func stamp(u *unstructured.Unstructured) error {
	b, err := json.Marshal(u.Object)
	if err != nil {
		return fmt.Errorf("hash %s: %w", u.GetKind(), err)
	}
	sum := sha256.Sum256(b)
	annotations := u.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[annotationApplied] = hex.EncodeToString(sum[:8])
	u.SetAnnotations(annotations)
	return nil
}

// withoutKind returns u without its type, which typed objects of a cache lack.
func withoutKind(u *unstructured.Unstructured) map[string]any {
	out := maps.Clone(u.Object)
	delete(out, "apiVersion")
	delete(out, "kind")
	return out
}

// contains says that every field of want has the same value in has. Lists must
// have the same length, for they are ours as a whole.
func contains(has, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		return containsFields(has, want)
	case []any:
		has, ok := has.([]any)
		return ok && slices.EqualFunc(has, want, contains)
	case float64:
		if has, ok := has.(int64); ok {
			return float64(has) == want
		}
	}
	return has == want
}

func containsFields(has any, want map[string]any) bool {
	fields, ok := has.(map[string]any)
	if !ok {
		return len(want) == 0 && has == nil
	}
	for k, v := range want {
		if !contains(fields[k], v) {
			return false
		}
	}
	return true
}

// eachItem calls visit for every object of a list.
func eachItem(list client.ObjectList, visit func(client.Object)) error {
	return meta.EachListItem(list, func(in runtime.Object) error {
		if o, ok := in.(client.Object); ok {
			visit(o)
		}
		return nil
	})
}

// namespaceIsGoing says that an object was refused because its namespace is
// being deleted, or is gone: nothing is to be done then.
func namespaceIsGoing(err error) bool {
	return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || apierrors.IsNotFound(err)
}
