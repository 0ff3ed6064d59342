package clientaddr

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

func trusting(prefixes ...string) *Networks {
	var all []netip.Prefix
	for _, p := range prefixes {
		all = append(all, netip.MustParsePrefix(p))
	}
	return NewNetworks(all)
}

// TestForwarded_Rows is row GW-030: which address of X-Forwarded-For counts.
func TestForwarded_Rows(t *testing.T) {
	const peer = "10.0.0.1:4000"
	trusted := trusting("10.0.0.0/8", "fd00::/8")
	many := strings.Repeat("10.0.0.2, ", 1000)
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"GW-030/None":            {nil, peer},
		"GW-030/One":             {[]string{"192.0.2.1"}, "192.0.2.1:0"},
		"GW-030/MadeUp":          {[]string{"198.51.100.1, 192.0.2.1"}, "192.0.2.1:0"},
		"GW-030/Hops":            {[]string{"198.51.100.1, 192.0.2.1,10.0.0.3 ,\t10.0.0.2"}, "192.0.2.1:0"},
		"GW-030/Lines":           {[]string{"198.51.100.1", "192.0.2.1, 10.0.0.3", "10.0.0.2"}, "192.0.2.1:0"},
		"GW-030/AllTrusted":      {[]string{"10.0.0.4", "10.0.0.3, 10.0.0.2"}, "10.0.0.4:0"},
		"GW-030/Port":            {[]string{"192.0.2.1:80"}, "192.0.2.1:80"},
		"GW-030/IPv6":            {[]string{"2001:db8::1, fd00::1"}, "[2001:db8::1]:0"},
		"GW-030/Brackets":        {[]string{"[2001:db8::1], [fd00::1]"}, "[2001:db8::1]:0"},
		"GW-030/BracketsAndPort": {[]string{"[2001:db8::1]:80, [fd00::1]:80"}, "[2001:db8::1]:80"},
		"GW-030/BracketsOfIPv4":  {[]string{"[192.0.2.1]"}, peer},
		"GW-030/Mapped":          {[]string{"192.0.2.1, ::ffff:10.0.0.2"}, "192.0.2.1:0"},
		"GW-030/Zone":            {[]string{"192.0.2.1, fd00::1%eth0"}, "192.0.2.1:0"},
		"GW-030/Garbage":         {[]string{"192.0.2.1, unknown"}, peer},
		"GW-030/GarbageBehind":   {[]string{"192.0.2.1, \"x, 10.0.0.2"}, "10.0.0.2:0"},
		"GW-030/GarbageLeft":     {[]string{"[::1]:80, unknown,,\"x, 192.0.2.1"}, "192.0.2.1:0"},
		"GW-030/Empty":           {[]string{"192.0.2.1, "}, peer},
		"GW-030/EmptyLine":       {[]string{"192.0.2.1", ""}, peer},
		"GW-030/Port65536":       {[]string{"192.0.2.1:65536"}, peer},
		"GW-030/Long":            {[]string{"192.0.2.1, " + strings.Repeat("1", 1000)}, peer},
		"GW-030/Thousand":        {[]string{"198.51.100.1, 192.0.2.1, " + many + "10.0.0.3"}, "192.0.2.1:0"},
		"GW-030/ThousandLines":   {append([]string{"192.0.2.1"}, slices.Repeat([]string{"10.0.0.2"}, 1000)...), "192.0.2.1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			var h exchange.Header
			for _, line := range c.lines {
				h.Add("x-forwarded-for", line)
				h.Add("X-Forwarded-Foe", "203.0.113.1")
			}
			if got := Forwarded(&h, netip.MustParseAddrPort(peer), trusted); got.String() != c.want {
				t.Errorf("got %v, want %s", got, c.want)
			}
			other := netip.MustParseAddrPort("192.0.2.9:1")
			if got := Forwarded(&h, other, trusted); got != other {
				t.Errorf("from a peer that is not trusted: got %v", got)
			}
		})
	}
}

func FuzzForwarded(f *testing.F) {
	f.Add("192.0.2.1, [fd00::1]:80,\t10.0.0.2")
	f.Add("::ffff:10.0.0.2, unknown, ,")
	trusted := trusting("10.0.0.0/8", "fd00::/8")
	peer := netip.MustParseAddrPort("10.0.0.1:4000")
	f.Fuzz(func(t *testing.T, line string) {
		var h exchange.Header
		h.Add("X-Forwarded-For", line)
		got := Forwarded(&h, peer, trusted)
		switch {
		case !got.IsValid(), got.Addr().Zone() != "", got.Addr().Is4In6():
			t.Errorf("got %v", got)
		case got != peer && !strings.ContainsAny(line, ".:"):
			t.Errorf("got %v out of nothing", got)
		}
		h.Add("X-Forwarded-For", "192.0.2.1")
		if got := Forwarded(&h, peer, trusted); got.String() != "192.0.2.1:0" {
			t.Errorf("got %v from the left of an address that is not trusted", got)
		}
	})
}

func TestNetworks_Contains(t *testing.T) {
	n := NewNetworks([]netip.Prefix{
		netip.MustParsePrefix("10.1.2.3/8"), netip.MustParsePrefix("10.2.0.0/16"), netip.MustParsePrefix("192.0.2.7/32"),
		netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::ffff:172.16.0.0/108"),
		{},
	})
	for address, want := range map[string]bool{
		"9.255.255.255": false, "10.0.0.0": true, "10.2.0.1": true, "10.255.255.255": true, "11.0.0.0": false,
		"192.0.2.6": false, "192.0.2.7": true, "192.0.2.8": false, "::ffff:192.0.2.7": true, "172.31.0.1": true, "172.32.0.1": false,
		"fcff::": false, "fd00::": true, "fdff::1%eth0": true, "fe00::": false, "::": false, "0.0.0.0": false,
	} {
		if got := n.Contains(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	every := trusting("0.0.0.0/0", "::/0")
	for _, address := range []string{"0.0.0.0", "255.255.255.255", "::", "ffff::1"} {
		if !every.Contains(netip.MustParseAddr(address)) {
			t.Errorf("everybody is not %s", address)
		}
	}
	if (*Networks)(nil).Contains(netip.MustParseAddr("10.0.0.1")) || every.Contains(netip.Addr{}) {
		t.Error("nobody is somebody")
	}
}

func BenchmarkForwarded(b *testing.B) {
	var h exchange.Header
	h.Add("Host", "example.com")
	h.Add("X-Forwarded-For", "198.51.100.1, 192.0.2.1, 10.0.0.2")
	trusted, peer := trusting("10.0.0.0/8", "fd00::/8"), netip.MustParseAddrPort("10.0.0.1:4000")
	b.ReportAllocs()
	for b.Loop() {
		Forwarded(&h, peer, trusted)
	}
}
