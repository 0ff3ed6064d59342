package server

import (
	"io"
	"net/http"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/room"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// TestServer_ConnectionsGiveTheirPlaceBack has one place for the connections to
// backends, and needs it for each protocol in turn. What is only kept for later
// makes way.
func TestServer_ConnectionsGiveTheirPlaceBack(t *testing.T) {
	one := room.New(1, nil)
	srv, _ := start(t, Options{Dial: upstream.Dialer{Room: one}})
	l, tcp := httpListener(80), &ir.Listener{Name: "ns/gw/tcp", Port: 5000, Protocol: ir.ProtocolTCP}
	for _, protocol := range []ir.Protocol{ir.ProtocolHTTP, ir.ProtocolH2C, ir.ProtocolHTTP, ir.ProtocolTCP, ir.ProtocolH2C, ir.ProtocolTCP, ir.ProtocolHTTP} {
		if protocol == ir.ProtocolTCP {
			apply(t, srv, append(forward(tcp, protocol, echo(t)), tcp)...)
			conn := dial(t, addr(t, srv, 5000))
			_, _ = io.WriteString(conn, "hello")
			_ = conn.CloseWrite()
			if b, err := io.ReadAll(conn); len(b) == 0 || err != nil {
				t.Errorf("%s: %q, %v", protocol, b, err)
			}
			continue
		}
		hello := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
		apply(t, srv, append(forward(l, protocol, hello), l)...)
		status, body, err := get(t, client(t, nil, "", http1), "http://"+addr(t, srv, 80)+"/")
		if status != http.StatusOK || body != "hello" {
			t.Errorf("%s: %d %q, %v", protocol, status, body, err)
		}
		if one.TryEnter() {
			t.Errorf("%s: the connection has no place", protocol)
		}
	}
}
