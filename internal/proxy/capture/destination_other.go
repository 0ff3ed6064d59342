//go:build !linux

package capture

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// Destination is not known: only Linux redirects connections for us.
func Destination(*net.TCPConn) (netip.AddrPort, error) {
	return netip.AddrPort{}, fmt.Errorf("ask for the original destination: %w", errors.ErrUnsupported)
}
