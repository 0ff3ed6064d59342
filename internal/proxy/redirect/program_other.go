//go:build !linux

package redirect

import (
	"fmt"
	"runtime"
)

// Program is for Linux: elsewhere it returns an error.
func Program([]Table) (skipped, err error) {
	return nil, fmt.Errorf("redirecting connections needs Linux: this is %s", runtime.GOOS)
}
