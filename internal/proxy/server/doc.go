// Package server is the shell of the data plane: it owns the sockets. It
// binds one TCP socket per listener port as the configuration comes and goes,
// ends TLS, tells HTTP/2 from HTTP/1.1, hands connections to their codec and
// drains what is no longer wanted.
//
//	Apply ──> runtime (routes) ──> sockets, certificates
//	accept ──> TLS / sniff ──> h1 or h2 ──> runtime.Handler
//
// A sidecar's (Options.Capture) binds one port instead, to which the kernel
// redirects what leaves its pod:
//
//	accept ──> original destination ──> sniff ──> h1 or h2 ──> runtime.CapturedHandler
//	                                └─> passed through
//
// It imports no Kubernetes package.
package server
