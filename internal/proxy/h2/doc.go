// Package h2 is the HTTP/2 codec: [Server] turns the streams of a client's
// connection into exchanges, [Transport] sends exchanges to backends that
// speak HTTP/2. Framing, HPACK and flow control are net/http's; of the
// packages on the path of a request this is the one that may import it.
package h2
