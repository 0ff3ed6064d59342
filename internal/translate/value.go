package translate

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

const (
	maxRegex = 1024 // bytes of a regular expression
	maxPath  = 1024 // bytes of a path to match or to rewrite to
	maxName  = 256  // bytes of the name of a header or query parameter
	maxValue = 4096 // bytes of a header value to match or to set
)

// invalidRegex says what is wrong with a regular expression; empty: nothing.
func invalidRegex(expr string) string {
	if len(expr) > maxRegex {
		return fmt.Sprintf("a regular expression may have at most %d bytes, not %d", maxRegex, len(expr))
	}
	// Both: a parenthesis too many would undo the anchors, and they make nesting deeper.
	_, alone := regexp.Compile(expr)
	if _, anchored := regexp.Compile("^(?:" + expr + ")$"); alone != nil || anchored != nil {
		return fmt.Sprintf("%q is not a regular expression in RE2 syntax", short(expr))
	}
	return ""
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
	// Encoded dots are dots, and some servers read "..;x" as "..".
	for segment := range strings.SplitSeq(strings.NewReplacer("%2e", ".", "%2E", ".").Replace(path), "/") {
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

// parseDuration reads a duration as GEP-2257 defines it.
func parseDuration(d gatewayv1.Duration) (time.Duration, bool) {
	v, err := time.ParseDuration(string(d))
	return v, err == nil && v >= 0 && !strings.ContainsAny(string(d), ".µu+-n")
}

func (b *ruleBuilder) duration(d *gatewayv1.Duration, field string) time.Duration {
	if d == nil {
		return 0
	}
	v, ok := parseDuration(*d)
	if !ok {
		b.unsupported(`%s: %q is not a duration such as "500ms" or "1m30s"`, field, short(string(*d)))
	}
	return v
}

// port returns a port number, or 0 for one that is not in the range 1 to 65535.
func port(n int32) uint16 {
	if n < 1 || n > 65535 {
		return 0
	}
	return uint16(n)
}

// timeouts translates the timeouts of a rule.
func (b *ruleBuilder) timeouts(t *gatewayv1.HTTPRouteTimeouts) {
	if t == nil {
		return
	}
	b.rule.Timeouts.Request = b.duration(t.Request, ".timeouts.request")
	b.rule.Timeouts.Backend = b.duration(t.BackendRequest, ".timeouts.backendRequest")
	if r, a := b.rule.Timeouts.Request, b.rule.Timeouts.Backend; r > 0 && a > r {
		b.unsupported(".timeouts.backendRequest: %s is longer than request, which is %s", a, r)
	}
}

const (
	defaultAttempts = 1
	maxAttempts     = 1000
)

// retry translates the retry rule of a rule.
func (b *ruleBuilder) retry(r *gatewayv1.HTTPRouteRetry) {
	if r == nil {
		return
	}
	out := &ir.Retry{Attempts: deref(r.Attempts, defaultAttempts), Backoff: b.duration(r.Backoff, ".retry.backoff")}
	for i, code := range r.Codes {
		if code < 400 || code > 599 {
			b.unsupported(".retry.codes[%d]: %d is not in the range 400 to 599", i, code)
		}
		out.Codes = append(out.Codes, int(code))
	}
	if out.Attempts < 0 || out.Attempts > maxAttempts {
		b.unsupported(".retry.attempts: %d is not in the range 0 to %d", out.Attempts, maxAttempts)
	}
	if out.Attempts > 0 {
		b.rule.Retry = out
	}
}
