package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/l4"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// streamAttempts is how many endpoints a connection is offered to.
const streamAttempts = 3

// stream is a connection of a TCP or TLS listener.
type stream struct {
	arrival
	// client is what is read and written after head: the connection, or a TLS
	// session over it.
	client               net.Conn
	listener, serverName string
	passed               bool // TLS is between the client and the backend
}

// serveTCP serves a connection of a TCP listener.
func (g *generation) serveTCP(a arrival, p *plan) {
	g.handOver(a.conn)
	s := &stream{arrival: a, client: a.conn, listener: p.listeners[0].Name}
	if p.balancers != nil {
		guard := &headerGuard{TCPConn: a.conn, refuse: func(why error) { g.refuseHeader(a.address(), why) }}
		if guard.look(a.head) != nil {
			_ = a.conn.Close()
			return
		}
		s.client = guard
	}
	g.serveStream(s)
}

// serveStream joins a stream to a backend until either has ended, and closes it.
func (g *generation) serveStream(s *stream) {
	defer func() { _ = s.client.Close() }()
	o := &g.server.opts
	for range streamAttempts {
		to, err := o.Runtime.Stream(s.listener, s.serverName)
		if err != nil {
			o.Log.Debug("Closing a connection", "listener", s.listener, "remote", s.address(), "reason", err)
			return
		}
		if s.passed {
			to.Target.TLS = nil // the session is the client's own
		}
		backend, err := dialStream(o.Dial, &to.Target)
		if err != nil {
			ours := upstream.IsOurs(err)
			to.Done(!ours)
			o.Log.Debug("Cannot reach a backend", "listener", s.listener, "backend", to.Backend, "error", err)
			if ours {
				return
			}
			continue
		}
		if len(s.head) > 0 { // so that what follows may stay in the kernel
			if _, err := backend.Write(s.head); err != nil {
				o.Log.Debug("A backend closed early", "listener", s.listener, "backend", to.Backend, "error", err)
			}
			s.head = nil
		}
		l4.Join(s.client, upstream.Bare(backend))
		_ = backend.Close()
		to.Done(false)
		return
	}
}

func dialStream(dial upstream.Dialer, to *exchange.Target) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), to.ConnectTimeout)
	defer cancel()
	conn, err := dial.DialContext(ctx, "tcp", to.Addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", to.Addr, err)
	}
	if to.TLS == nil {
		return conn, nil
	}
	session := tls.Client(conn, to.TLS)
	if err := session.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("handshake with %s: %w", to.Addr, err)
	}
	return session, nil
}
