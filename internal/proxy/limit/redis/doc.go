// Package redis counts limits in a server that speaks the Redis protocol, such
// as Valkey, for all proxies together.
//
// Each counter is one integer per window, under a name that begins with the
// prefix as hash tag; the server drops it when it counts no more. A reservation
// is one script, and so is a settlement: the server runs it as a whole. Windows
// are those of the proxies' clocks, which must agree to a second or so.
//
// A server that does not answer costs a request at most [DefaultTimeout], and
// after a few failures nothing: it is asked again once a second.
package redis
