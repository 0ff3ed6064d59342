package capture

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// ClientBegins waits until the client or its server has said something, or has
// gone, and says whether it was the client. Nothing is read of either.
func ClientBegins(client, server *net.TCPConn) bool {
	over := make(chan struct{})
	go func() {
		defer close(over)
		awaitBytes(server)
		interrupt(client)
	}()
	byClient := awaitBytes(client)
	interrupt(server)
	<-over
	for _, conn := range []*net.TCPConn{client, server} {
		_ = conn.SetReadDeadline(time.Time{})
	}
	return byClient
}

// awaitBytes waits until reading conn would not wait, and says whether that has
// come before an interruption.
func awaitBytes(conn *net.TCPConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	return raw.Read(isReadable) == nil
}

// interrupt ends the wait for what a connection brings.
func interrupt(conn *net.TCPConn) { _ = conn.SetReadDeadline(time.Unix(1, 0)) }

func isReadable(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds[:], 0)
	return err != nil || n > 0
}
