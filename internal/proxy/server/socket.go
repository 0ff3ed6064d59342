package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/observe"
)

// Waits of the accept loop while the process has no file descriptor left.
const (
	minAcceptWait = 5 * time.Millisecond
	maxAcceptWait = time.Second
)

// backlogWait is how long a socket that is about to close waits for a
// connection that the kernel has already accepted.
const backlogWait = 20 * time.Millisecond

// binding is where a socket is bound: the address of a host, or all of them,
// and the port of a listener.
type binding struct {
	host netip.Addr
	port uint16
}

// socket is one bound port. It stays for as long as any listener wants the
// port, whatever else about them changes.
type socket struct {
	server *Server
	port   uint16
	ln     *net.TCPListener
	open   *observe.Gauge
	// serving is what new connections get.
	serving  atomic.Pointer[generation]
	stopping chan struct{} // closed when no more are to be accepted
	done     chan struct{} // closed when the accept loop has ended
}

// listen binds a port and begins to accept. s.mu is held.
func (s *Server) listen(b binding, p *plan) (*socket, error) {
	address := s.address(b)
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", address, err)
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("bind %s: got a %T", address, ln)
	}
	sock := &socket{
		server: s, port: b.port, ln: tcp, stopping: make(chan struct{}), done: make(chan struct{}),
		open: s.opts.Observe.Connections(b.port),
	}
	sock.serving.Store(s.newGeneration(sock, p))
	go sock.accept()
	return sock, nil
}

// address is what b is bound to.
func (s *Server) address(b binding) string {
	if s.opts.Port != nil {
		b.port = s.opts.Port(b.port)
	}
	host := ""
	if b.host.IsValid() {
		host = b.host.String()
	}
	return net.JoinHostPort(host, strconv.Itoa(int(b.port)))
}

// addr is where the socket is bound.
func (k *socket) addr() netip.AddrPort { return exchange.AddrPort(k.ln.Addr()) }

// follow has new connections served as p says. Those that are open go on,
// unless p wants another kind of client: then they drain.
func (k *socket) follow(p *plan) {
	g := k.serving.Load()
	if g.plan.Load().family == p.family {
		g.plan.Store(p)
		return
	}
	k.serving.Store(k.server.newGeneration(k, p))
	k.server.draining.Go(g.drain)
}

// stop ends accepting and returns when every connection is closed.
func (k *socket) stop() {
	// What the kernel has accepted would be reset by closing the socket.
	_ = refuseNew(k.ln) // where it does not, only luck is missing
	_ = k.ln.SetDeadline(time.Now().Add(backlogWait))
	close(k.stopping)
	<-k.done
	_ = k.ln.Close()
	k.serving.Load().drain()
}

// accept serves connections until the socket is told to stop.
func (k *socket) accept() {
	defer close(k.done)
	wait := minAcceptWait
	for {
		conn, err := k.ln.AcceptTCP()
		switch {
		case err == nil:
			wait = minAcceptWait
			k.admit(conn)
		case errors.Is(err, os.ErrDeadlineExceeded):
			// On a busy machine the time may be up before anybody has looked.
			if !waits(k.ln) || k.ln.SetDeadline(time.Now().Add(backlogWait)) != nil {
				return
			}
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, syscall.ECONNABORTED):
		default: // no file descriptors, no memory: others may give some back
			k.server.opts.Log.Error("Accepting connections is held up", "port", k.port, "error", err, "retryIn", wait)
			<-time.After(wait)
			wait = min(2*wait, maxAcceptWait)
		}
	}
}

// admit has a goroutine serve a connection, when there is room for it.
func (k *socket) admit(conn *net.TCPConn) {
	placed := k.server.room.Enter(k.stopping)
	g := k.serving.Load()
	k.open.Add(1)
	g.track(conn)
	go func() {
		defer k.open.Add(-1)
		defer g.untrack(conn)
		if placed {
			defer k.server.room.Leave()
		}
		defer func() {
			if v := recover(); v != nil { // is not to end the others' connections
				_ = conn.Close()
				k.server.panicked(v)
			}
		}()
		g.serve(conn)
	}()
}
