package engine

import (
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/api/v1alpha1"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/translate"
)

// What the names of nodes begin with.
const (
	prefixGateway = "gateway/"
	prefixMesh    = "mesh/"
)

// NodeOf returns the name of the node that serves a Gateway, or the sidecars of
// a Namespace.
func NodeOf(owner translate.Key) string {
	if owner.Kind == translate.KindNamespace {
		return prefixMesh + owner.Name
	}
	return prefixGateway + owner.Namespace + "/" + owner.Name
}

// OwnerOf is the inverse of NodeOf; the zero Key for a name that is no node's.
func OwnerOf(node string) translate.Key {
	if namespace, ok := strings.CutPrefix(node, prefixMesh); ok && namespace != "" && !strings.Contains(namespace, "/") {
		return translate.Key{Kind: translate.KindNamespace, Name: namespace}
	}
	return GatewayOf(node)
}

// GatewayOf returns the Gateway that a node serves; the zero Key for a name that
// is no Gateway's node.
func GatewayOf(node string) translate.Key {
	rest, ok := strings.CutPrefix(node, prefixGateway)
	namespace, name, whole := strings.Cut(rest, "/")
	if !ok || !whole {
		return translate.Key{}
	}
	return translate.Key{Kind: translate.KindGateway, Namespace: namespace, Name: name}
}

// Nodes returns the names of all nodes, sorted.
func (e *Engine) Nodes() []string {
	out := make([]string, 0, len(e.nodes))
	for key := range e.nodes {
		out = append(out, NodeOf(key))
	}
	slices.Sort(out)
	return out
}

// Snapshot returns the whole configuration of a node, as a complete update; it
// is empty for a node that does not exist.
func (e *Engine) Snapshot(node string) ir.Update {
	if n := e.nodes[OwnerOf(node)]; n != nil {
		return n.snapshot()
	}
	return ir.Update{Complete: true}
}

// Object returns the object as it was last applied, or nil.
func (e *Engine) Object(key translate.Key) translate.Object { return e.store.objects[key] }

// Keys returns the keys of the objects of a kind, in no order.
func (e *Engine) Keys(kind translate.Kind) []translate.Key {
	var out []translate.Key
	for key := range e.store.objects {
		if key.Kind == kind {
			out = append(out, key)
		}
	}
	return out
}

// Parameters returns how the infrastructure of a Gateway is to look; nil: it must
// stay as it is.
func (e *Engine) Parameters(gateway translate.Key) *v1alpha1.GatewayParametersSpec {
	if u := e.units[unitID{key: gateway}]; u != nil {
		return u.output.Parameters
	}
	return nil
}

// Report returns what there is to say about an object.
func (e *Engine) Report(key translate.Key) translate.Report {
	ids := make([]unitID, 0, 1)
	for id := range e.reports[key] {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, unitID.compare)
	out := translate.Report{ControllerName: gatewayv1.GatewayController(e.options.ControllerName)}
	for _, id := range ids {
		out = out.Merge(e.reports[key][id])
	}
	for i, l := range out.Listeners {
		out.Listeners[i].AttachedRoutes = e.attached[translate.ListenerKey{Owner: key, Section: string(l.Name)}]
	}
	return out
}
