package standalone

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/citoroute/citoroute/internal/expiry"
	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/runtime"
	"github.com/citoroute/citoroute/internal/translate"
)

// expiresSoon is how long before its end a certificate is warned of.
const expiresSoon = 14 * 24 * time.Hour

// Expiring is a certificate that has expired or is about to.
type Expiring struct {
	// Certificate is Kind/namespace/name of what it is in, Where the "file:line"
	// of that.
	Certificate string `json:"certificate"`
	Where       string `json:"where,omitempty"`
	// Use is what it is for, and NotAfter its end.
	Use      string    `json:"use"`
	NotAfter time.Time `json:"notAfter"`
	// Message says so in a sentence.
	Message string `json:"message"`

	users []ir.Ref
}

// String returns "file:line: object: message".
func (e Expiring) String() string {
	return strings.TrimPrefix(e.Where+": "+e.Certificate+": "+e.Message, ": ")
}

// Expiring returns the certificates in use that have expired at the time now, or
// expire within 14 days, sorted by object.
func (s *Standalone) Expiring(now time.Time) []Expiring {
	var out []Expiring
	for _, c := range expiry.Of(s.Resources()) {
		if c.NotAfter.Sub(now) > expiresSoon {
			continue
		}
		key := translate.Key{Kind: translate.Kind(c.Source.Kind), Namespace: c.Source.Namespace, Name: c.Source.Name}
		out = append(out, Expiring{
			Certificate: c.Source.String(), Where: s.world.where(key), Use: string(c.Use), NotAfter: c.NotAfter,
			Message: describeEnd(c, now), users: c.Users,
		})
	}
	return out
}

// describeEnd says when a certificate expires, and whom that concerns.
func describeEnd(c expiry.Certificate, now time.Time) string {
	end := c.NotAfter.UTC().Format("2006-01-02 15:04 MST")
	when := "has expired at " + end
	switch left := c.NotAfter.Sub(now); {
	case left >= 48*time.Hour:
		when = fmt.Sprintf("expires in %d days, at %s", int(left.Hours())/24, end)
	case left > 0:
		when = fmt.Sprintf("expires in %d hours, at %s", int(left.Hours()), end)
	}
	return fmt.Sprintf("the %s %s", describeUse(c), when)
}

// describeUse names a certificate by its use.
func describeUse(c expiry.Certificate) string {
	const shown = 3
	var users []string
	for _, u := range c.Users[:min(len(c.Users), shown)] {
		users = append(users, string(u.Type)+" "+u.Name)
	}
	if more := len(c.Users) - shown; more > 0 {
		users = append(users, fmt.Sprintf("%d more", more))
	}
	whom := strings.Join(users, ", ")
	switch c.Use {
	case expiry.UseListener:
		return "certificate of " + whom
	case expiry.UseBackend, expiry.UseStore:
		return "client certificate for " + whom
	case expiry.UseClientAuthority:
		return "authority for clients of " + whom
	default:
		return "authority for " + whom
	}
}

// Warn notes those among all certificates that a request which goes this way
// meets.
func (w *Way) Warn(all []Expiring) {
	for _, e := range all {
		if slices.ContainsFunc(e.users, w.meets) {
			w.Expiring = append(w.Expiring, e)
		}
	}
}

// meets says that a listener or backend is on the way.
func (w *Way) meets(r ir.Ref) bool {
	switch r.Type {
	case ir.TypeListener:
		return r.Name == w.Listener
	case ir.TypeBackend:
		return slices.ContainsFunc(w.Backends, func(b runtime.BackendShare) bool { return b.Backend == r.Name })
	default:
		return false
	}
}
