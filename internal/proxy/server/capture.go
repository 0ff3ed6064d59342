package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/capture"
	"github.com/citoroute/citoroute/internal/proxy/l4"
	"github.com/citoroute/citoroute/internal/proxy/observe"
)

// Capture says where a sidecar takes the connections of its pod.
type Capture struct {
	// Port is bound on the loopback addresses of both families.
	Port uint16
	// Destination says where a redirected connection was going.
	Destination func(*net.TCPConn) (netip.AddrPort, error)
}

const (
	// configurationWait is how long the first connections of a sidecar wait for
	// its configuration: no controller must keep a pod off the network.
	configurationWait = 3 * time.Second
	// destinationTimeout limits connecting to where a connection was going.
	destinationTimeout = 10 * time.Second
)

// Loopback is where the kernel redirects what a machine itself sends.
var (
	ipv4Loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	ipv6Loopback = netip.IPv6Loopback()
)

// beginCapture accepts connections before there is a configuration: the kernel
// redirects them already.
func (s *Server) beginCapture() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.reconcileCapture()
		time.AfterFunc(configurationWait, s.configure)
	}
}

// reconcileCapture binds what is not bound yet. No resource is at fault where
// that fails, so it is only logged and tried again. s.mu is held.
func (s *Server) reconcileCapture() {
	bound := true
	for _, host := range []netip.Addr{ipv4Loopback, ipv6Loopback} {
		err := s.serve(binding{host, s.opts.Capture.Port}, &plan{family: familyCaptured})
		switch {
		case err == nil:
		case host == ipv6Loopback && (errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)):
			s.opts.Log.Debug("There is no IPv6 to capture", "reason", err)
		default:
			s.opts.Log.Error("Connections cannot be captured", "error", err, "retryIn", rebindInterval)
			bound = false
		}
	}
	if !bound {
		s.retryLater()
	}
	s.complete.Store(bound && s.applied)
}

// serveCaptured serves a redirected connection: by the listener that it was
// going to, or else by passing it through to where it was going.
func (g *generation) serveCaptured(conn *net.TCPConn) {
	o := &g.server.opts
	to, err := o.Capture.Destination(conn)
	if err != nil {
		o.Log.Debug("Closing a connection", "remote", conn.RemoteAddr(), "reason", err)
		o.Observe.Captured(observe.CaptureRefused)
		reset(conn)
		return
	}
	<-g.server.configured
	l := o.Runtime.Captured(to)
	switch {
	case l == nil:
		g.passThrough(conn, nil, to, observe.CaptureUnrouted)
	case l.Sniff:
		g.serveSniffed(conn, to)
	default:
		o.Observe.Captured(observe.CaptureRouted)
		g.serveCleartext(conn, o.Runtime.CapturedHandler(to))
	}
}

// serveSniffed serves a connection by what its client begins with.
func (g *generation) serveSniffed(conn *net.TCPConn, to netip.AddrPort) {
	kind, head, err := look(conn)
	if err != nil {
		_ = conn.Close()
		return
	}
	if kind == capture.Opaque {
		g.passThrough(conn, head, to, observe.CaptureOpaque)
		return
	}
	o := &g.server.opts
	o.Observe.Captured(observe.CaptureRouted)
	g.handOver(conn)
	g.serveHTTP(conn, head, kind == capture.HTTP2, o.Runtime.CapturedHandler(to))
}

// look reads until it is clear what a client speaks, or the client makes a
// pause. head is all that was read.
func look(conn net.Conn) (kind capture.Kind, head []byte, err error) {
	head = make([]byte, 0, sniffSize)
	for sure := false; !sure && len(head) < cap(head); {
		if err := conn.SetReadDeadline(time.Now().Add(capture.Patience)); err != nil {
			return 0, nil, fmt.Errorf("arm the timeout: %w", err)
		}
		n, err := conn.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		kind, sure = capture.Look(head)
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, io.EOF): // its server has the word
			sure = true
		default:
			return 0, nil, err
		}
	}
	return kind, head, conn.SetReadDeadline(time.Time{})
}

// passThrough joins a connection, of which head was read, with where it was
// going.
func (g *generation) passThrough(conn *net.TCPConn, head []byte, to netip.AddrPort, why observe.Capture) {
	o := &g.server.opts
	g.handOver(conn)
	origin, err := dialOrigin(to, head)
	if err != nil {
		o.Log.Debug("Cannot reach a destination", "remote", conn.RemoteAddr(), "destination", to, "error", err)
		o.Observe.Captured(observe.CaptureUnreachable)
		reset(conn)
		return
	}
	o.Observe.Captured(why)
	l4.Join(conn, origin)
	_ = conn.Close()
}

// dialOrigin connects to where a connection was going and sends head.
func dialOrigin(to netip.AddrPort, head []byte) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), destinationTimeout)
	defer cancel()
	origin, err := (&net.Dialer{}).DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, err
	}
	if len(head) > 0 {
		if _, err := origin.Write(head); err != nil {
			_ = origin.Close()
			return nil, err
		}
	}
	return origin, nil
}

// reset closes a connection as a host does that does not want it.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}
