package h2

import "strings"

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
