// Package standalone runs a gateway on its user's own machine, from a folder of
// manifests and with no cluster: the same schemas, the same translation and the
// same data plane as in a cluster, in one process.
//
//	files ──> documents ──> objects ──> engine ──> runtime + sockets, per Gateway
//	            │             │           │
//	            └─ problems ──┴───────────┴──> status, printed
//
// A document that is wrong never changes what another one gets. Where a
// document was right before, its last good form stays in force.
package standalone
