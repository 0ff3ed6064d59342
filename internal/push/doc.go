// Package push carries configuration from a controller to its proxies: one
// ordered, acknowledged, incremental stream per proxy. [Server] is the
// controller's half, [Client] the proxy's.
//
//	proxy                                   controller
//	  │ node, versions of what it has ─────────> │
//	  │ <───── changed and removed resources     │
//	  │ ack, or nack with the reason ──────────> │   changes that come meanwhile join
//	  │ <───── the next difference               │
//
// The messages are those of the delta xDS protocol (DeltaDiscoveryRequest and
// DeltaDiscoveryResponse on the aggregated service) with resource types of our
// own. A client subscribes once, to everything that its node has: see
// docs/decisions/0002-config-stream.md.
//
// Nodes that have most of their configuration in common, as those of a mesh, are
// held as their difference from it: see [Server.UpdateAlike]. What a server keeps of
// a proxy is only where that differs from its node.
//
// The package must not import k8s.io or sigs.k8s.io: who may connect is decided
// by an injected function.
package push
