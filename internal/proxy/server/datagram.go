package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/l4"
	"github.com/citoroute/citoroute/internal/proxy/room"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// maxSessions is how many clients a UDP port serves at a time, and no more than
// one of sessionShares of the files that the process may have: who floods one with
// forged addresses is not to take the connections of all other backends.
const (
	maxSessions   = 16 << 10
	sessionShares = 8
)

// datagramSocket is one bound UDP port.
type datagramSocket struct {
	server *Server
	// listener names that of new clients. Another one may take the port over:
	// the sessions that there are go on where they are.
	listener atomic.Pointer[string]
	conn     *net.UDPConn
	relay    *l4.Relay
	done     chan struct{} // closed when the relay has ended
}

// listenUDP binds a UDP port and begins to relay. s.mu is held.
func (s *Server) listenUDP(l *ir.Listener) (*datagramSocket, error) {
	address := s.address(binding{s.opts.Bind, l.Port})
	conn, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", address, err)
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return nil, fmt.Errorf("bind %s: got a %T", address, conn)
	}
	k := s.newDatagramSocket(l.Name, udp)
	go func() {
		defer close(k.done)
		k.relay.Serve()
	}()
	return k, nil
}

func (s *Server) newDatagramSocket(listener string, conn *net.UDPConn) *datagramSocket {
	k := &datagramSocket{server: s, conn: conn, done: make(chan struct{})}
	k.listener.Store(&listener)
	k.relay = &l4.Relay{
		Conn: conn, Choose: k.choose, Idle: s.opts.IdleTimeout, MaxSessions: min(maxSessions, max(room.Files(sessionShares), 1)),
		Dropped: s.opts.Observe.DatagramDropped,
	}
	return k
}

// choose finds the backend of a new client.
func (k *datagramSocket) choose() (l4.Backend, error) {
	o, listener := &k.server.opts, *k.listener.Load()
	stream, err := o.Runtime.Stream(listener, "")
	if err != nil {
		o.Log.Debug("Dropping a datagram", "listener", listener, "reason", err)
		return l4.Backend{}, fmt.Errorf("listener %s: %w", listener, err)
	}
	if !o.Dial.Room.TryEnter() { // to wait would keep the other clients waiting
		stream.Done(false)
		return l4.Backend{}, fmt.Errorf("backend %s: %w", stream.Backend, upstream.ErrNoRoom)
	}
	conn, err := dialUDP(o.Dial, &stream.Target)
	if err != nil {
		o.Dial.Room.Leave()
		stream.Done(true)
		o.Log.Debug("Cannot reach a backend", "listener", listener, "backend", stream.Backend, "error", err)
		return l4.Backend{}, fmt.Errorf("backend %s: %w", stream.Backend, err)
	}
	done := func(failed bool) {
		stream.Done(failed)
		o.Dial.Room.Leave()
	}
	return l4.Backend{Conn: conn, Done: done}, nil
}

func dialUDP(dial upstream.Dialer, to *exchange.Target) (*net.UDPConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), to.ConnectTimeout)
	defer cancel()
	conn, err := dial.DialContext(ctx, "udp", to.Addr)
	if err != nil {
		return nil, err
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return nil, fmt.Errorf("got a %T", conn)
	}
	return udp, nil
}

// addr is where the socket is bound.
func (k *datagramSocket) addr() netip.AddrPort { return exchange.AddrPort(k.conn.LocalAddr()) }

// stop lets the sessions come to an end and closes the socket.
func (k *datagramSocket) stop() {
	k.relay.Drain(min(time.Second, k.server.opts.DrainTimeout), k.server.opts.DrainTimeout)
	_ = k.conn.Close()
	<-k.done
}

// reconcileUDP makes the UDP sockets what the runtime's listeners say. The
// errors are those of listeners whose port could not be bound. s.mu is held.
func (s *Server) reconcileUDP() []error {
	wanted := udpListeners(s.opts.Runtime.Listeners())
	for port, k := range s.datagrams {
		if l := wanted[port]; l != nil {
			k.listener.Store(&l.Name)
		} else {
			s.removeUDP(port, k)
		}
	}
	var unbound []error
	for port, l := range wanted {
		if s.datagrams[port] != nil {
			continue
		}
		if err := s.serveUDP(port, l); err != nil {
			unbound = append(unbound, &ir.ResourceError{Resource: ir.RefOf(l), Err: err})
		}
	}
	return unbound
}

// udpListeners returns the first UDP listener of each port.
func udpListeners(listeners []*ir.Listener) map[uint16]*ir.Listener {
	out := make(map[uint16]*ir.Listener)
	for _, l := range listeners {
		if l.Protocol == ir.ProtocolUDP && out[l.Port] == nil {
			out[l.Port] = l
		}
	}
	return out
}

func (s *Server) serveUDP(port uint16, l *ir.Listener) error {
	k, err := s.listenUDP(l)
	if err != nil {
		return err
	}
	s.datagrams[port] = k
	s.opts.Log.Info("Listening", "port", port, "address", k.addr(), "protocol", ir.ProtocolUDP)
	return nil
}

// removeUDP stops a socket and drains it in the background. s.mu is held.
func (s *Server) removeUDP(port uint16, k *datagramSocket) {
	delete(s.datagrams, port)
	s.draining.Go(k.stop)
	s.opts.Log.Info("No longer listening", "port", port, "protocol", ir.ProtocolUDP)
}
