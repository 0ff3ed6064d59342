// Package translate turns Gateway API and CitoRoute objects into the resources
// that a proxy needs (package ir) and into findings: what is wrong with an
// object, or what is true of it, in the words of the status that users read.
//
// Every function is pure. It sees the world through a [Reader] alone, which
// records what was read, absence included, so that package engine re-runs a
// function only when something that it read has changed. The same input gives
// the same output, byte for byte.
//
//	Gateway   one Gateway and its ListenerSets -> listeners, and what routes need to know of them
//	Service   one Service with routes          -> the same, for a mesh
//	Namespace one Namespace                    -> whether it is in the mesh
//	Route     one route of any kind            -> a route per listener that it is bound to
//	Policy    one Consumer, JWT policy, …      -> policies
//	Resource  one name that another refers to  -> backend, endpoints or secret
//
// A wrong object never changes what another object gets: it yields findings,
// and where the Gateway API says so a direct response (500).
//
// The package must not import client-go, controller-runtime, a logger or the
// network, and must not ask for the time.
package translate
