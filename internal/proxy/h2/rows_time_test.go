package h2

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// TestServer_SlowBeginnings: who begins and does not go on is not waited for.
func TestServer_SlowBeginnings(t *testing.T) {
	for name, begin := range map[string]func(p *peer) error{
		"H2-021/Silence": func(*peer) error { return nil },
		"H2-021/PrefaceByteByByte": func(p *peer) error {
			return dribble(p, []byte(xhttp2.ClientPreface))
		},
		"H2-021/PrefaceThenSilence": func(p *peer) error {
			_, err := p.Write([]byte(xhttp2.ClientPreface))
			return err
		},
		"H2-021/SettingsByteByByte": func(p *peer) error {
			_, _ = p.Write([]byte(xhttp2.ClientPreface))
			return dribble(p, []byte{0, 0, 120, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		},
		"H2-003/Unfinished": func(p *peer) error {
			p.hello()
			return p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: encodeFields(get("/")...)})
		},
		"H2-003/FrameByFrame": func(p *peer) error {
			p.hello()
			err := p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: encodeFields(get("/")...)})
			for ; err == nil; time.Sleep(time.Second) {
				err = p.WriteContinuation(1, false, nil)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &load{}, func(t *testing.T, p *peer, _ *Server) {
				start := time.Now()
				_ = begin(p)
				if !p.gone(time.Hour) {
					t.Fatal("the connection stays")
				}
				if took := time.Since(start); took > limits.HeaderTimeout+closeDelay+time.Second {
					t.Errorf("the connection stays for %v", took)
				}
			})
		})
	}
}

// dribble sends a byte each second, until that fails.
func dribble(p *peer, b []byte) error {
	for i := range b {
		time.Sleep(time.Second)
		if _, err := p.Write(b[i : i+1]); err != nil {
			return err
		}
	}
	return nil
}

func TestServer_SettingsAck(t *testing.T) {
	for name, ack := range map[string]bool{"H2-016/Never": false, "H2-016/Acknowledged": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, &load{}, func(t *testing.T, p *peer, _ *Server) {
				_, _ = p.Write([]byte(xhttp2.ClientPreface))
				_ = p.WriteSettings()
				if ack {
					_ = p.WriteSettingsAck()
				}
				_ = p.open(1, true, get("/")...) // so that the connection is not idle
				if gone := p.gone(limits.HeaderTimeout + closeDelay + time.Second); gone == ack {
					t.Errorf("closed: %t", gone)
				}
				if got := p.saw("GOAWAY SETTINGS_TIMEOUT"); got == ack {
					t.Errorf("GOAWAY: %t; frames %s", got, p.all())
				}
			})
		})
	}
}

// TestServer_StalledClientLosesItsStream: a client that takes no bytes, or
// sends none of the body that it announced, holds nothing for long.
func TestServer_StalledClientLosesItsStream(t *testing.T) {
	for name, c := range map[string]struct {
		window uint32
		takes  time.Duration // the exchange, before it answers
		body   string        // "": endless
		drip   bool          // the client opens the window byte by byte
		fields []string
	}{
		"H2-007/Endless":             {0, 0, "", false, get("/")},
		"H2-007/ByteByByte":          {1, 0, "", true, get("/")},
		"H2-007/Whole":               {0, 0, "hello", false, get("/")}, // small enough to wait in the library
		"H2-007/WholeLate":           {0, 3 * time.Minute, "hello", false, get("/")},
		"H2-007/AnsweredByLibrary":   {0, 0, "", false, get("/", "connection", "close")},
		"H2-008/TooManyFieldsPinned": {0, 0, "", false, get("/", many(200)...)},
		"H2-007/NothingOfTheBody":    {1 << 16, 0, "hello", false, pseudo("POST", "a", "/")},
	} {
		t.Run(name, func(t *testing.T) {
			h := handler{serve: func(ex *exchange.Exchange) {
				time.Sleep(c.takes)
				ex.Response.Status = 200
				ex.Response.Body, ex.Response.ContentLength = zeros{}, exchange.Unknown
				if c.body != "" {
					ex.Response.Body, ex.Response.ContentLength = newBody(c.body), int64(len(c.body))
				}
				if ex.Request.Body != nil {
					if _, err := io.Copy(io.Discard, ex.Request.Body); err == nil {
						t.Error("a body that never came has ended properly")
					}
					ex.Response.Body, ex.Response.ContentLength = nil, 0
				}
			}}
			bubble(t, h, func(t *testing.T, p *peer, _ *Server) {
				p.hello(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: c.window})
				_ = p.open(1, c.fields[1] == "GET", c.fields...)
				for range 2 * limits.IdleTimeout / time.Second {
					time.Sleep(time.Second)
					if c.drip {
						_ = p.WriteWindowUpdate(1, 1)
					}
				}
				time.Sleep(c.takes)
				time.Sleep(time.Second)
				if c.fields[1] == "POST" {
					p.want(t, "1 200")
					return
				}
				p.want(t, "1 RST INTERNAL_ERROR")
			})
		})
	}
}

// TestServer_LongExchangesGoOn: the limits on a stalled client are not limits
// on an exchange that takes long.
func TestServer_LongExchangesGoOn(t *testing.T) {
	h := handler{serve: func(ex *exchange.Exchange) {
		time.Sleep(time.Hour)
		ex.Response.Status, ex.Response.ContentLength = 200, 5
		ex.Response.Body = newBody("hello")
	}}
	bubble(t, h, func(t *testing.T, p *peer, _ *Server) {
		p.hello()
		_ = p.open(1, true, get("/")...)
		for range 61 {
			time.Sleep(time.Minute)
		}
		p.want(t, "1 DATA 5")
	})
}

// TestServer_WindowsMayBeNegative is about a client that takes back what it has
// allowed.
func TestServer_WindowsMayBeNegative(t *testing.T) {
	t.Run("H2-014/NegativeWindow", func(t *testing.T) {
		window := func(n uint32) xhttp2.Setting {
			return xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: n}
		}
		h := handler{serve: func(ex *exchange.Exchange) {
			ex.Response.Status, ex.Response.ContentLength = 200, 100
			ex.Response.Body = newBody(strings.Repeat("x", 100))
		}}
		bubble(t, h, func(t *testing.T, p *peer, _ *Server) {
			p.hello(window(10))
			_ = p.open(1, true, get("/")...)
			p.want(t, "1 DATA 10")
			_ = p.WriteSettings(window(5)) // the stream's window is -5 now
			_ = p.WriteWindowUpdate(1, 5)
			if synctest.Wait(); strings.Count(p.all(), "DATA") != 1 {
				t.Errorf("DATA beyond the window: %s", p.all())
			}
			_ = p.WriteWindowUpdate(1, 3)
			p.want(t, "1 DATA 3")
		})
	})
}
