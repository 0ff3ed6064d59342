package capture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errNotRedirected is why a connection has no other destination than the proxy.
var errNotRedirected = errors.New("the connection was not redirected")

// Destination asks the kernel where conn was going before it was redirected
// (SO_ORIGINAL_DST of netfilter's connection tracking). A connection that was
// made to the proxy itself is an error.
func Destination(conn *net.TCPConn) (netip.AddrPort, error) {
	local, ok := conn.LocalAddr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, errNotRedirected
	}
	ask := destination6
	if local.IP.To4() != nil {
		ask = destination4
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("ask for the original destination: %w", err)
	}
	var to netip.AddrPort
	var failed error
	if err := raw.Control(func(fd uintptr) { to, failed = ask(int(fd)) }); err != nil {
		failed = err
	}
	switch {
	case errors.Is(failed, unix.ENOENT): // connection tracking has not seen it
		return netip.AddrPort{}, errNotRedirected
	case failed != nil:
		return netip.AddrPort{}, fmt.Errorf("ask for the original destination: %w", failed)
	case to == netip.AddrPortFrom(local.AddrPort().Addr().Unmap(), local.AddrPort().Port()):
		return netip.AddrPort{}, errNotRedirected
	}
	return to, nil
}

// destination4 reads a sockaddr_in. The system package has no call for that
// option; a multicast request is a buffer of more than its size.
func destination4(fd int) (netip.AddrPort, error) {
	mreq, err := unix.GetsockoptIPv6Mreq(fd, unix.SOL_IP, unix.SO_ORIGINAL_DST)
	if err != nil {
		return netip.AddrPort{}, err
	}
	b := mreq.Multiaddr // family, port, address
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:4])), nil
}

// destination6 reads a sockaddr_in6, which is the first part of a path MTU's
// answer.
func destination6(fd int) (netip.AddrPort, error) {
	info, err := unix.GetsockoptIPv6MTUInfo(fd, unix.SOL_IPV6, unix.SO_ORIGINAL_DST) // IP6T_SO_ORIGINAL_DST is the same number
	if err != nil {
		return netip.AddrPort{}, err
	}
	port := (*[2]byte)(unsafe.Pointer(&info.Addr.Port))
	return netip.AddrPortFrom(netip.AddrFrom16(info.Addr.Addr), binary.BigEndian.Uint16(port[:])), nil
}
