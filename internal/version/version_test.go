package version

import (
	"runtime/debug"
	"testing"
)

func TestOf(t *testing.T) {
	revision := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "abc"}}
	for name, c := range map[string]struct {
		version  string
		settings []debug.BuildSetting
		want     string
	}{
		"Released": {"v1.2.3", revision, "v1.2.3"},
		"Checkout": {"(devel)", revision, "abc"},
		"Unknown":  {"", nil, "devel"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := of(&debug.BuildInfo{Main: debug.Module{Version: c.version}, Settings: c.settings}); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}
