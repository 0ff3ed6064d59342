package translate

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
)

// Output is what one translation function made of what it read.
type Output struct {
	// Node says that the object has a node: a Gateway of ours, or a namespace in
	// the mesh.
	Node bool
	// Parameters are how the infrastructure of a Gateway is to look; nil: what it
	// has must stay as it is.
	Parameters *v1alpha1.GatewayParametersSpec
	Resources  []NodeResource
	// Reports are about the objects that the function looked at, in a fixed order.
	Reports []ObjectReport
	// Parents are what Gateways, ListenerSets and Services offer to routes.
	Parents []*Parent
	// Attached lists the listeners that a route is bound to, without repetition.
	Attached []ListenerKey
}

// NodeResource is a resource of one node.
type NodeResource struct {
	// Node is whom the node serves: a Gateway, or a namespace in the mesh;
	// [WholeMesh] for all of those.
	Node     Key
	Resource ir.Resource
}

// ObjectReport is a report and the object that it is about.
type ObjectReport struct {
	Key    Key
	Report Report
}

// ListenerKey names a listener of a Gateway or ListenerSet.
type ListenerKey struct {
	Owner   Key
	Section string
}

// Parent is what a route needs to know of a Gateway, ListenerSet or Service. It
// leaves out all else, so that a change of all else re-translates no route.
type Parent struct {
	Key Key
	// Root is what policies report on: Key itself, or a ListenerSet's Gateway,
	// whose node serves the listeners.
	Root Key
	// Listeners are those of a Gateway or ListenerSet, Ports those of a Service.
	Listeners []ParentListener
	Ports     []MeshPort
	// Refused is why a Service takes no routes; empty: it does.
	Refused string
	// ClientCertificate names the Secret resource that proxies present to
	// backends; empty: none.
	ClientCertificate string
}

// ParentListener is one listener of a Parent.
type ParentListener struct {
	Section  string
	Resource string // name of the ir.Listener
	Port     int32
	// Hostname is empty, exact or "*.suffix", in lower case.
	Hostname string
	Kinds    []Kind
	// From and Selector say which namespaces routes may come from.
	From     gatewayv1.FromNamespaces
	Selector *metav1.LabelSelector
	// Accepted is false for a listener that no route can be bound to.
	Accepted bool
	// Served is false for a listener that exists in status only.
	Served bool
}

// MeshPort is a port of a Service by TCP.
type MeshPort struct {
	Name     string
	Port     int32
	Resource string // name of the ir.Listener
	// Refused is why the port takes no routes; empty: it does.
	Refused string
	// Groups are the routes that apply, by their namespace, sorted.
	Groups []MeshGroup
}

// MeshGroup stands for the routes from one namespace that apply to a Service
// port, all of one kind. Those from the namespace of the Service are the
// producer's, any others a consumer's.
type MeshGroup struct {
	Namespace string
	Kind      Kind
	// Node is where the routes are in force; zero: nowhere.
	Node Key
}

// problem is why a part of an object cannot be used, in the words of a status.
type problem struct {
	reason  string
	message string
}
