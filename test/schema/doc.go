// Package schema checks what the gateway says against what the makers of the
// protocols publish: every golden request of internal/ai against the types of
// the provider's own SDK, every golden answer and stream against those of the
// client's. It is a module of its own, so that nobody who builds the gateway
// gets the SDKs with it.
package schema
