package h1

import (
	"net/netip"
	"strings"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// splitTarget reads an origin-form or asterisk-form target (RFC 9112 section
// 3.2) into the request. What is legal in no URI, and could be understood in
// two ways, is refused; nothing is decoded or normalised.
func splitTarget(r *exchange.Request, target string) bool {
	path, query, has := strings.Cut(target, "?")
	if path == "" || path[0] != '/' || !validPath(path) {
		return false
	}
	r.Path, r.Query, r.HasQuery = path, query, has
	return true
}

// validPath checks the escapes and refuses the backslash, which some backends
// take for a slash.
func validPath(path string) bool {
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '%':
			if i+2 >= len(path) || charClass[path[i+1]]&charClass[path[i+2]]&classHex == 0 {
				return false
			}
			i += 2
		case '\\':
			return false
		}
	}
	return true
}

// splitAbsolute splits an absolute-form target of the given scheme into
// authority and the rest, which is empty or begins with "/" or "?".
func splitAbsolute(target, scheme string) (authority, rest string, ok bool) {
	name, after, found := strings.Cut(target, "://")
	if !found || !exchange.EqualFold(name, scheme) {
		return "", "", false
	}
	end := strings.IndexAny(after, "/?")
	if end < 0 {
		end = len(after)
	}
	return after[:end], after[end:], true
}

// parseAuthority checks a Host value or the authority of a target: a DNS name,
// an IPv4 address or a bracketed IPv6 address without a zone, and a port from
// 1 to 65535. An empty port is the default one: the colon is cut off.
// Userinfo and percent escapes are refused.
func parseAuthority(s string) (authority string, ok bool) {
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
		host, port = s[:end+1], s[end+1:]
		if port != "" {
			if port[0] != ':' {
				return "", false
			}
			port, hasPort = port[1:], true
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

func validHost(host string) bool {
	for i := range len(host) {
		if charClass[host[i]]&classHost == 0 {
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

// validConnectTarget says whether a target is an authority-form one, with the
// port that CONNECT requires (RFC 9112 section 3.2.3).
func validConnectTarget(target string) bool {
	authority, ok := parseAuthority(target)
	if !ok {
		return false
	}
	return authority == target && strings.LastIndexByte(target, ':') > strings.LastIndexByte(target, ']')
}
