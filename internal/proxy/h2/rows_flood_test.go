package h2

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// enough is more than any client may do for nothing.
const enough = 100_000

// batch is how often a client repeats it without waiting for us.
const batch = 50

// id is the stream of the n-th request, from 0.
func id(n int) uint32 { return uint32(2*n + 1) }

// flooding are rows where a client repeats something until it is told to calm
// down. most is how often it may.
func flooding() map[string]struct {
	first, repeat func(p *peer, n int) error
	most          int
} {
	type step = func(p *peer, n int) error
	type flood = struct {
		first, repeat step
		most          int
	}
	nothing := func(*peer, int) error { return nil }
	request := func(p *peer, n int) error { return p.open(id(n), true, get("/")...) }
	upload := func(p *peer, n int) error { return p.open(id(n), false, pseudo("POST", "a", "/")...) }
	begun := func(p *peer, n int) error {
		return p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id(n), BlockFragment: encodeFields(get("/")...)})
	}
	// each opens a stream and then has the server reset it.
	each := func(open step, spoil func(p *peer, stream uint32) error) step {
		return func(p *peer, n int) error {
			if err := open(p, n); err != nil {
				return err
			}
			return spoil(p, id(n))
		}
	}
	raw := func(kind xhttp2.FrameType, flags xhttp2.Flags, stream uint32, payload string) step {
		return func(p *peer, _ int) error { return p.WriteRawFrame(kind, flags, stream, []byte(payload)) }
	}
	self := xhttp2.PriorityParam{Weight: 1}
	return map[string]flood{
		"H2-001/RapidReset":      {nothing, each(request, func(p *peer, s uint32) error { return p.WriteRSTStream(s, xhttp2.ErrCodeCancel) }), maxResets},
		"H2-002/WindowUpdate0":   {nothing, each(request, func(p *peer, s uint32) error { return p.WriteWindowUpdate(s, 0) }), maxResets},
		"H2-002/WindowOverflow":  {nothing, each(request, func(p *peer, s uint32) error { return p.WriteWindowUpdate(s, 1<<31-1) }), maxResets},
		"H2-002/DataAfterEnd":    {nothing, each(request, func(p *peer, s uint32) error { return p.WriteData(s, true, []byte("x")) }), maxResets},
		"H2-002/HeadersAfterEnd": {nothing, each(request, func(p *peer, s uint32) error { return p.open(s, true, get("/")...) }), maxResets},
		"H2-002/DependsOnItself": {nothing, each(request, func(p *peer, s uint32) error {
			return p.WritePriority(s, xhttp2.PriorityParam{StreamDep: s, Weight: 1})
		}), maxResets},
		"H2-002/BeginsDependingOnItself": {nothing, func(p *peer, n int) error {
			return p.WriteHeaders(xhttp2.HeadersFrameParam{
				StreamID: id(n), BlockFragment: encodeFields(get("/")...), EndHeaders: true, EndStream: true,
				Priority: xhttp2.PriorityParam{StreamDep: id(n), Weight: 1},
			})
		}, maxResets},
		"H2-003/Continuation":      {begun, func(p *peer, _ int) error { return p.WriteContinuation(1, false, encodeFields("x", "y")) }, maxContinuations},
		"H2-004/EmptyContinuation": {begun, func(p *peer, _ int) error { return p.WriteContinuation(1, false, nil) }, maxContinuations},
		"H2-005/Settings":          {nothing, func(p *peer, _ int) error { return p.WriteSettings() }, maxIdleFrames},
		"H2-005/Ping":              {nothing, func(p *peer, _ int) error { return p.WritePing(false, [8]byte{}) }, maxIdleFrames},
		"H2-006/Data":              {upload, func(p *peer, _ int) error { return p.WriteData(1, false, nil) }, maxIdleFrames},
		"H2-006/Headers":           {nothing, func(p *peer, n int) error { return p.block(id(n), nil) }, maxResets},
		"H2-011/RefusedStreams": {manyRequests, func(p *peer, n int) error {
			return p.open(id(maxConcurrentStreams+n), true, get("/", "x-a", string(bytes.Repeat([]byte("a"), 10<<10)))...)
		}, maxResets},
		"H2-018/Priority": {nothing, func(p *peer, n int) error { return p.WritePriority(id(n), self) }, maxIdleFrames},
		"H2-018/Cycle": {nothing, func(p *peer, n int) error {
			return p.WritePriority(id(n%2), xhttp2.PriorityParam{StreamDep: id((n + 1) % 2), Weight: 1})
		}, maxIdleFrames},
		"H2-018/PriorityUpdate": {nothing, raw(xhttp2.FramePriorityUpdate, 0, 0, "\x00\x00\x00\x05u=1"), maxIdleFrames},
		"H2-019/Padding":        {upload, func(p *peer, _ int) error { return p.WriteDataPadded(1, false, []byte("x"), make([]byte, 255)) }, maxIdleFrames},
		"H2-020/UnknownType":    {nothing, raw(0xee, 0xff, 1, "what"), maxIdleFrames},
		"H2-022/DataOnResetStreams": {func(p *peer, n int) error {
			_ = upload(p, n)
			return p.WriteRSTStream(1, xhttp2.ErrCodeCancel)
		}, func(p *peer, _ int) error { return p.WriteData(1, false, []byte("x")) }, maxResets},
	}
}

