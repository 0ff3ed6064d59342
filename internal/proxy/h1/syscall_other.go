//go:build unix && !linux

package h1

import (
	"net"
	"syscall"
	"time"
)

func sysRead(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func sysWrite(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), p)
		if err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// limitSilence leaves it to the kernel how long it tries to reach a peer.
func limitSilence(net.Conn, time.Duration) {}
