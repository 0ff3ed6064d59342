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
		if origin := g.reach(conn, to); origin != nil {
			g.join(conn, origin, nil, observe.CaptureUnrouted)
		}
	case l.Sniff:
		g.serveSniffed(conn, to)
	default:
		o.Observe.Captured(observe.CaptureRouted)
		g.serveCleartext(arrival{conn: conn}, o.Runtime.CapturedHandler(to))
	}
}

// serveSniffed serves a connection by what its client begins with.
func (g *generation) serveSniffed(conn *net.TCPConn, to netip.AddrPort) {
	kind, head, err := look(conn)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		g.serveSilent(conn, to)
	case err != nil:
		_ = conn.Close()
	case kind == capture.Opaque:
		if origin := g.reach(conn, to); origin != nil {
			g.join(conn, origin, head, observe.CaptureOpaque)
		}
	default:
		g.serveRouted(conn, head, kind, to)
	}
}

// serveSilent serves a connection whose client has said nothing yet. Its server
// may have to begin, so that is connected to. A client that only keeps the
// connection in store is still served by routes when it comes to use it.
func (g *generation) serveSilent(conn *net.TCPConn, to netip.AddrPort) {
	origin := g.reach(conn, to)
	if origin == nil {
		return
	}
	if !capture.ClientBegins(conn, origin) {
		g.join(conn, origin, nil, observe.CaptureOpaque)
		return
	}
	kind, head, err := look(conn)
	if err == nil && kind == capture.Opaque {
		g.join(conn, origin, head, observe.CaptureOpaque)
		return
	}
	_ = origin.Close()
	if err != nil {
		_ = conn.Close()
		return
	}
	g.serveRouted(conn, head, kind, to)
}

func (g *generation) serveRouted(conn *net.TCPConn, head []byte, kind capture.Kind, to netip.AddrPort) {
	o := &g.server.opts
	o.Observe.Captured(observe.CaptureRouted)
	g.handOver(conn)
	g.serveHTTP(arrival{conn: conn, head: head}, kind == capture.HTTP2, o.Runtime.CapturedHandler(to))
}

// look reads until it is clear what a client speaks, or the client makes a
// pause. head is all that was read. A client that has said nothing when its time
// is up is an error, os.ErrDeadlineExceeded.
func look(conn net.Conn) (kind capture.Kind, head []byte, err error) {
	defer func() { _ = conn.SetReadDeadline(time.Time{}) }()
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
		case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded) && len(head) > 0: // its server has the word
			sure = true
		default:
			return 0, nil, err
		}
	}
	return kind, head, nil
}

// reach connects to where a connection was going. Where that fails the
// connection is reset, and nil returned.
func (g *generation) reach(conn *net.TCPConn, to netip.AddrPort) *net.TCPConn {
	origin, err := dialOrigin(to)
	if err != nil {
		g.server.opts.Log.Debug("Cannot reach a destination", "remote", conn.RemoteAddr(), "destination", to, "error", err)
		g.server.opts.Observe.Captured(observe.CaptureUnreachable)
		reset(conn)
		return nil
	}
	return origin
}

func dialOrigin(to netip.AddrPort) (*net.TCPConn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), destinationTimeout)
	defer cancel()
	return (&net.Dialer{}).DialTCP(ctx, "tcp", netip.AddrPort{}, to)
}

// join copies between a connection, of which head was read, and where it was
// going until both have ended, and closes them.
func (g *generation) join(conn, origin *net.TCPConn, head []byte, why observe.Capture) {
	g.handOver(conn)
	g.server.opts.Observe.Captured(why)
	g.server.opts.Log.Debug("Passing a connection through", "remote", conn.RemoteAddr(), "destination", origin.RemoteAddr(), "reason", why)
	_, _ = origin.Write(head) // what fails here fails again when the two are joined
	l4.Join(conn, origin)
	_ = conn.Close()
}

// reset closes a connection as a host does that does not want it.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}
