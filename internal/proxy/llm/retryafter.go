package llm

import (
	"strconv"
	"strings"
	"time"
)

// The limits to which a provider's Retry-After is held.
const (
	minRetryAfter = time.Second
	maxRetryAfter = 10 * time.Minute
)

// parseRetryAfter reads a Retry-After field (RFC 9110 section 10.2.3): seconds
// or a date. What is too little or too much is held to the limits; 0: the field
// says nothing.
func parseRetryAfter(v string, now time.Time) time.Duration {
	if v = strings.TrimSpace(v); v == "" {
		return 0
	}
	digits := strings.TrimLeft(strings.TrimPrefix(v, "-"), "0")
	if strings.Trim(digits, "0123456789") == "" {
		seconds, err := strconv.ParseInt(digits, 10, 32)
		switch {
		case digits == "" || v[0] == '-':
			return minRetryAfter
		case err != nil: // too large a number
			return maxRetryAfter
		}
		return hold(time.Duration(seconds) * time.Second)
	}
	for _, layout := range [...]string{"Mon, 02 Jan 2006 15:04:05 GMT", time.RFC850, time.ANSIC} {
		if at, err := time.Parse(layout, v); err == nil {
			return hold(at.Sub(now))
		}
	}
	return 0
}

func hold(d time.Duration) time.Duration { return min(max(d, minRetryAfter), maxRetryAfter) }
