package h1

import (
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The sockets never block, so the scheduler need not be told of these calls:
// that saves a tenth of what a small exchange costs. The calls for sockets are a
// tenth faster than read and write, which look for what sockets do not have.

func sysRead(fd uintptr, p []byte) (int, error) {
	return raw(unix.SYS_RECVFROM, fd, p, unix.MSG_DONTWAIT)
}

func sysWrite(fd uintptr, p []byte) (int, error) {
	return raw(unix.SYS_SENDTO, fd, p, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
}

// raw receives into, or sends, p at once or not at all; errors are syscall.Errno.
func raw(call, fd uintptr, p []byte, flags uintptr) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := syscall.RawSyscall6(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, errno
		}
	}
}

// limitSilence has a connection break when its peer's machine does not acknowledge
// for d what was sent. Without it the kernel would go on trying for a quarter of
// an hour, in which nobody is told that a network was cut.
func limitSilence(conn net.Conn, d time.Duration) {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
	})
}