// manyRequests takes every stream.
func manyRequests(p *peer, _ int) error {
	for n := range maxConcurrentStreams {
		_ = p.open(id(n), true, get("/")...)
	}
	return nil
}

func TestServer_FloodsEnd(t *testing.T) {
	for name, c := range flooding() {
		t.Run(name, func(t *testing.T) {
			h := &load{}
			bubble(t, h, func(t *testing.T, p *peer, _ *Server) {
				p.hello()
				_ = c.first(p, 0)
				n := 0
				for n < enough && c.repeat(p, n) == nil {
					if n++; n%batch == 0 {
						synctest.Wait()
					}
				}
				// What is on its way when the limit is reached, and what hello sent.
				if most := c.most + batch + 2; n > most {
					t.Errorf("may be done %d times, want %d", n, most)
				}
				p.want(t, "GOAWAY ENHANCE_YOUR_CALM")
			})
			if h.utmost > maxConcurrentStreams {
				t.Errorf("%d exchanges at a time, want at most %d", h.utmost, maxConcurrentStreams)
			}
			if h.now != 0 {
				t.Errorf("%d exchanges have not ended", h.now)
			}
		})
	}
}

// TestServer_AllowancesGrow: none of it is forbidden to who does it in
// proportion to what is done in order.
func TestServer_AllowancesGrow(t *testing.T) {
	t.Run("H2-001/ResetsAmongRequests", func(t *testing.T) {
		h := handler{serve: func(ex *exchange.Exchange) { ex.Response.Status = 204 }}
		bubble(t, h, func(t *testing.T, p *peer, _ *Server) {
			p.hello()
			for n := range 3 * maxResets {
				_ = p.open(id(n), true, get("/")...)
				if !p.saw(fmt.Sprintf("%d 204", id(n))) {
					t.Fatalf("request %d is not answered: %s", n, p.all())
				}
				_ = p.WriteRSTStream(id(n), xhttp2.ErrCodeCancel) // late, as clients do
				p.forget()
			}
		})
	})
}

