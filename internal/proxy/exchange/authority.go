package exchange

import (
	"net/netip"
	"strings"
)

// ParseAuthority checks a Host value, an :authority or the authority of a target:
// a DNS name, an IPv4 address or a bracketed IPv6 address without a zone, and
// perhaps a port from 1 to 65535 (RFC 3986 section 3.2). An empty port is the
// default one: the colon is cut off. Userinfo and percent escapes are refused.
func ParseAuthority(s string) (authority string, ok bool) {
	var host, port string
	hasPort := false
	if s != "" && s[0] == '[' {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", false
		}
		addr, err := netip.ParseAddr(s[1:end])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", false
		}
		host = s[:end+1]
		if port, hasPort = strings.CutPrefix(s[end+1:], ":"); !hasPort && port != "" {
			return "", false
		}
	} else {
		host, port, hasPort = strings.Cut(s, ":")
		if !validHost(host) {
			return "", false
		}
	}
	if !hasPort {
		return s, true
	}
	if port == "" {
		return host, true
	}
	return s, validPort(port)
}

// hostByte are the bytes of a reg-name without percent escapes (RFC 3986 section
// 3.2.2). It may also hold "&", "'" and more; no host that is resolved or matched
// does, and they matter in logs and configuration.
var hostByte = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") {
		t[c] = true
	}
	return t
}()

func validHost(host string) bool {
	for i := range len(host) {
		if !hostByte[host[i]] {
			return false
		}
	}
	return host != ""
}

func validPort(port string) bool {
	n := 0
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' || n > 6553 {
			return false
		}
		n = n*10 + int(port[i]-'0')
	}
	return n > 0 && n <= 65535
}
