package h2

import (
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// TestServer_ResetsFreeNoHandlers: a handler that is slow to notice that its
// stream was reset keeps its slot.
func TestServer_ResetsFreeNoHandlers(t *testing.T) {
	t.Run("H2-001/SlowToNotice", func(t *testing.T) {
		h := &load{}
		slow := handler{serve: func(ex *exchange.Exchange) {
			h.add(1)
			defer h.add(-1)
			time.Sleep(time.Minute)
			ex.Response.Status = 200
		}}
		bubble(t, slow, func(t *testing.T, p *peer, _ *Server) {
			p.hello()
			for n := range maxResets - 1 {
				_ = p.open(id(n), true, get("/")...)
				_ = p.WriteRSTStream(id(n), xhttp2.ErrCodeCancel)
			}
			if p.saw("GOAWAY ENHANCE_YOUR_CALM") {
				t.Error("refused within the limit")
			}
		})
		if h.utmost != maxConcurrentStreams {
			t.Errorf("%d exchanges at a time, want %d", h.utmost, maxConcurrentStreams)
		}
	})
}

// TestServer_FloodsOfWhoDoesNotRead: answers are not gathered for a client that
// takes none.
func TestServer_FloodsOfWhoDoesNotRead(t *testing.T) {
	for name, repeat := range map[string]func(fr *xhttp2.Framer, n int) error{
		"H2-005/Ping":     func(fr *xhttp2.Framer, _ int) error { return fr.WritePing(false, [8]byte{}) },
		"H2-005/Settings": func(fr *xhttp2.Framer, _ int) error { return fr.WriteSettings() },
		"H2-005/Resets":   func(fr *xhttp2.Framer, n int) error { return fr.WriteWindowUpdate(id(n), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				served := make(chan struct{})
				go func() {
					defer close(served)
					NewServer(limits).Serve(ours, nil, &load{})
				}()
				begun := make(chan struct{})
				go func() { // takes the first frame, so that the server reads ours
					_, _ = io.CopyN(io.Discard, theirs, 9)
					close(begun)
				}()
				<-begun
				fr := xhttp2.NewFramer(theirs, nil)
				fr.AllowIllegalWrites = true
				_, _ = theirs.Write([]byte(xhttp2.ClientPreface))
				start, n := time.Now(), 0
				for err := fr.WriteSettings(); err == nil && n < enough; n++ {
					if err = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id(n), BlockFragment: encodeFields(get("/")...), EndHeaders: true, EndStream: true}); err == nil {
						err = repeat(fr, n)
					}
				}
				<-served
				if n > 10_000 {
					t.Errorf("may be done %d times", n)
				}
				if took := time.Since(start); took > limits.IdleTimeout+15*time.Second {
					t.Errorf("took %v", took)
				}
				_ = theirs.Close()
			})
		})
	}
}

// TestServer_StreamsAboveTheLimit are refused, as a race or as a fault.
func TestServer_StreamsAboveTheLimit(t *testing.T) {
	for name, c := range map[string]struct {
		ack  bool
		want string
	}{
		"H2-017/BeforeAck": {false, "501 RST REFUSED_STREAM"},
		"H2-017/AfterAck":  {true, "501 RST PROTOCOL_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &load{}
			bubble(t, h, func(t *testing.T, p *peer, _ *Server) {
				_, _ = p.Write([]byte(xhttp2.ClientPreface))
				_ = p.WriteSettings()
				if c.ack {
					_ = p.WriteSettingsAck()
				}
				for n := range maxConcurrentStreams + 1 {
					_ = p.open(id(n), true, get("/")...)
				}
				p.want(t, c.want)
			})
			if h.served != maxConcurrentStreams {
				t.Errorf("%d were served, want %d", h.served, maxConcurrentStreams)
			}
		})
	}
}

