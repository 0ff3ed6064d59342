// Package exchange is one request and its response, free of any protocol
// version and of net/http. Codecs (packages h1 and h2) turn bytes into
// exchanges and back; the router, filters, balancing and the AI gateway speak
// only this.
//
//	client ──> codec (server half) ──> Handler ──> Transport (codec, client half) ──> backend
//
// # Lifetime of strings
//
// To serve a request without allocating, the HTTP/1.1 codec lets the strings
// of an exchange alias its read buffers. They are valid until Handler.Finish
// returns; whoever keeps one longer must strings.Clone it.
//
// # Who calls what
//
// A codec calls Handler.Serve on the connection's own goroutine. Serve fills
// ex.Response, whose body may still be arriving. The codec writes the response
// while it reads that body, closes the body, and calls Handler.Finish once.
package exchange
