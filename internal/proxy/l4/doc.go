// Package l4 moves bytes that are not HTTP: it joins two connections, relays
// the datagrams of many clients, and reads the server name out of a TLS
// handshake that is to be passed on. Its callers choose the backends.
//
// It imports the standard library only.
package l4
