// Package porttest finds ports for tests that have to know one before it is
// bound. It is for tests only; who can, binds port 0 and asks which that was.
package porttest

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
)

// Ports from first on, below those that a system gives to sockets which do not
// ask for one: it would give a port that was free to somebody else, in between.
const (
	first  = 20_000
	number = 10_000
)

// Free returns a TCP port of the loopback address 127.0.0.1 at which nobody
// listens.
func Free(t testing.TB) uint16 {
	t.Helper()
	for range 100 {
		port := uint16(first + rand.IntN(number))
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", at(port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// Address is Free with the address before it.
func Address(t testing.TB) string {
	t.Helper()
	return at(Free(t))
}

func at(port uint16) string {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port).String()
}
