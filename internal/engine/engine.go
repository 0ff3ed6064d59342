package engine

import (
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/translate"
)

// Options configure an Engine.
type Options struct {
	// ControllerName is the spec.controllerName of the GatewayClasses that are ours.
	ControllerName string
}

// Change is one object as it is now.
type Change struct {
	Key translate.Key
	// Object is nil for an object that is gone. It must not change afterwards.
	Object translate.Object
}

// Result says what an Apply changed.
type Result struct {
	// Nodes holds an update per node whose configuration changed. A node that
	// is new gets a complete update. Node names are gateway/<namespace>/<name>.
	Nodes map[string]ir.Update
	// RemovedNodes are gone, sorted.
	RemovedNodes []string
	// Status lists the objects whose status may have to change, sorted.
	Status []translate.Key
	// Infra lists the Gateways whose infrastructure must be looked at again:
	// new, changed or gone; sorted.
	Infra []translate.Key
}

// Engine holds objects and the configuration that follows from them. It is not
// safe for concurrent use.
type Engine struct {
	options Options
}

// New returns an Engine that holds nothing.
func New(options Options) *Engine { return &Engine{options: options} }

// Apply takes changes in and returns what follows from them.
func (e *Engine) Apply(changes ...Change) Result { return Result{} }

// Snapshot returns the whole configuration of a node, as a complete update; it
// is empty for a node that does not exist.
func (e *Engine) Snapshot(node string) ir.Update { return ir.Update{Complete: true} }

// Nodes returns the names of all nodes, sorted.
func (e *Engine) Nodes() []string { return nil }

// Report returns what there is to say about an object.
func (e *Engine) Report(key translate.Key) translate.Report { return translate.Report{} }

// Object returns the object as it was last applied, or nil.
func (e *Engine) Object(key translate.Key) translate.Object { return nil }

// NodeOf returns the name of the node that serves a Gateway.
func NodeOf(gateway translate.Key) string { return "gateway/" + gateway.Namespace + "/" + gateway.Name }
