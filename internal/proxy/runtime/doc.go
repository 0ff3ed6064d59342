// Package runtime is the live configuration of a proxy and the path that a
// request takes through it:
//
//	listener ──> router ──> policies ──> filters ──> backend ──> endpoint ──> transport
//
// [Runtime.Apply] compiles a change beside what is serving and then swaps it in
// whole; a request uses the one snapshot that it began with. Clusters (the
// endpoints of a backend and what was learnt about them) outlive snapshots, so
// a changed route closes no connection.
//
// # What the proxy decides by itself
//
// Every answer that does not come from a backend is made in failure.go, from
// fixed texts that never repeat anything of the request.
//
// This package must not import net/http: it speaks exchanges only. It owns no
// socket; package server does.
package runtime
