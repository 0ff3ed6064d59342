package server

import (
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/capture"
)

// TestCapture_IsNoWayIn has the rows about who connects to the sidecar itself:
// the kernel says that such a connection was going nowhere else, so it ends.
func TestCapture_IsNoWayIn(t *testing.T) {
	origin := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a request came through") })
	srv, _ := start(t, Options{Capture: &Capture{Port: 15001, Destination: capture.Destination}})
	wait(t, func() bool { _, ok := srv.Addr(15001); return ok })
	l := captures(origin)
	apply(t, srv, l, answer(l, 200, "routed"))
	at := addr(t, srv, 15001)
	for name, request := range map[string]string{
		"MS-013/Origin":   "GET / HTTP/1.1\r\nHost: " + origin + "\r\n\r\n",
		"MS-013/Itself":   "GET / HTTP/1.1\r\nHost: " + at + "\r\n\r\n",
		"MS-014/Absolute": "GET http://" + origin + "/ HTTP/1.1\r\nHost: " + origin + "\r\n\r\n",
		"MS-014/Connect":  "CONNECT " + origin + " HTTP/1.1\r\nHost: " + origin + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", at)
			if err == nil { // else it was told at once
				defer func() { _ = conn.Close() }()
				_ = conn.SetDeadline(time.Now().Add(timeout))
				_, written := io.WriteString(conn, request) // may be who is told
				n, read := conn.Read(make([]byte, 1))
				if err = errors.Join(written, read); n > 0 {
					t.Error("it is answered")
				}
			}
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
				t.Errorf("got %v, want a reset", err)
			}
		})
	}
}
