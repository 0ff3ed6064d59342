// Package version says which build of CitoRoute a program is.
package version

import "runtime/debug"

// String returns the module's version or, where it was built from a checkout,
// the revision; "devel" where neither is known.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return devel
	}
	return of(info)
}

const devel = "devel"

func of(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return devel
}
