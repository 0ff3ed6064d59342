package l4

import "golang.org/x/sys/unix"

// pending is how many bytes have come and were not read yet.
func pending(fd uintptr) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
	if err != nil {
		return 0
	}
	return n
}
