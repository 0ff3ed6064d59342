package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"
	"syscall"
)

// serveBackend answers every GET request with the same response, from one
// thread around epoll: the backend must not be what limits a proxy.
func serveBackend(address string) error {
	runtime.GOMAXPROCS(1)
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return err
	}
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	return epollLoop(int(file.Fd()))
}

// connection is what has come of a request so far: how much of the blank line
// that ends it.
type connection struct{ matched int }

func epollLoop(listener int) error {
	poll, err := syscall.EpollCreate1(0)
	if err != nil {
		return err
	}
	if err := syscall.SetNonblock(listener, true); err != nil {
		return err
	}
	if err := watch(poll, listener); err != nil {
		return err
	}
	body := strings.Repeat("x", bodySize)
	response := fmt.Appendf(nil,
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	connections := map[int]*connection{}
	events := make([]syscall.EpollEvent, 256)
	buffer := make([]byte, 64<<10)
	for {
		n, err := syscall.EpollWait(poll, events, -1)
		if err != nil && err != syscall.EINTR {
			return err
		}
		for _, event := range events[:max(n, 0)] {
			fd := int(event.Fd)
			if fd == listener {
				accept(poll, listener, connections)
				continue
			}
			if !answer(fd, connections[fd], buffer, response) {
				delete(connections, fd)
				_ = syscall.Close(fd)
			}
		}
	}
}

func watch(poll, fd int) error {
	return syscall.EpollCtl(poll, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

func accept(poll, listener int, connections map[int]*connection) {
	for {
		fd, _, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		connections[fd] = &connection{}
		if err := watch(poll, fd); err != nil {
			_ = syscall.Close(fd)
			delete(connections, fd)
		}
	}
}

// answer reads what there is and writes one response for each request that it
// completes. It returns false when the connection is to be closed.
func answer(fd int, c *connection, buffer, response []byte) bool {
	n, err := syscall.Read(fd, buffer)
	if n <= 0 {
		return err == syscall.EAGAIN || err == syscall.EINTR
	}
	for range c.requests(buffer[:n]) {
		if _, err := syscall.Write(fd, response); err != nil {
			return false
		}
	}
	return true
}

// requests counts the requests that end in b.
func (c *connection) requests(b []byte) int {
	if c.matched == 0 && bytes.HasSuffix(b, []byte("\r\n\r\n")) && bytes.Count(b, []byte("\r\n\r\n")) == 1 {
		return 1
	}
	const end = "\r\n\r\n"
	count := 0
	for _, char := range b {
		switch char {
		case end[c.matched]:
			c.matched++
		case '\r':
			c.matched = 1
		default:
			c.matched = 0
		}
		if c.matched == len(end) {
			count, c.matched = count+1, 0
		}
	}
	return count
}
