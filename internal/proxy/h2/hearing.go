package h2

import (
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// connection is one to a backend.
type connection struct {
	*http.ClientConn
	heard *hearing
}

// hearing is a connection that knows when its peer was heard last.
type hearing struct {
	net.Conn
	last atomic.Int64 // in nanoseconds since started
}

// started is a constant of the process.
var started = time.Now()

// Read implements net.Conn.
func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 {
		h.last.Store(int64(time.Since(started)))
	}
	return n, err
}

// since says that the peer has sent anything since t.
func (h *hearing) since(t time.Time) bool { return h.last.Load() >= int64(t.Sub(started)) }
