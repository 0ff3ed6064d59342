package router

import (
	"errors"
	"strings"
)

// ErrPath is the error of a path that could be read in two ways.
var ErrPath = errors.New("path is ambiguous: dot segment, NUL or malformed percent-encoding")

// CleanPath returns the one form of a raw path in which it is matched and
// forwarded, so that a rule can not be passed by writing its path differently:
//
//   - percent-encoded unreserved characters are decoded and the hexadecimal
//     digits of the others are put in upper case (RFC 3986 section 6.2.2):
//     /%61dmin is /admin. %2F, %5C and all other reserved characters stay
//     encoded and are never separators.
//   - empty segments are merged: //a is /a.
//   - the segments . and .. , also with parameters or between encoded slashes or
//     backslashes, are an error: a client has removed them long before (RFC 3986
//     section 5.2.4), so who sends them tries something. So are %00 and
//     malformed percent-encoding.
//
// Parameters (;a=b), case and backslashes are left alone and match as they
// are. It allocates only where something changes.
func CleanPath(path string) (string, error) {
	if isClean(path) {
		return path, nil
	}
	out := make([]byte, 0, len(path))
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '/' && len(out) > 0 && out[len(out)-1] == '/':
			continue
		case c == 0:
			return "", ErrPath
		case c == '%':
			hi, lo := hexDigit(path, i+1), hexDigit(path, i+2)
			if hi < 0 || lo < 0 || hi|lo == 0 {
				return "", ErrPath
			}
			i += 2
			if d := byte(hi<<4 | lo); isUnreserved(d) {
				out = append(out, d)
			} else {
				const digits = "0123456789ABCDEF"
				out = append(out, '%', digits[hi], digits[lo])
			}
		default:
			out = append(out, c)
		}
	}
	clean := string(out)
	if hasDotSegment(clean) {
		return "", ErrPath
	}
	return clean, nil
}

// isClean says that CleanPath changes nothing, in one pass.
func isClean(path string) bool {
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '%', 0:
			return false
		case '/':
			if i+1 < len(path) && (path[i+1] == '/' || path[i+1] == '.') {
				return false
			}
		}
	}
	return true
}

// hasDotSegment looks at a path whose escapes are normal. Some servers decode
// %2F and %5C before they look for segments.
func hasDotSegment(path string) bool {
	for rest, more := path, true; more; {
		var segment string
		segment, rest, more = cutSegment(rest)
		segment, _, _ = strings.Cut(segment, ";") // some servers read /..;/ as /../
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// cutSegment cuts at the first slash, encoded slash or encoded backslash.
func cutSegment(path string) (segment, rest string, more bool) {
	for i := range len(path) {
		switch {
		case path[i] == '/':
			return path[:i], path[i+1:], true
		case path[i] == '%' && (strings.HasPrefix(path[i:], "%2F") || strings.HasPrefix(path[i:], "%5C")):
			return path[:i], path[i+3:], true
		}
	}
	return path, "", false
}

func isUnreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '.' || c == '_' || c == '~'
}

// hexDigit returns the value of the hexadecimal digit at s[i], or -1.
func hexDigit(s string, i int) int {
	if i >= len(s) {
		return -1
	}
	switch c := s[i]; {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
