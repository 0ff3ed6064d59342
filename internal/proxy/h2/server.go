package h2

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Limits that a client cannot move. The library answers what goes beyond them
// with 431 or GOAWAY. A handler keeps its slot until it has returned, also when
// its stream was reset; how often that may be is guard's.
const (
	maxConcurrentStreams = 250
	maxHeaderBytes       = 64 << 10
	maxHeaderFields      = 128
	maxFrameSize         = 64 << 10 // the library keeps a buffer of the largest one that came
	streamWindow         = 256 << 10
	connectionWindow     = 1 << 20
)

// closeDelay is how long a connection outlives its GOAWAY, so that the client
// reads it before the connection is gone.
const closeDelay = 1500 * time.Millisecond

// ServerOptions say how long a Server waits for clients.
type ServerOptions struct {
	// HeaderTimeout limits the connection preface, the acknowledgement of our
	// SETTINGS and a header block of several frames; it is positive.
	HeaderTimeout time.Duration
	// IdleTimeout limits the wait for a next stream, for bytes of a request
	// body and for the client to take bytes of a response; it is positive.
	IdleTimeout time.Duration
	// Log receives what the library has to say about broken connections, at
	// debug level.
	Log *slog.Logger
	// Panicked, where set, is told on the same goroutine of what a Handler
	// panicked with. Its stream is reset; the connection goes on.
	Panicked func(v any)
	// Rejected, where set, is told of each request that the codec answered by
	// itself because a backend could read it in another way: no Handler sees
	// those. What the library refuses by itself is not told.
	Rejected func(status int)
}

// Server is the server half: it serves connections whose client speaks HTTP/2.
type Server struct {
	http     *http.Server
	header   time.Duration
	idle     time.Duration
	rejected func(status int)
	panicked func(v any)
	buffers  sync.Pool // of *[]byte
	holding  atomic.Bool
}

// NewServer returns a Server.
func NewServer(o ServerOptions) *Server {
	s := &Server{header: o.HeaderTimeout, idle: o.IdleTimeout, rejected: o.Rejected, panicked: o.Panicked}
	if s.rejected == nil {
		s.rejected = func(int) {}
	}
	if s.panicked == nil {
		s.panicked = func(any) {}
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serveStream),
		Protocols:         protocols,
		ReadHeaderTimeout: o.HeaderTimeout,
		IdleTimeout:       o.IdleTimeout,
		// Of a stream, for what is not written under a timer of its own: answers
		// of the library, and the end of ours.
		WriteTimeout:        2 * o.IdleTimeout,
		MaxHeaderBytes:      maxHeaderBytes,
		MaxHeaderValueCount: maxHeaderFields,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxConcurrentStreams,
			MaxReadFrameSize:              maxFrameSize,
			MaxReceiveBufferPerConnection: connectionWindow,
			MaxReceiveBufferPerStream:     streamWindow,
			SendPingTimeout:               o.IdleTimeout,
			WriteByteTimeout:              o.IdleTimeout,
		},
		BaseContext: func(l net.Listener) context.Context {
			return context.WithValue(context.Background(), connKey{}, l)
		},
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     errorLog(o.Log),
	}
	return s
}

// Serve serves conn until it ends, and closes it. state is nil on a cleartext
// connection, else the TLS session that conn, already past its handshake,
// belongs to.
func (s *Server) Serve(conn net.Conn, state *tls.ConnectionState, handler exchange.Handler) {
	c := &serverConn{Conn: conn, server: s, tls: state, handler: handler, closed: make(chan struct{}), guard: newGuard(time.Now())}
	c.scheme = "http"
	if state != nil {
		c.scheme = "https"
	}
	c.remote, c.local = exchange.AddrPort(conn.RemoteAddr()), exchange.AddrPort(conn.LocalAddr())
	acked := time.AfterFunc(s.header, c.awaitAck)
	defer acked.Stop()
	// The library takes connections from listeners only: c is its own. What it
	// took, it closes. The error tells nothing of that: it may be that Drain came
	// after the first Accept and before the second.
	_ = s.http.Serve(c)
	if !c.taken.Load() {
		c.shut()
	}
	<-c.closed
}

// Drain tells every client with GOAWAY to open no more streams here. Streams
// in flight go on; Serve returns for each connection when it is done with.
func (s *Server) Drain() {
	// With its context done at once, Shutdown sends GOAWAY and closes idle
	// connections in the same breath; holding delays the latter until the
	// former has been read.
	s.holding.Store(true)
	defer s.holding.Store(false)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.http.Shutdown(ctx) // the error is ctx's
}

type connKey struct{}

// errTaken is what a serverConn answers to a second Accept.
var errTaken = errors.New("connection taken")

// serverConn is a connection, and the listener that it comes from.
type serverConn struct {
	net.Conn // only as an interface, so that the library sees no TLS in it
	server   *Server
	handler  exchange.Handler
	tls      *tls.ConnectionState
	scheme   string

	remote, local netip.AddrPort

	guard   *guard
	refusal atomic.Uint32 // the code of the GOAWAY that ends the connection, or 0
	writing sync.Mutex
	said    bool // that GOAWAY was written

	taken  atomic.Bool
	held   atomic.Bool
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener: it returns c once.
func (c *serverConn) Accept() (net.Conn, error) {
	if c.taken.Swap(true) {
		return nil, errTaken
	}
	return streamConn{c}, nil
}

// Addr implements net.Listener.
func (c *serverConn) Addr() net.Addr { return c.LocalAddr() }

// Close implements net.Listener, and leaves the connection open.
func (c *serverConn) Close() error { return nil }

// shut closes the connection.
func (c *serverConn) shut() {
	c.once.Do(func() {
		_ = c.Conn.Close()
		close(c.closed)
	})
}

// streamConn is the connection as the library sees it.
type streamConn struct{ *serverConn }

// Close implements net.Conn. The library may call it more than once.
func (c streamConn) Close() error {
	refused := c.refusal.Load() != 0
	if (refused || c.server.holding.Load()) && !c.held.Swap(true) {
		time.AfterFunc(closeDelay, c.shut)
		return nil
	}
	if !refused {
		c.shut()
	}
	return nil
}

func errorLog(l *slog.Logger) *log.Logger {
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	return slog.NewLogLogger(l.Handler(), slog.LevelDebug)
}
