// Package h2 is the HTTP/2 codec: [Server] turns the streams of a client's
// connection into exchanges, [Transport] sends exchanges to backends that
// speak HTTP/2. Framing, HPACK and flow control are net/http's; of the
// packages on the path of a request this is the one that may import it. What a
// client can do to that library is limited here; docs/decisions/0014-http2.md
// says how, and what is left.
package h2
