// Package h1 is the HTTP/1.1 engine: it turns the bytes of a connection into
// exchanges and back (RFC 9110, RFC 9112).
//
//	client ──> Server ──> exchange.Handler ──> Transport ──> backend
//
// One goroutine serves a client connection and runs each request to completion,
// the exchange with the backend included. A message head is parsed where it was
// read; the strings of the exchange alias that buffer until Handler.Finish has
// returned. A further goroutine is started only for a request body that is
// still arriving, for a tunnel, and to notice that a client leaves while its
// request is slow. A proxied request without those allocates nothing.
//
// # What is strict
//
// Nothing is forwarded that was not parsed and written anew: framing fields,
// hop-by-hop fields (RFC 9110 section 7.6.1) and chunk framing are this
// package's own on both sides. Whatever two parsers could read in two ways is
// refused: the client gets a fixed answer, its connection is closed and what
// follows in the buffer is never looked at; a backend's connection is closed
// and the client gets 502.
//
// The package must not import net/http (its tests do, as an oracle), nor
// anything that knows routes, filters or Kubernetes.
package h1
