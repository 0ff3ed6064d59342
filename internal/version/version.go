// Package version says which build of CitoRoute a program is.
package version

import "runtime/debug"

// release is set by the linker where an image is built, which has no checkout:
// -X github.com/citoroute/citoroute/internal/version.release=v1.2.3.
var release string

// String returns the version that an image was built as, else that of the
// module or, where it was built from a checkout, the revision; "devel" where none
// is known.
func String() string {
	if release != "" {
		return release
	}
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
