// Package redirect has the kernel bring a pod's outbound TCP connections to the
// sidecar: it programs nftables through netlink, and needs no executable for it.
//
// [Tables] is pure and says what is programmed; [Program] programs it, on Linux.
package redirect
