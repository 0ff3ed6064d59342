package faults

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

// spoiler passes connections on to a backend, and spoils what that answers when it
// is told to: once, on one of them.
type spoiler struct {
	net.Listener
	backend string
	head    int // bytes that stay as they are
	armed   atomic.Bool
}

func newSpoiler(t *testing.T, backend string, head int) *spoiler {
	t.Helper()
	s := &spoiler{Listener: listen(t, "127.0.0.1:0"), backend: backend, head: head}
	serveEach(t, s, func(c net.Conn) { s.pass(t, c) })
	return s
}

func (s *spoiler) pass(t *testing.T, c net.Conn) {
	to, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.backend)
	if err != nil {
		return
	}
	defer func() { _ = to.Close() }()
	go func() {
		_, _ = io.Copy(to, c)
		_ = to.Close()
	}()
	for b := make([]byte, 64<<10); ; {
		n, err := to.Read(b)
		if n > s.head && s.armed.CompareAndSwap(true, false) {
			for i := s.head; i < n; i++ {
				b[i] = ^b[i] | 0x80
			}
		}
		if _, werr := c.Write(b[:n]); err != nil || werr != nil {
			return
		}
	}
}

// TestFT036_Spoilt: an answer that cannot be deciphered or decompressed costs the
// connection that it came on, and nobody else's request. The next one finds another.
func TestFT036_Spoilt(t *testing.T) {
	for name, row := range map[string]struct {
		tls, http2 bool
		head       int // of a record, or a frame
	}{
		"TLS":          {tls: true, head: 5},
		"HTTP2OverTLS": {tls: true, http2: true, head: 5},
		"HPACK":        {http2: true, head: 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spoilt(t, row.tls, row.http2, row.head)
		})
	}
}

func spoilt(t *testing.T, overTLS, http2 bool, head int) {
	t.Helper()
	begun, release := make(chan string, 2), make(chan struct{})
	handle := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if id := r.Header.Get("X-Id"); id == "held" {
			begun <- id
			<-release
		}
		_, _ = io.WriteString(w, r.Header.Get("X-Id"))
	})
	b := httptest.NewUnstartedServer(handle)
	b.Config.Protocols = new(http.Protocols)
	b.Config.Protocols.SetHTTP1(true)
	b.Config.Protocols.SetUnencryptedHTTP2(!overTLS)
	b.Config.Protocols.SetHTTP2(http2)
	if b.EnableHTTP2 = http2; overTLS {
		b.StartTLS()
	} else {
		b.Start()
	}
	t.Cleanup(b.Close)
	s := newSpoiler(t, b.Listener.Addr().String(), head)
	other := serve(t, "", handle)
	resources := append(route("spoilt", "/spoilt", ir.Rule{}, ir.ProtocolHTTP, s.Addr().String()),
		route("other", "/other", ir.Rule{}, ir.ProtocolHTTP, other.address())...)
	if backend := resources[1].(*ir.Backend); overTLS {
		backend.TLS = &ir.ClientTLS{ServerName: "example.com", CAs: []string{"ca"}}
		resources = append(resources, &ir.Secret{Name: "ca", CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: b.Certificate().Raw})})
	} else {
		backend.Protocol = ir.ProtocolH2C
	}
	p := start(t, settings{}, resources...)
	send := func(path, id string) answer {
		status, body := ask(t, new(http.Transport), "POST", p.url(path), id)
		return answer{id, body, status}
	}
	held := []string{"/other"}
	if !http2 { // each request has a connection of its own
		held = append(held, "/spoilt")
	}
	answers := make(chan answer, len(held))
	for _, path := range held {
		go func() { answers <- send(path, "held") }()
		await(t, begun, "held")
	}
	for range 5 {
		if a := send("/spoilt", "before"); failed([]answer{a}) != nil {
			t.Fatalf("before: %+v", a)
		}
		s.armed.Store(true)
		if a := send("/spoilt", "spoilt"); a.status != http.StatusBadGateway {
			t.Errorf("got %+v", a)
		}
		if s.armed.Load() {
			t.Error("nothing was spoilt")
		}
		if a := send("/other", "beside"); failed([]answer{a}) != nil {
			t.Errorf("another backend: %+v", a)
		}
	}
	close(release)
	for range held {
		if a := <-answers; failed([]answer{a}) != nil {
			t.Errorf("on another connection: %+v", a)
		}
	}
}
