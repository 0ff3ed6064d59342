package h2

import (
	"net/netip"
	"strconv"
	"strings"
)

// maxTarget is the longest :path, in bytes: that of the HTTP/1.1 codec.
const maxTarget = 16 << 10

// validTarget says whether a :path may be handed on: no space, control or
// non-ASCII byte, no fragment, no backslash in the path. A backend that speaks
// HTTP/1.1 would otherwise read another request than the one that was routed
// (RFC 9113 section 8.3.1). The library has checked the escapes.
func validTarget(s string) bool {
	if s == "*" {
		return true
	}
	if !strings.HasPrefix(s, "/") || len(s) > maxTarget {
		return false
	}
	inPath := true
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f || c == '#' || c == '\\' && inPath:
			return false
		case c == '?':
			inPath = false
		}
	}
	return true
}

// validAuthority says whether an :authority may be handed on as Host: a DNS
// name, an IPv4 address or a bracketed IPv6 address without a zone, and
// perhaps a port from 1 to 65535. Userinfo and escapes are refused.
func validAuthority(s string) bool {
	var host, port string
	var hasPort bool
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return false
		}
		addr, err := netip.ParseAddr(s[1:end])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return false
		}
		if port, hasPort = strings.CutPrefix(s[end+1:], ":"); !hasPort && port != "" {
			return false
		}
	} else if host, port, hasPort = strings.Cut(s, ":"); !validHost(host) {
		return false
	}
	if !hasPort {
		return true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && port[0] != '+'
}

func validHost(s string) bool {
	for i := range len(s) {
		c := s[i]
		alnum := c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9'
		if !alnum && c != '-' && c != '.' && c != '_' && c != '~' {
			return false
		}
	}
	return s != ""
}