func TestServer_EncoderTableIsOurs(t *testing.T) {
	t.Run("H2-012/HeaderTableSize4GiB", func(t *testing.T) {
		h := handler{serve: func(ex *exchange.Exchange) {
			ex.Response.Status = 200
			ex.Response.Header.Add("X-A", strings.Repeat("x", 3000)) // two of them are more than the table holds
			ex.Response.Header.Add("X-B", strings.Repeat("y", 3000))
		}}
		bubble(t, h, func(t *testing.T, p *peer, _ *Server) {
			p.hello(xhttp2.Setting{ID: xhttp2.SettingHeaderTableSize, Val: 1<<32 - 1})
			for n := range 10 { // the peer's decoder refuses a table of more than 4 KiB
				_ = p.open(id(n), true, get("/")...)
			}
			p.want(t, "19 200")
		})
	})
}

// TestServer_DataOnAResetStream: nobody gets it, and the connection's window
// does not shrink by it.
func TestServer_DataOnAResetStream(t *testing.T) {
	t.Run("H2-022/Zombie", func(t *testing.T) {
		var received atomic.Int64
		h := handler{
			serve: func(ex *exchange.Exchange) {
				n, err := io.Copy(io.Discard, ex.Request.Body)
				if received.Add(n); err == nil {
					t.Error("a body that was reset has ended in order")
				}
				ex.Response.Status = 200
			},
		}
		bubble(t, h, func(t *testing.T, p *peer, _ *Server) {
			p.hello()
			_ = p.open(1, false, pseudo("POST", "a", "/")...)
			synctest.Wait()
			_ = p.WriteRSTStream(1, xhttp2.ErrCodeCancel)
			_ = p.WriteData(1, true, make([]byte, 16<<10))
			p.want(t, "0 WINDOW_UPDATE 16384")
			_ = p.open(3, true, get("/after")...)
		})
		if got := received.Load(); got != 0 {
			t.Errorf("%d bytes arrived", got)
		}
	})
}

// TestServer_GoAway: what was begun ends, what comes later is not begun.
func TestServer_GoAway(t *testing.T) {
	for name, c := range map[string]struct {
		away func(p *peer, srv *Server)
	}{
		"H2-023/FromTheClient":       {func(p *peer, _ *Server) { _ = p.WriteGoAway(0, xhttp2.ErrCodeNo, nil) }},
		"H2-023/FromTheClientErring": {func(p *peer, _ *Server) { _ = p.WriteGoAway(0, xhttp2.ErrCodeInternal, nil) }},
		"H2-023/Drain":               {func(_ *peer, srv *Server) { srv.Drain() }},
	} {
		t.Run(name, func(t *testing.T) {
			var served atomic.Int64
			h := handler{serve: func(ex *exchange.Exchange) {
				served.Add(1)
				if _, err := io.Copy(io.Discard, ex.Request.Body); err != nil {
					t.Error(err)
				}
				ex.Response.Status = 200
			}}
			bubble(t, h, func(t *testing.T, p *peer, srv *Server) {
				p.hello()
				_ = p.open(1, false, pseudo("POST", "a", "/")...)
				synctest.Wait()
				c.away(p, srv)
				p.want(t, "GOAWAY NO_ERROR")
				_ = p.open(3, false, pseudo("POST", "a", "/")...)
				_ = p.WriteData(3, true, []byte("x"))
				_ = p.WriteData(1, true, []byte("x"))
				p.want(t, "1 200")
				if !p.gone(time.Minute) {
					t.Error("the connection stays")
				}
			})
			if got := served.Load(); got != 1 {
				t.Errorf("%d requests were served, want 1", got)
			}
		})
	}
}

func TestServer_AcceptsTrailers(t *testing.T) {
	for name, c := range map[string]struct {
		te   string
		want bool
	}{"H2-032/TeTrailers": {"trailers", true}, "H2-032/TeEmpty": {"", false}} {
		t.Run(name, func(t *testing.T) {
			var got bool
			h := handler{serve: func(ex *exchange.Exchange) {
				got = ex.Request.AcceptsTrailers
				ex.Response.Status = 200
			}}
			bubble(t, h, func(t *testing.T, p *peer, _ *Server) {
				p.hello()
				_ = p.open(1, true, get("/", "te", c.te)...)
				p.want(t, "1 200")
			})
			if got != c.want {
				t.Errorf("trailers are accepted: %t, want %t", got, c.want)
			}
		})
	}
}
