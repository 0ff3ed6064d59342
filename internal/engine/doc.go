// Package engine keeps translation incremental. It holds the objects that a
// cluster or a folder of manifests contains, runs the pure functions of package
// translate over them, records what each of them read, and re-runs only those
// that read what changed.
//
//	Apply(changes) ──> objects ──> dirty functions ──> resources per node ──> Result
//
// It is fed by the controller's informers and by `citoroute run`; it has no
// clock, client or logger.
package engine
