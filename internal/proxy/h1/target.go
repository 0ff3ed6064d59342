package h1

import (
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

// validConnectTarget says whether a target is an authority-form one, with the
// port that CONNECT requires (RFC 9112 section 3.2.3).
func validConnectTarget(target string) bool {
	authority, ok := exchange.ParseAuthority(target)
	if !ok {
		return false
	}
	return authority == target && strings.LastIndexByte(target, ':') > strings.LastIndexByte(target, ']')
}
