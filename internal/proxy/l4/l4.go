package l4

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// maxHello is the most that is read of a client before its server name is
// known. crypto/tls takes no longer ClientHello either.
const maxHello = 64 << 10

// errHello ends a handshake once its ClientHello has been read.
var errHello = errors.New("the ClientHello has been read")

// ServerName reads a ClientHello from conn, however it is cut into segments
// and records, and returns its server name in lower case, "" where it has
// none. head is what was read; the caller hands it on. Set a read deadline
// first.
func ServerName(conn net.Conn) (name string, head []byte, err error) {
	r := &recorder{Conn: conn}
	got := false
	err = tls.Server(r, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			name, got = strings.ToLower(hello.ServerName), true
			return nil, errHello
		},
		MinVersion: tls.VersionTLS12, // is not looked at before the callback
	}).HandshakeContext(context.Background())
	if !got {
		return "", nil, fmt.Errorf("read ClientHello: %w", err)
	}
	return name, r.head.Bytes(), nil
}

// recorder keeps what is read from a connection and lets nothing be written.
type recorder struct {
	net.Conn
	head bytes.Buffer
}

// Read implements net.Conn.
func (r *recorder) Read(p []byte) (int, error) {
	room := maxHello - r.head.Len()
	if room == 0 {
		return 0, errors.New("the ClientHello is too long")
	}
	n, err := r.Conn.Read(p[:min(len(p), room)])
	r.head.Write(p[:n])
	return n, err
}

// Write implements net.Conn: the alert that ends the handshake goes nowhere.
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

// Close implements net.Conn, and leaves the connection open.
func (r *recorder) Close() error { return nil }

// SetDeadline implements net.Conn.
func (r *recorder) SetDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (r *recorder) SetWriteDeadline(time.Time) error { return nil }

// Join copies both ways between two connections until both directions have
// ended or one has failed, and closes b. A direction that ends is closed for
// writing on the other side, so half-closed protocols work. Between two plain
// TCP connections great amounts stay in the kernel (splice).
func Join(a, b net.Conn) {
	defer func() { _ = b.Close() }()
	var wg sync.WaitGroup
	wg.Go(func() { pass(a, b) })
	pass(b, a)
	wg.Wait()
}

// pass copies from src to dst and hands on the end. A failure resets both, so
// that the other direction ends, too.
func pass(dst, src net.Conn) {
	if copyAll(dst, src) != nil {
		abort(dst)
		abort(src)
		return
	}
	half, ok := dst.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		_ = dst.Close()
		_ = src.Close()
	}
}

// abort closes a connection so that its peer sees an error: an orderly end would
// make what has come look complete.
func abort(conn net.Conn) {
	if session, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = session.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// copyAll copies until src ends.
func copyAll(dst, src net.Conn) error {
	to, ok := dst.(*net.TCPConn)
	from, both := src.(*net.TCPConn)
	if ok && both {
		return (&copier{dst: to, src: from}).run()
	}
	_, err := io.Copy(dst, src)
	return err
}
