// Package inject puts a sidecar into a pod: an init container that redirects
// what the pod sends, and a proxy that takes it.
//
// [For] is pure: package webhook answers the API server with what it returns.
// The package must not import client-go, controller-runtime, a logger or the
// network, and must not ask for the time.
package inject
