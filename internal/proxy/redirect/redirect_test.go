package redirect

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/citoroute/citoroute/internal/bootstrap"
)

var update = flag.Bool("update", false, "write the golden files anew")

func prefixes(words ...string) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(words))
	for _, w := range words {
		out = append(out, netip.MustParsePrefix(w))
	}
	return out
}

func TestTables_Golden(t *testing.T) {
	for name, c := range map[string]Config{
		"All": {},
		"Excluded": {
			Exclude:      prefixes("192.168.1.7/32", "10.0.0.1/8", "fd00::/8", "10.0.0.0/8"),
			ExcludePorts: []uint16{9042, 5432, 9042},
		},
		"Included": {
			Include: prefixes("10.96.0.0/12", "fd00:96::/112"), Exclude: prefixes("10.96.0.10/32"), ExcludePorts: []uint16{53},
		},
		"IncludedIPv4Alone": {Include: prefixes("10.96.0.0/12")},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			for _, table := range Tables(c) {
				got += table.String()
			}
			path := filepath.Join("testdata", name+".nft")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// The sidecar's own connections and those to loopback go straight on, whatever
// is included: rules before all others.
func TestTables_NeverRedirectTheSidecarOrLoopback(t *testing.T) {
	all := Tables(Config{Include: prefixes("127.0.0.0/8", "::/0")})
	for i, loopback := range prefixes("127.0.0.0/8", "::1/128") {
		want := []Rule{{UserID: bootstrap.SidecarUserID}, {Destination: loopback}}
		if got := all[i].Rules[:2]; !slices.Equal(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
