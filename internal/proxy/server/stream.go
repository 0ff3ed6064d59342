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

// serveStream joins a connection of a TCP or TLS listener to a backend until
// either has ended, and closes it. client is what is read and written: conn,
// or a session over it.
func (g *generation) serveStream(conn *net.TCPConn, client net.Conn, listener, serverName string) {
	defer func() { _ = client.Close() }()
	o := &g.server.opts
	for range streamAttempts {
		stream, err := o.Runtime.Stream(listener, serverName)
		if err != nil {
			o.Log.Debug("Closing a connection", "listener", listener, "remote", conn.RemoteAddr(), "reason", err)
			return
		}
		head, passed := client.(*headConn)
		if passed {
			stream.Target.TLS = nil // the session is the client's own
		}
		backend, err := dialStream(o.Dial, &stream.Target)
		if err != nil {
			ours := upstream.IsOurs(err)
			stream.Done(!ours)
			o.Log.Debug("Cannot reach a backend", "listener", listener, "backend", stream.Backend, "error", err)
			if ours {
				return
			}
			continue
		}
		if passed {
			// So that what follows may stay in the kernel.
			if _, err := backend.Write(head.head); err != nil {
				o.Log.Debug("A backend closed early", "listener", listener, "backend", stream.Backend, "error", err)
			}
			client = head.Conn
		}
		l4.Join(client, upstream.Bare(backend))
		_ = backend.Close()
		stream.Done(false)
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
