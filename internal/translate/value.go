package translate

import (
	"fmt"
	"net/url"
	"regexp/syntax"
	"strings"
)

const (
	maxRegex = 1024 // bytes of a regular expression
	// maxProgram is how many instructions the regular expressions of a route may
	// become. Time and memory grow with them, and \pL{1000} is a thousand.
	maxProgram = 10_000
	// maxRedaction is the same for the patterns of a content log, which look at more
	// than a path or a header: at all that is said.
	maxRedaction = 1_000
	maxPath      = 1024 // bytes of a path to match or to rewrite to
	maxName      = 256  // bytes of the name of a header or query parameter
	maxValue     = 4096 // bytes of a header value to match or to set
)

// checkRegex returns how many instructions a regular expression becomes, and what is
// wrong with it; empty: nothing.
func checkRegex(expr string) (size int, wrong string) {
	if len(expr) > maxRegex {
		return 0, fmt.Sprintf("a regular expression may have at most %d bytes, not %d", maxRegex, len(expr))
	}
	// Both: a parenthesis too many would undo the anchors, and they make nesting deeper.
	_, alone := syntax.Parse(expr, syntax.Perl)
	whole, anchored := syntax.Parse("^(?:"+expr+")$", syntax.Perl)
	if alone != nil || anchored != nil {
		return 0, fmt.Sprintf("%q is not a regular expression in RE2 syntax", short(expr))
	}
	program, err := syntax.Compile(whole.Simplify())
	if err != nil || len(program.Inst) > maxProgram {
		return 0, fmt.Sprintf("%q is too costly; repeat less in it", short(expr))
	}
	return len(program.Inst), ""
}

// invalidPath says what is wrong with a path; empty: nothing.
func invalidPath(path string) string {
	switch {
	case !strings.HasPrefix(path, "/"):
		return `must begin with "/"`
	case len(path) > maxPath:
		return fmt.Sprintf("has %d bytes; at most %d are allowed", len(path), maxPath)
	case strings.Contains(path, "//") || strings.ContainsAny(path, "?#") || hasControl(path):
		return `must not contain "//", "?", "#" or control characters`
	}
	plain, err := url.PathUnescape(path)
	if err != nil || strings.Contains(plain, "\x00") {
		return "must have percent signs only before two hexadecimal digits other than 00"
	}
	// Encoded dots are dots, some servers take encoded slashes and backslashes for
	// slashes, and some read "..;x" as "..".
	decode := strings.NewReplacer("%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", "/", "%5C", "/")
	for segment := range strings.SplitSeq(decode.Replace(path), "/") {
		if segment, _, _ = strings.Cut(segment, ";"); segment == "." || segment == ".." {
			return `must not contain the segments "." and ".."`
		}
	}
	return ""
}

// hasControl says whether s has a control character or a space.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// isToken says whether s is a token (RFC 9110 section 5.6.2): a header name or
// method.
func isToken(s string) bool {
	const special = "!#$%&'*+-.^_`|~"
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte(special, c) < 0 {
			return false
		}
	}
	return s != ""
}

// isFieldValue says whether s can be sent as the value of a header field.
func isFieldValue(s string) bool {
	return len(s) <= maxValue && !strings.ContainsFunc(s, func(r rune) bool { return (r < ' ' && r != '\t') || r == 0x7f })
}

// port returns a port number, or 0 for one that is not in the range 1 to 65535.
func port(n int32) uint16 {
	if n < 1 || n > 65535 {
		return 0
	}
	return uint16(n)
}

// deref returns *p, or fallback if p is nil.
func deref[T any](p *T, fallback T) T {
	if p == nil {
		return fallback
	}
	return *p
}
