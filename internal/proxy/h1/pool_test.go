package h1

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPool_ForgetsWhereNothingIsKept is a proxy whose backends come and go, and
// keep no connection.
func TestPool_ForgetsWhereNothingIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pool
		p.init(1, time.Minute, func() bool { return false })
		known := func() int {
			p.mu.Lock()
			defer p.mu.Unlock()
			return len(p.targets)
		}
		for _, addr := range []string{"10.0.0.1:80", "10.0.0.2:80"} {
			_, entry := p.get(poolKey{addr: addr}, false)
			p.put(entry, nil)
		}
		_, busy := p.get(poolKey{addr: "10.0.0.3:80"}, false)
		time.Sleep(time.Hour)
		if n := known(); n != 1 {
			t.Errorf("%d targets are known, want the one in use", n)
		}
		p.put(busy, nil)
		time.Sleep(time.Hour)
		if n := known(); n != 0 {
			t.Errorf("%d targets are known, want none", n)
		}
	})
}
