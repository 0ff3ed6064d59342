package reach

import (
	"net/netip"
	"testing"
)

func TestBackend(t *testing.T) {
	for address, want := range map[string]struct{ cluster, local bool }{
		"10.0.0.1":           {true, true},
		"192.168.1.1":        {true, true},
		"fd12::1":            {true, true},
		"8.8.8.8":            {true, true},
		"2606:4700::1":       {true, true},
		"64:ff9b::8.8.8.8":   {true, true},
		"127.0.0.1":          {false, true},
		"127.1.2.3":          {false, true},
		"::1":                {false, true},
		"::ffff:127.0.0.1":   {false, true},
		"64:ff9b::127.0.0.1": {false, true},
		"0.0.0.0":            {},
		"::":                 {},
		"224.0.0.1":          {},
		"ff02::1":            {},
		"fe80::1":            {},
		"fd12::1%eth0":       {},
		// What a name of a cloud's metadata leads to.
		"169.254.169.254":          {},
		"::ffff:169.254.169.254":   {},
		"64:ff9b::169.254.169.254": {},
		"169.254.170.2":            {}, // of ECS's tasks
		"fd00:ec2::254":            {},
		"fd20:ce::254":             {},
		"100.100.100.200":          {},
		"168.63.129.16":            {},
		"64:ff9b::168.63.129.16":   {},
	} {
		ip := netip.MustParseAddr(address)
		if got := Backend(ip, false); got != want.cluster {
			t.Errorf("%s: %v in a cluster", address, got)
		}
		if got := Backend(ip, true); got != want.local {
			t.Errorf("%s: %v on a machine of one's own", address, got)
		}
	}
}
