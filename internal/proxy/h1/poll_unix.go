//go:build unix

package h1

import "golang.org/x/sys/unix"

// pollReadable says whether reading fd would not wait.
func pollReadable(fd uintptr) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds[:], 0)
	return err != nil || n > 0
}
