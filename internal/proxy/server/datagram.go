package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/l4"
)

// maxSessions is how many clients a UDP port serves at a time.
const maxSessions = 16 << 10

// datagramSocket is one bound UDP port.
type datagramSocket struct {
	server   *Server
	listener string
	conn     *net.UDPConn
	relay    *l4.Relay
	done     chan struct{} // closed when the relay has ended
}

// listenUDP binds a UDP port and begins to relay. s.mu is held.
func (s *Server) listenUDP(l *ir.Listener) (*datagramSocket, error) {
	address := s.bindAddress(l.Port)
	conn, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", address)
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", address, err)
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return nil, fmt.Errorf("bind %s: got a %T", address, conn)
	}
	k := &datagramSocket{server: s, listener: l.Name, conn: udp, done: make(chan struct{})}
	k.relay = &l4.Relay{
		Conn: udp, Choose: k.choose, Idle: s.opts.IdleTimeout, MaxSessions: maxSessions,
		Dropped: s.opts.Observe.DatagramDropped,
	}
	go func() {
		defer close(k.done)
		k.relay.Serve()
	}()
	return k, nil
}

// choose finds the backend of a new client.
func (k *datagramSocket) choose() (l4.Backend, error) {
	o := &k.server.opts
	stream, err := o.Runtime.Stream(k.listener, "")
	if err != nil {
		o.Log.Debug("Dropping a datagram", "listener", k.listener, "reason", err)
		return l4.Backend{}, fmt.Errorf("listener %s: %w", k.listener, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stream.Target.ConnectTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "udp", stream.Target.Addr)
	if err != nil {
		stream.Done(true)
		o.Log.Debug("Cannot reach a backend", "listener", k.listener, "backend", stream.Backend, "error", err)
		return l4.Backend{}, fmt.Errorf("backend %s: %w", stream.Backend, err)
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		return l4.Backend{}, fmt.Errorf("backend %s: got a %T", stream.Backend, conn)
	}
	return l4.Backend{Conn: udp, Done: stream.Done}, nil
}

// addr is where the socket is bound.
func (k *datagramSocket) addr() netip.AddrPort {
	if udp, ok := k.conn.LocalAddr().(*net.UDPAddr); ok {
		p := udp.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

// stop lets the sessions come to an end and closes the socket.
func (k *datagramSocket) stop() {
	k.relay.Drain(min(time.Second, k.server.opts.DrainTimeout), k.server.opts.DrainTimeout)
	_ = k.conn.Close()
	<-k.done
}

// reconcileUDP makes the UDP sockets what the runtime's listeners say. s.mu is
// held.
func (s *Server) reconcileUDP() []error {
	var errs []error
	wanted := make(map[uint16]*ir.Listener)
	for _, l := range s.opts.Runtime.Listeners() {
		if l.Protocol == ir.ProtocolUDP && wanted[l.Port] == nil {
			wanted[l.Port] = l
		}
	}
	for port, k := range s.datagrams {
		if l := wanted[port]; l == nil || l.Name != k.listener {
			delete(s.datagrams, port)
			s.draining.Go(k.stop)
			s.opts.Log.Info("No longer listening", "port", port, "protocol", ir.ProtocolUDP)
		}
	}
	for port, l := range wanted {
		if s.datagrams[port] != nil {
			continue
		}
		k, err := s.listenUDP(l)
		if err != nil {
			errs = append(errs, &ir.ResourceError{Resource: ir.RefOf(l), Err: err})
			continue
		}
		s.datagrams[port] = k
		s.opts.Log.Info("Listening", "port", port, "address", k.addr(), "protocol", ir.ProtocolUDP)
	}
	return errs
}
