package translate

import (
	"strings"
	"time"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/citoroute/citoroute/internal/ir"
)

// parseDuration reads a duration as GEP-2257 defines it.
func parseDuration(d gatewayv1.Duration) (time.Duration, bool) {
	v, err := time.ParseDuration(string(d))
	return v, err == nil && v >= 0 && !strings.ContainsAny(string(d), ".µu+-n")
}

// duration translates a duration of a rule; nil is 0.
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
