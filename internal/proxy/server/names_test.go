package server

import (
	"io"
	"net/http"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// TestServer_NamesDoNotLeadHome: a backend that is given by a name which leads to
// the proxy's own machine is not reached, over no protocol, but on a machine of
// one's own.
func TestServer_NamesDoNotLeadHome(t *testing.T) {
	hello := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	named := func(l *ir.Listener, protocol ir.Protocol, address string) []ir.Resource {
		resources := append(forward(l, protocol, address), l)
		resources[0].(*ir.Endpoints).Addresses[0].Host = "localhost"
		return resources
	}
	for _, local := range []bool{false, true} {
		srv, _ := start(t, Options{Dial: upstream.Dialer{Local: local}})
		for _, protocol := range []ir.Protocol{ir.ProtocolHTTP, ir.ProtocolH2C} {
			apply(t, srv, named(httpListener(80), protocol, hello)...)
			status, _, err := get(t, client(t, nil, "", http1), "http://"+addr(t, srv, 80)+"/")
			if err != nil || (status == http.StatusOK) != local {
				t.Errorf("%s, local %v: %d, %v", protocol, local, status, err)
			}
		}
		apply(t, srv, named(&ir.Listener{Name: "ns/gw/tcp", Port: 5000, Protocol: ir.ProtocolTCP}, ir.ProtocolTCP, echo(t))...)
		conn := dial(t, addr(t, srv, 5000))
		_ = conn.CloseWrite()
		if b, _ := io.ReadAll(conn); (len(b) > 0) != local {
			t.Errorf("TCP, local %v: %q", local, b)
		}
	}
}
