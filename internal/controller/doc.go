// Package controller is the only package that holds a Kubernetes client. It
// feeds the world's objects to the engine and carries out what follows:
//
//	informers ──> World (one goroutine, engine) ──┬─> push server ──> proxies        every replica
//	                 ^                            ├─> GatewayReconciler ──> infra    leader only
//	                 │                            ├─> MeshReconciler ──> sidecars    leader only
//	                 └── acks, Services, …        └─> StatusReconciler ──> status    leader only
//
// Translation is incremental and spans kinds, so it is not split by kind: there
// is one reconciler per *effect* instead, and each is level-based: it is given a
// key, looks at what is, and makes it so. Every replica collects the keys that
// its reconcilers have to look at; only the leader drains them.
//
// Nothing waits in order to batch: the first event is applied at once, and what
// comes in the meantime is applied together, next.
package controller
