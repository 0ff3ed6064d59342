package h1

import "testing"

// scenarios are the rows that need more than bytes in and bytes out.
func scenarios() map[string]func(t *testing.T) {
	return map[string]func(t *testing.T){}
}
