package exchange

import (
	"crypto/tls"
	"io"
	"net/netip"
	"time"
)

// Proto is the protocol version that one side of an exchange spoke.
type Proto uint8

// Protocol versions.
const (
	HTTP10 Proto = iota + 1
	HTTP11
	HTTP2
)

// String returns "HTTP/1.0", "HTTP/1.1" or "HTTP/2".
func (p Proto) String() string {
	switch p {
	case HTTP10:
		return "HTTP/1.0"
	case HTTP11:
		return "HTTP/1.1"
	case HTTP2:
		return "HTTP/2"
	}
	return "HTTP/?"
}

// Unknown is the ContentLength of a body whose length is not known before its end.
const Unknown int64 = -1

// Body is the body of a message, read once from front to end.
type Body interface {
	// Read is io.Reader. io.EOF is returned only at the proper end of the
	// body; a body that breaks off returns another error, never io.EOF.
	io.Reader
	// Buffered is the number of bytes that Read returns without waiting. A
	// writer flushes before it reads when this is zero.
	Buffered() int
	// Close gives up what has not been read. It is called exactly once, also
	// after the end.
	Close() error
}

// ReadLimiter is implemented by a Response.Body of a Transport.
type ReadLimiter interface {
	// LimitReads has every later Read fail with ErrReadTimeout that waits for
	// longer than idle, or beyond until. Zero is no limit.
	LimitReads(idle time.Duration, until time.Time)
}

// Exchange is one request and its response.
type Exchange struct {
	Request  Request
	Response Response
	// Client is the connection that the request came from.
	Client Client
	// State belongs to the Handler: it sets it in Serve and reads it in Finish.
	State any
}

// Request is what the client asked, as the codec read it; filters change it
// into what the backend gets. Hop-by-hop fields are already removed, Host is
// in Authority and not in Header.
type Request struct {
	Proto  Proto
	Method string
	// Scheme is "http" or "https": by the connection, never by what the client says.
	Scheme string
	// Authority is the host, with the port where the client sent one.
	Authority string
	// Path is the raw, still escaped path; it begins with "/" or is "*".
	Path string
	// Query is the raw query without "?". HasQuery tells "/a?" from "/a".
	Query    string
	HasQuery bool
	Header   Header
	// Body is nil where the message has none.
	Body Body
	// ContentLength is the length of Body, or Unknown.
	ContentLength int64
	// Trailer is filled when Body has returned io.EOF.
	Trailer Header
	// Upgrade is the protocol of a valid upgrade request (only "websocket").
	Upgrade string
	// ExpectContinue says that the client waits for 100 before it sends Body;
	// the codec sends the 100 by itself when Body is first read.
	ExpectContinue bool
	// AcceptsTrailers says that the client sent "TE: trailers".
	AcceptsTrailers bool
	Remote, Local   netip.AddrPort
	// TLS is nil on a cleartext connection.
	TLS *tls.ConnectionState
}

// Response is what the client gets. Hop-by-hop fields of the backend are
// already removed; framing fields are the codec's own.
type Response struct {
	Status int
	Header Header
	// Body is nil where the message has none.
	Body          Body
	ContentLength int64
	// Trailer is filled when Body has returned io.EOF.
	Trailer Header
	// Tunnel is set with Status 101: the codec copies bytes both ways between
	// it and the client until both sides have ended.
	Tunnel Tunnel
	// Close asks the codec to close the client's connection afterwards.
	Close bool
}

// Tunnel is the backend's side of an upgraded connection.
type Tunnel interface {
	io.ReadWriteCloser
	// CloseWrite ends the direction to the backend and leaves the other open.
	CloseWrite() error
}

// Client is what a codec lends to a Handler for the time of one exchange.
type Client interface {
	// Interim sends an informational response, 102 to 199, at once. 100 and
	// 101 are the codec's own.
	Interim(status int, h *Header) error
	// OnCancel has f called, on another goroutine, when the client goes away
	// before the response is complete. stop ends the watch and returns after
	// f, if it was called, has returned. Watching may cost a goroutine: call it
	// only when an exchange turns out to be slow.
	OnCancel(f func()) (stop func())
}

// Handler answers exchanges.
type Handler interface {
	// Serve fills ex.Response. It must not keep ex.
	Serve(ex *Exchange)
	// Finish is called once after Serve, when the response has been written or
	// given up and its body closed.
	Finish(ex *Exchange, end End)
}

// End says how an exchange ended on the client's side.
type End struct {
	// Err is nil where the client got the whole response.
	Err error
	// Sent and Received count body bytes to and from the client.
	Sent, Received int64
}

// Target is where a Transport sends one attempt.
type Target struct {
	// Addr is host:port, the host an IP address or a DNS name.
	Addr string
	// TLS is nil for cleartext. Connections are pooled by Addr and the identity
	// of this pointer, so it must be the same for the life of a backend's
	// configuration.
	TLS *tls.Config
	// ConnectTimeout limits dialling and the TLS handshake; it is positive.
	ConnectTimeout time.Duration
	// Deadline is when the response head must have come; zero: no limit.
	Deadline time.Time
	// IdleTimeout limits each wait for bytes of the body; zero: no limit.
	IdleTimeout time.Duration
	// NoInterims says that informational responses are not for the client.
	NoInterims bool
}

// Transport sends ex.Request to a target and fills ex.Response. A non-nil
// error is a *Failure; ex.Response is untouched then.
type Transport interface {
	RoundTrip(ex *Exchange, to *Target) error
}
