// Package upstream keeps the clusters of a proxy: for each backend its
// endpoints, how to speak to them, and what was learnt about them.
//
// A [Cluster] is a cell that rules point at. It exists as soon as a rule names
// it, is filled when its backend arrives, and outlives every snapshot, so a
// changed route closes no connection and forgets no failure. An exchange reads
// the cell once per attempt.
//
// What is wrong with one backend (an unknown certificate authority, say) makes
// that backend answer 500 and nothing else.
//
// When to connect is for the transports to say, which keep connections by the
// Addr and TLS of a target; a [Dialer] connects for them. This package must not
// import net/http.
package upstream
