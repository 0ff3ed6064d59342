package main

import (
	"bytes"
	"context"
	"net"
	"runtime"
	"strconv"
	"syscall"
)

// serveBackend answers every request with the response of its path, from one
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

// connection is what has come of a request that is not complete.
type connection struct{ held []byte }

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
	responses := newAnswers()
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
			if !connections[fd].answer(fd, buffer, responses) {
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
func (c *connection) answer(fd int, buffer []byte, responses answers) bool {
	n, err := syscall.Read(fd, buffer)
	if n <= 0 {
		return err == syscall.EAGAIN || err == syscall.EINTR
	}
	b := buffer[:n]
	if len(c.held) > 0 {
		c.held = append(c.held, b...)
		b = c.held
	}
	for {
		path, size := request(b)
		if size == 0 {
			c.held = append(c.held[:0], b...)
			return true
		}
		if _, err := syscall.Write(fd, responses.to(path)); err != nil {
			return false
		}
		b = b[size:]
	}
}

// request returns the path and the length of the request that b begins with;
// zero where it is not complete. It knows bodies with a length and no others.
func request(b []byte) (path []byte, size int) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, 0
	}
	head, size := b[:end], end+4
	if _, after, ok := bytes.Cut(head, []byte("\r\nContent-Length: ")); ok {
		size += number(after)
	} else if _, after, ok := bytes.Cut(head, []byte("\r\ncontent-length: ")); ok {
		size += number(after)
	}
	if len(b) < size {
		return nil, 0
	}
	_, path, _ = bytes.Cut(head, []byte(" "))
	path, _, _ = bytes.Cut(path, []byte(" "))
	return path, size
}

// number reads the digits that b begins with.
func number(b []byte) int {
	end := 0
	for end < len(b) && b[end] >= '0' && b[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(string(b[:end]))
	return n
}
