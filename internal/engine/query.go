package engine

import (
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/translate"
)

// NodeOf returns the name of the node that serves a Gateway.
func NodeOf(gateway translate.Key) string { return "gateway/" + gateway.Namespace + "/" + gateway.Name }

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
	for key, n := range e.nodes {
		if NodeOf(key) == node {
			return n.snapshot()
		}
	}
	return ir.Update{Complete: true}
}

// Object returns the object as it was last applied, or nil.
func (e *Engine) Object(key translate.Key) translate.Object { return e.store.objects[key] }

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