// TestServer_ConnectionErrors are rows whose first frames end the connection.
func TestServer_ConnectionErrors(t *testing.T) {
	raw := func(kind xhttp2.FrameType, flags xhttp2.Flags, stream uint32, payload string) func(*peer) {
		return func(p *peer) { _ = p.WriteRawFrame(kind, flags, stream, []byte(payload)) }
	}
	block := func(b string) func(*peer) { return func(p *peer) { _ = p.block(1, []byte(b)) } }
	setting := func(id xhttp2.SettingID, v uint32) func(*peer) {
		return func(p *peer) { _ = p.WriteSettings(xhttp2.Setting{ID: id, Val: v}) }
	}
	const request = "\x82\x86\x84\x41\x01a" // GET http / a
	for name, c := range map[string]struct {
		send func(*peer)
		want string
	}{
		"H2-002/PriorityLength":      {raw(xhttp2.FramePriority, 0, 1, "1234"), "FRAME_SIZE_ERROR"},
		"H2-006/PushPromise":         {raw(xhttp2.FramePushPromise, 4, 1, "\x00\x00\x00\x02"+request), "PROTOCOL_ERROR"},
		"H2-010/TableTooLarge":       {block("\x3f\xe2\x1f" + request), "COMPRESSION_ERROR"}, // 4097
		"H2-010/TableTooLargeSecond": {block("\x20\x3f\xe2\x1f" + request), "COMPRESSION_ERROR"},
		"H2-010/TableMidBlock":       {block("\x82\x86\x84\x41\x01a\x40\x01x\x01y\x20"), "COMPRESSION_ERROR"},
		"H2-010/IntegerOverflow":     {block("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), "COMPRESSION_ERROR"},
		"H2-010/IndexZero":           {block("\x80"), "COMPRESSION_ERROR"},
		"H2-010/IndexBeyondTable":    {block(request + "\xbf"), "COMPRESSION_ERROR"},
		"H2-010/HuffmanEOS":          {block(request + "\x00\x84\xff\xff\xff\xff\x01y"), "COMPRESSION_ERROR"},
		"H2-010/HuffmanPadding":      {block(request + "\x00\x82\x1f\xff\x01y"), "COMPRESSION_ERROR"}, // "a" and 11 bits
		"H2-010/HuffmanPaddingZero":  {block(request + "\x00\x81\x18\x01y"), "COMPRESSION_ERROR"},     // "a" and zeroes
		"H2-010/CutOff":              {block(request + "\x00\x05x"), "COMPRESSION_ERROR"},
		"H2-013/MaxFrameSize0":       {setting(xhttp2.SettingMaxFrameSize, 0), "PROTOCOL_ERROR"},
		"H2-013/MaxFrameSize16383":   {setting(xhttp2.SettingMaxFrameSize, 16383), "PROTOCOL_ERROR"},
		"H2-013/MaxFrameSize2e24":    {setting(xhttp2.SettingMaxFrameSize, 1<<24), "PROTOCOL_ERROR"},
		"H2-014/InitialWindow2e31":   {setting(xhttp2.SettingInitialWindowSize, 1<<31), "FLOW_CONTROL_ERROR"},
		"H2-014/ConnectionOverflow":  {func(p *peer) { _ = p.WriteWindowUpdate(0, 1<<31-1) }, "FLOW_CONTROL_ERROR"},
		"H2-019/PaddingIsAll": {func(p *peer) {
			_ = p.open(1, false, pseudo("POST", "a", "/")...)
			_ = p.WriteRawFrame(xhttp2.FrameData, 8, 1, []byte{3, 0, 0})
		}, "PROTOCOL_ERROR"},
		"H2-020/FrameTooLarge":    {func(p *peer) { _, _ = p.Write([]byte{1, 0, 1, 0, 0, 0, 0, 0, 1}) }, "FRAME_SIZE_ERROR"},
		"H2-020/HeadersOnStream0": {func(p *peer) { _ = p.open(0, true, get("/")...) }, "PROTOCOL_ERROR"},
		"H2-020/DataOnStream0":    {raw(xhttp2.FrameData, 0, 0, "x"), "PROTOCOL_ERROR"},
		"H2-020/DataOnIdle":       {raw(xhttp2.FrameData, 0, 1, "x"), "PROTOCOL_ERROR"},
		"H2-020/ResetOnIdle":      {raw(xhttp2.FrameRSTStream, 0, 1, "\x00\x00\x00\x08"), "PROTOCOL_ERROR"},
		"H2-020/EvenStream":       {func(p *peer) { _ = p.open(2, true, get("/")...) }, "PROTOCOL_ERROR"},
		"H2-020/Decreasing": {func(p *peer) {
			_ = p.open(5, true, get("/")...)
			_ = p.open(3, true, get("/")...)
		}, "PROTOCOL_ERROR"},
		"H2-020/SettingsOnStream": {raw(xhttp2.FrameSettings, 0, 1, ""), "PROTOCOL_ERROR"},
		"H2-020/SettingsLength":   {raw(xhttp2.FrameSettings, 0, 0, "12345"), "FRAME_SIZE_ERROR"},
		"H2-020/PingLength":       {raw(xhttp2.FramePing, 0, 0, "1234567"), "FRAME_SIZE_ERROR"},
		"H2-020/PingOnStream":     {raw(xhttp2.FramePing, 0, 1, "12345678"), "PROTOCOL_ERROR"},
		"H2-020/BareContinuation": {raw(xhttp2.FrameContinuation, 4, 1, request), "PROTOCOL_ERROR"},
		"H2-020/OtherFrameInBlock": {func(p *peer) {
			_ = p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(request), EndStream: true})
			_ = p.WritePing(false, [8]byte{})
		}, "PROTOCOL_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			h := &load{}
			bubble(t, h, func(t *testing.T, p *peer, _ *Server) {
				p.hello()
				c.send(p)
				p.want(t, "GOAWAY "+c.want)
				if !p.gone(limits.HeaderTimeout) {
					t.Error("the connection stays")
				}
			})
			if h.served > 1 || h.now != 0 {
				t.Errorf("%d requests were served, %d have not ended", h.served, h.now)
			}
		})
	}
}

// TestServer_Bounds are rows that the connection survives.
func TestServer_Bounds(t *testing.T) {
	bomb := func(name, value string, refs int) []byte {
		var b bytes.Buffer
		enc := hpack.NewEncoder(&b)
		for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}, {name, value}} {
			_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		return append(b.Bytes(), bytes.Repeat([]byte{0xbe}, refs)...) // the newest entry of the table
	}
	for name, c := range map[string]struct {
		block []byte
		want  string
	}{
		"H2-008/Bomb":            {bomb("x", "y", 10_000), "1 431"},
		"H2-008/LargeBomb":       {bomb("x", string(bytes.Repeat([]byte("y"), 4000)), 20), "1 431"},
		"H2-009/Crumbs":          {bomb("cookie", "a=1", 10_000), "1 431"},
		"H2-008/WithinTheLimits": {bomb("x", "y", 100), "1 200"},
		"H2-009/FewCrumbs":       {bomb("cookie", "a=1", 100), "1 200"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, handler{serve: func(ex *exchange.Exchange) { ex.Response.Status = 200 }}, func(t *testing.T, p *peer, _ *Server) {
				p.hello()
				_ = p.block(1, c.block)
				p.want(t, c.want)
				_ = p.open(3, true, get("/")...)
				p.want(t, "3 200")
			})
		})
	}
}
