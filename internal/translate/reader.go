package translate

import (
	"cmp"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
)

// Options are the same for every function of a process.
type Options struct {
	// ControllerName is the spec.controllerName of the GatewayClasses that are ours.
	ControllerName string
	// LocalBackends allows backends on the proxy's own machine: for a gateway
	// that its user runs there, whose machine it is.
	LocalBackends bool
	// Mesh has routes attached to Services and namespaces put into the mesh by
	// their label (GEP-1294).
	Mesh bool
}

// Reader is the world as a translation function sees it. What is read is
// recorded, also what turned out not to exist.
type Reader interface {
	// Get returns an object, or nil if there is none.
	Get(Key) Object
	// List returns the objects in a bucket, sorted by key. The slice must not be
	// changed.
	List(Bucket) []Object
	// Parent returns what a Gateway, ListenerSet or Service offers to routes, or
	// nil if it is not ours or not there.
	Parent(Key) *Parent
	// LocalBackends says that backends may be on the proxy's own machine. It is
	// always the same.
	LocalBackends() bool
}

// Relation is a question that buckets answer: which objects of one kind refer
// to, or live in, another.
type Relation string

// The relations that are indexed.
const (
	ReferenceGrantsIn     Relation = "ReferenceGrantsIn"     // a namespace
	ListenerSetsOf        Relation = "ListenerSetsOf"        // a Gateway
	EndpointSlicesOf      Relation = "EndpointSlicesOf"      // a Service
	BackendTLSPoliciesFor Relation = "BackendTLSPoliciesFor" // a Service
	JWTPoliciesFor        Relation = "JWTPoliciesFor"        // a Gateway or route
	LLMPoliciesFor        Relation = "LLMPoliciesFor"        // a Gateway or LLMRoute: limits and prices
	MeshRoutesOf          Relation = "MeshRoutesOf"          // a Service
	MeshNamespaces        Relation = "MeshNamespaces"        // the mesh; the name is empty
)

// Bucket is a set of objects: those in Relation to the object Namespace/Name.
type Bucket struct {
	Relation  Relation
	Namespace string
	Name      string
}

// Buckets returns the buckets that o is in.
func Buckets(o Object) []Bucket {
	ns := o.GetNamespace()
	switch o := o.(type) {
	case *gatewayv1.ReferenceGrant:
		return []Bucket{{Relation: ReferenceGrantsIn, Namespace: ns}}
	case *gatewayv1.ListenerSet:
		parent := GatewayOf(o)
		return []Bucket{{Relation: ListenerSetsOf, Namespace: parent.Namespace, Name: parent.Name}}
	case *discoveryv1.EndpointSlice:
		return []Bucket{{Relation: EndpointSlicesOf, Namespace: ns, Name: o.Labels[discoveryv1.LabelServiceName]}}
	case *gatewayv1.BackendTLSPolicy:
		var out []Bucket
		for _, ref := range o.Spec.TargetRefs {
			if ref.Group == corev1.GroupName && ref.Kind == gatewayv1.Kind(KindService) {
				out = append(out, Bucket{Relation: BackendTLSPoliciesFor, Namespace: ns, Name: string(ref.Name)})
			}
		}
		return out
	case *v1alpha1.JWTValidationPolicy:
		var out []Bucket
		for _, ref := range o.Spec.TargetRefs {
			if target, ok := jwtTarget(ns, ref); ok {
				out = append(out, Bucket{Relation: JWTPoliciesFor, Namespace: ns, Name: target.Name})
			}
		}
		return out
	case *v1alpha1.LLMLimitPolicy, *v1alpha1.LLMPriceTable:
		return llmPolicyBuckets(o)
	case *gatewayv1.HTTPRoute, *gatewayv1.GRPCRoute:
		return meshRouteBuckets(o)
	case *corev1.Namespace:
		if meshed(o) {
			return []Bucket{{Relation: MeshNamespaces}}
		}
	}
	return nil
}

// get returns the object of kind T at key, or nil.
func get[T any, P interface {
	*T
	Object
}](r Reader, key Key) P {
	p, _ := r.Get(key).(P)
	return p
}

// oldestFirst returns the objects of a kind in a bucket in the order in which
// they count where only one can be in force: by creation time, then by
// namespace and name.
func oldestFirst[P Object](r Reader, bucket Bucket) []P {
	var out []P
	for _, o := range r.List(bucket) {
		if p, ok := o.(P); ok {
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b P) int { return older(a, b) })
	return out
}

func older(a, b metav1.Object) int {
	return cmp.Or(
		a.GetCreationTimestamp().Compare(b.GetCreationTimestamp().Time),
		cmp.Compare(a.GetNamespace(), b.GetNamespace()),
		cmp.Compare(a.GetName(), b.GetName()),
	)
}
