package redirect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/citoroute/citoroute/internal/bootstrap"
)

const (
	// tableName is that of a table of each family, which is ours alone.
	tableName = "citoroute"
	chainName = "output"
)

// Config says what is left alone, besides what is near and what the sidecar sends.
type Config struct {
	// Include are the destinations that are redirected; none: all.
	Include []netip.Prefix
	// Exclude are destinations that are not, whatever Include says.
	Exclude []netip.Prefix
	// ExcludePorts are destination ports that are not.
	ExcludePorts []uint16
}

// Table is what is programmed for one IP version: a chain that sees the first
// packet of each connection that a process of the pod opens.
type Table struct {
	IPv6  bool
	Rules []Rule
}

// Rule says what happens to connections that it matches; the first that
// matches decides, and what none matches goes where it was going.
type Rule struct {
	UserID      uint32       // of the sender; 0: any
	Destination netip.Prefix // not valid: any
	Port        uint16       // of the destination, TCP; 0: any
	Redirect    bool         // to bootstrap.CapturePort; else the connection goes where it was going
}

// Tables returns what to program, IPv4 first. Equal configurations, in whatever
// order they are written, give equal tables.
func Tables(c Config) []Table {
	return []Table{{Rules: c.rules(false)}, {IPv6: true, Rules: c.rules(true)}}
}

// near returns loopback and the link-local networks. No Service has an address
// there, and one of IPv6 means nothing to who does not know the interface.
func near(ipv6 bool) []netip.Prefix {
	if ipv6 {
		return []netip.Prefix{netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fe80::/10")}
	}
	return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16")}
}

func (c Config) rules(ipv6 bool) []Rule {
	rules := []Rule{{UserID: bootstrap.SidecarUserID}}
	for _, p := range slices.Concat(near(ipv6), family(c.Exclude, ipv6)) {
		rules = append(rules, Rule{Destination: p})
	}
	for _, port := range slices.Compact(slices.Sorted(slices.Values(c.ExcludePorts))) {
		rules = append(rules, Rule{Port: port})
	}
	if len(c.Include) == 0 {
		return append(rules, Rule{Redirect: true})
	}
	for _, p := range family(c.Include, ipv6) {
		rules = append(rules, Rule{Destination: p, Redirect: true})
	}
	return rules
}

// family returns the networks of one IP version, in order, without doubles.
func family(prefixes []netip.Prefix, ipv6 bool) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range prefixes {
		if p.Addr().Is6() == ipv6 {
			out = append(out, p.Masked())
		}
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}

// String returns the table as the nft program writes it.
func (t Table) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "table %s %s {\n\tchain %s {\n", t.family(), tableName, chainName)
	b.WriteString("\t\ttype nat hook output priority -100; policy accept;\n")
	for _, r := range t.Rules {
		b.WriteString("\t\t" + r.text(t.family()) + "\n")
	}
	b.WriteString("\t}\n}\n")
	return b.String()
}

func (t Table) family() string {
	if t.IPv6 {
		return "ip6"
	}
	return "ip"
}

func (r Rule) text(family string) string {
	var words []string
	if r.UserID != 0 {
		words = append(words, fmt.Sprintf("meta skuid %d", r.UserID))
	}
	if r.Destination.IsValid() {
		words = append(words, fmt.Sprintf("%s daddr %s", family, r.Destination))
	}
	switch {
	case r.Port != 0:
		words = append(words, fmt.Sprintf("tcp dport %d", r.Port))
	case r.Redirect:
		words = append(words, "meta l4proto tcp")
	}
	if r.Redirect {
		return strings.Join(append(words, fmt.Sprintf("redirect to :%d", bootstrap.CapturePort)), " ")
	}
	return strings.Join(append(words, "return"), " ")
}
