// Package l4 moves bytes of connections that are not HTTP: it chooses a
// backend and splices the two sockets.
package l4
