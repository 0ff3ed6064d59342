package translate

import (
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// normalizeHost lower-cases a hostname and says whether it is an exact name or
// "*.suffix" of valid DNS labels.
func normalizeHost(host string) (string, bool) {
	host = strings.ToLower(host)
	if _, err := netip.ParseAddr(host); err == nil {
		return host, false
	}
	if strings.HasPrefix(host, "*") {
		return host, len(validation.IsWildcardDNS1123Subdomain(host)) == 0
	}
	return host, len(validation.IsDNS1123Subdomain(host)) == 0
}

// intersectHosts returns the more specific of two hostnames if one covers the
// other. Empty covers everything; "*.a.b" covers names with one or more labels
// before a.b, and wildcards below it.
func intersectHosts(a, b string) (string, bool) {
	switch {
	case a == b, b == "":
		return a, true
	case a == "":
		return b, true
	case covers(a, b):
		return b, true
	case covers(b, a):
		return a, true
	}
	return "", false
}

// covers says whether the wildcard a covers b.
func covers(a, b string) bool {
	suffix, ok := strings.CutPrefix(a, "*")
	return ok && strings.HasSuffix(strings.TrimPrefix(b, "*"), suffix) && len(b) > len(suffix)
}
