package server

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/h1"
	"github.com/citoroute/citoroute/internal/proxy/h2"
	"github.com/citoroute/citoroute/internal/proxy/l4"
)

// silentWait is how long a draining generation waits for connections that have
// not said anything yet.
const silentWait = time.Second

// generation is the connections of a socket that drain together: all of them,
// unless the port came to serve another kind of client meanwhile.
type generation struct {
	server    *Server
	port      uint16
	plan      atomic.Pointer[plan]
	cleartext exchange.Handler
	h1        *h1.Server
	h2        *h2.Server

	mu       sync.Mutex
	open     map[*net.TCPConn]bool // true: a codec has it and knows how to drain it
	draining bool
	empty    chan struct{} // closed when draining and open is empty
}

func (s *Server) newGeneration(k *socket, p *plan) *generation {
	o := &s.opts
	g := &generation{
		server: s, port: k.port,
		cleartext: o.Runtime.Handler(k.port, ""),
		h1:        newH1(o),
		h2: h2.NewServer(h2.ServerOptions{
			HeaderTimeout: o.HeaderTimeout, IdleTimeout: o.IdleTimeout,
			Log: o.Log, Rejected: o.Observe.Malformed, Panicked: s.panicked,
		}),
		open:  make(map[*net.TCPConn]bool),
		empty: make(chan struct{}),
	}
	g.plan.Store(p)
	return g
}

func newH1(o *Options) *h1.Server {
	return &h1.Server{
		Timeouts: h1.Timeouts{
			Head: o.HeaderTimeout, Idle: o.IdleTimeout, Body: o.IdleTimeout, Write: o.IdleTimeout,
			// A load balancer's connections are not idle for long: they end with an
			// answer that says so, which loses nothing.
			Last: min(time.Second, o.Grace/2),
		},
		Rejected: func(_ *h1.ConnInfo, status int) { o.Observe.Malformed(status) },
	}
}

func (g *generation) track(conn *net.TCPConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[conn] = false
}

func (g *generation) untrack(conn *net.TCPConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.open, conn)
	g.checkEmpty()
}

// handOver notes that conn is past its beginnings.
func (g *generation) handOver(conn *net.TCPConn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open[conn] = true
}

// checkEmpty reports the end of a drain. g.mu is held.
func (g *generation) checkEmpty() {
	if g.draining && len(g.open) == 0 {
		select {
		case <-g.empty:
		default:
			close(g.empty)
		}
	}
}

// drain ends the connections as their requests end, and cuts off what is left
// after the drain timeout. It returns when all are closed.
func (g *generation) drain() {
	g.mu.Lock()
	g.draining = true
	g.checkEmpty()
	g.mu.Unlock()
	g.h1.Drain()
	g.h2.Drain()
	timeout := g.server.opts.DrainTimeout
	if !g.wait(min(silentWait, timeout)) {
		g.cutOff(false)
	}
	if !g.wait(timeout) {
		g.cutOff(true)
		g.wait(silentWait)
	}
}

// wait says whether the generation became empty within d.
func (g *generation) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-g.empty:
		return true
	case <-timer.C:
		return false
	}
}

// cutOff closes connections: all, or those that have said nothing.
func (g *generation) cutOff(all bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for conn, handedOver := range g.open {
		if all || !handedOver {
			_ = conn.Close()
		}
	}
}

// serve serves one connection until it ends, and closes it.
func (g *generation) serve(conn *net.TCPConn) {
	p := g.plan.Load()
	a := arrival{conn: conn}
	if p.balancers != nil {
		var err error
		if a, err = g.identify(conn, p.balancers); err != nil {
			_ = conn.Close()
			return
		}
	}
	switch p.family {
	case familyHTTP:
		g.serveCleartext(a, g.cleartext)
	case familyTLS:
		g.serveTLS(a, p.names)
	case familyTCP:
		g.serveTCP(a, p)
	case familyCaptured:
		g.serveCaptured(conn)
	}
}

func (g *generation) serveCleartext(a arrival, handler exchange.Handler) {
	o := &g.server.opts
	head, http2, err := sniff(a.conn, a.head, o.IdleTimeout, o.HeaderTimeout)
	if err != nil {
		_ = a.conn.Close()
		return
	}
	a.head = head
	g.handOver(a.conn)
	g.serveHTTP(a, http2, handler)
}

// serveHTTP serves a cleartext connection.
func (g *generation) serveHTTP(a arrival, http2 bool, handler exchange.Handler) {
	if http2 {
		g.h2.Serve(a.client(), nil, handler)
		return
	}
	g.h1.ServeConn(a.conn, h1.ConnInfo{Handler: handler, Preface: a.head, Remote: a.address()})
}

// serveTLS ends TLS, or passes it on where the listener of the client's server
// name leaves that to its backends.
func (g *generation) serveTLS(a arrival, names *serverNames) {
	if !names.passthrough {
		g.endTLS(a, names)
		return
	}
	_ = a.conn.SetReadDeadline(time.Now().Add(g.server.opts.HeaderTimeout))
	client := &headConn{Conn: a.conn, head: a.head}
	name, hello, err := l4.ServerName(client)
	if err != nil {
		_ = a.conn.Close()
		return
	}
	_ = a.conn.SetReadDeadline(time.Time{})
	a.head = slices.Concat(hello, client.head)
	switch l := names.find(name); {
	case l == nil: // nobody here speaks for that name, not even to send an alert
		_ = a.conn.Close()
	case l.config == nil:
		g.handOver(a.conn)
		g.serveStream(&stream{arrival: a, client: a.conn, listener: l.Name, serverName: name, passed: true})
	default:
		g.endTLS(a, names)
	}
}

// endTLS completes the handshake and serves the session.
func (g *generation) endTLS(a arrival, names *serverNames) {
	session := tls.Server(a.client(), &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: names.configFor})
	if err := g.handshake(session); err != nil {
		_ = a.conn.Close()
		return
	}
	g.handOver(a.conn)
	a.head = nil
	state := session.ConnectionState()
	l := names.find(state.ServerName)
	if l.Protocol == ir.ProtocolTLS {
		g.serveStream(&stream{arrival: a, client: session, listener: l.Name, serverName: state.ServerName})
		return
	}
	handler := g.server.opts.Runtime.Handler(g.port, state.ServerName)
	if state.NegotiatedProtocol == "h2" {
		g.h2.Serve(session, &state, handler)
		return
	}
	g.h1.ServeConn(session, h1.ConnInfo{Handler: handler, TLS: &state, Remote: a.address()})
}

// handshake completes session within the header timeout. A client that speaks
// plain HTTP is told so.
func (g *generation) handshake(session *tls.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), g.server.opts.HeaderTimeout)
	defer cancel()
	err := session.HandshakeContext(ctx)
	if bad, ok := errors.AsType[tls.RecordHeaderError](err); ok && bad.Conn != nil && looksLikeHTTP(bad.RecordHeader[:]) {
		_, _ = bad.Conn.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 29\r\nConnection: close\r\n\r\nThis port speaks HTTPS only.\n"))
	}
	if err != nil {
		g.server.opts.Observe.HandshakeFailed()
	}
	return err
}

// looksLikeHTTP says whether a client's first five bytes begin a request.
func looksLikeHTTP(b []byte) bool {
	switch string(b) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET":
		return true
	}
	return false
}
