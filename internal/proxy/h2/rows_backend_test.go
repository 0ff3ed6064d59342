package h2

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// http2Backend answers each request but those for "/after" with answer. It
// counts its connections, and tells of each reset that it gets.
type http2Backend struct {
	settings []xhttp2.Setting
	answer   func(fr *xhttp2.Framer, stream uint32)

	conns  atomic.Int64
	resets chan xhttp2.ErrCode
	fields chan []string // of trailers
}

func (b *http2Backend) start(t *testing.T) (addr string) {
	t.Helper()
	b.resets, b.fields = make(chan xhttp2.ErrCode, 100), make(chan []string, 100)
	ln := listen(t)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			b.conns.Add(1)
			go b.serve(conn)
		}
	}()
	return ln.Addr().String()
}

func (b *http2Backend) serve(conn net.Conn) {
	serveRawWith(conn, b.settings, func(fr *xhttp2.Framer, f xhttp2.Frame) {
		switch f := f.(type) {
		case *xhttp2.RSTStreamFrame:
			b.resets <- f.ErrCode
		case *xhttp2.MetaHeadersFrame:
			switch f.PseudoValue("path") {
			case "/after":
				respond(fr, f.StreamID, true, ":status", "200")
			case "":
				var fields []string
				for _, field := range f.Fields {
					fields = append(fields, field.Name)
				}
				b.fields <- fields
				respond(fr, f.StreamID, true, ":status", "200")
			default:
				b.answer(fr, f.StreamID)
			}
		}
	})
}

func respond(fr *xhttp2.Framer, stream uint32, end bool, fields ...string) {
	_ = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: stream, BlockFragment: encodeFields(fields...), EndHeaders: true, EndStream: end})
}

// headers answers with a head alone.
func headers(fields ...string) func(*xhttp2.Framer, uint32) {
	return func(fr *xhttp2.Framer, stream uint32) { respond(fr, stream, true, fields...) }
}

// open answers with a head and DATA that goes on.
func open(data string, fields ...string) func(*xhttp2.Framer, uint32) {
	return func(fr *xhttp2.Framer, stream uint32) {
		respond(fr, stream, false, fields...)
		_ = fr.WriteData(stream, false, []byte(data))
	}
}

// body answers with a head and DATA.
func body(data string, fields ...string) func(*xhttp2.Framer, uint32) {
	return func(fr *xhttp2.Framer, stream uint32) {
		respond(fr, stream, false, fields...)
		_ = fr.WriteData(stream, true, []byte(data))
	}
}

// whole reads one response: its status and body, or how it broke.
func whole(fr *xhttp2.Framer, stream uint32) string {
	var got strings.Builder
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return got.String() + "|closed"
		}
		if f.Header().StreamID != stream {
			continue
		}
		switch f := f.(type) {
		case *xhttp2.MetaHeadersFrame:
			fmt.Fprintf(&got, "%s:", f.PseudoValue("status"))
			for _, field := range f.RegularFields() {
				if field.Name != "date" {
					fmt.Fprintf(&got, "%s=%s;", field.Name, field.Value)
				}
			}
			if f.StreamEnded() {
				return got.String()
			}
		case *xhttp2.DataFrame:
			got.Write(f.Data())
			if f.StreamEnded() {
				return got.String()
			}
		case *xhttp2.RSTStreamFrame:
			return got.String() + "|RST"
		}
	}
}

const bad = "502:content-length=0;"

// TestTransport_MalformedResponses are rows whose response the client must not
// take for one; the backend's connection goes on where a reset is enough.
func TestTransport_MalformedResponses(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		answer func(*xhttp2.Framer, uint32)
		want   string
		reset  bool // the backend's stream is reset
		conns  int64
	}{
		"H2-038/NoStatus":           {"GET", headers("x-a", "1"), bad, false, 1},
		"H2-038/Status99":           {"GET", headers(":status", "99"), bad, false, 1},
		"H2-038/Status099":          {"GET", headers(":status", "099"), bad, false, 1},
		"H2-038/Status1000":         {"GET", headers(":status", "1000"), bad, false, 1},
		"H2-038/StatusPlus":         {"GET", headers(":status", "+200"), bad, false, 1},
		"H2-038/StatusPlus20":       {"GET", headers(":status", "+20"), bad, false, 1},
		"H2-038/StatusWithBody":     {"GET", open("no", ":status", "1000"), bad, true, 1},
		"H2-038/StatusZeroes":       {"GET", headers(":status", "0200"), bad, false, 1},
		"H2-038/StatusWords":        {"GET", headers(":status", "200 OK"), bad, false, 1},
		"H2-038/StatusTwice":        {"GET", headers(":status", "200", ":status", "200"), bad, true, 1},
		"H2-038/RequestPseudo":      {"GET", headers(":status", "200", ":path", "/"), bad, true, 1},
		"H2-038/InterimWithEnd":     {"GET", headers(":status", "103"), bad, false, 1},
		"H2-038/SwitchingProtocols": {"GET", headers(":status", "101"), bad, false, 1},
		"H2-038/CRInValue":          {"GET", headers(":status", "200", "x-a", "1\rx-b: 2"), bad, true, 1},
		"H2-038/LineInValue":        {"GET", headers(":status", "200", "x-a", "1\r\nx-b: 2"), bad, true, 1},
		"H2-038/NULInValue":         {"GET", headers(":status", "200", "x-a", "1\x00"), bad, true, 1},
		"H2-038/UpperCaseName":      {"GET", headers(":status", "200", "X-A", "1"), bad, true, 1},
		"H2-038/LengthMismatch":     {"GET", headers(":status", "200", "content-length", "5"), "200:content-length=5;|RST", false, 1},
		"H2-038/Fewer":              {"GET", body("hel", ":status", "200", "content-length", "5"), "200:content-length=5;hel|RST", false, 1},
		"H2-038/More":               {"GET", open("hellooo", ":status", "200", "content-length", "5"), "200:content-length=5;|RST", true, 1},
		"H2-038/TwoLengths":         {"GET", open("hello", ":status", "200", "content-length", "5", "content-length", "6"), bad, true, 1},
		"H2-038/PlusLength":         {"GET", open("hello", ":status", "200", "content-length", "+5"), bad, true, 1},
		"H2-038/HopByHop":           {"GET", headers(":status", "200", "connection", "close", "transfer-encoding", "chunked", "keep-alive", "1", "upgrade", "x", "proxy-connection", "close", "x-a", "1"), "200:x-a=1;content-length=0;", false, 1},
		"H2-039/Head":               {"HEAD", open("hello", ":status", "200"), "200:", true, 1},
		"H2-039/NoContent":          {"GET", open("hello", ":status", "204"), "204:|RST", true, 1},
		"H2-039/NotModified":        {"GET", open("hello", ":status", "304"), "304:|RST", true, 1},
		"H2-039/NoContentLateEnd":   {"GET", body("", ":status", "204"), "204:", false, 1},
		"H2-039/NotModifiedLength":  {"GET", headers(":status", "304", "content-length", "5"), "304:", false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &http2Backend{answer: c.answer}
			tr := NewTransport(nil, nil)
			t.Cleanup(tr.Close)
			conn, fr := dialRaw(t, forwarding(t, tr, b.start(t)))
			defer func() { _ = conn.Close() }()
			writeHeaders(t, fr, 1, true, pseudo(c.method, "a", "/")...)
			if got := whole(fr, 1); got != c.want {
				t.Errorf("the client got %q, want %q", got, c.want)
			}
			if c.reset {
				waitFor(t, "a reset of the backend's stream", b.resets)
			}
			writeHeaders(t, fr, 3, true, get("/after")...)
			if got := whole(fr, 3); !strings.HasPrefix(got, "200:") {
				t.Errorf("the next request: %q, want 200", got)
			}
			if got := b.conns.Load(); got != c.conns {
				t.Errorf("%d connections to the backend, want %d", got, c.conns)
			}
		})
	}
}

// maxBroken is how many connections a request may find broken.
const maxBroken = maxBarren * maxSends

// TestTransport_ConnectionErrors are rows where the backend's connection cannot
// go on: the request fails at once and the next one has another connection.
func TestTransport_ConnectionErrors(t *testing.T) {
	setting := func(id xhttp2.SettingID, v uint32) []xhttp2.Setting { return []xhttp2.Setting{{ID: id, Val: v}} }
	for name, c := range map[string]struct {
		settings []xhttp2.Setting
		answer   func(*xhttp2.Framer, uint32)
	}{
		"H2-013/MaxFrameSize0":     {settings: setting(xhttp2.SettingMaxFrameSize, 0)},
		"H2-013/MaxFrameSize16383": {settings: setting(xhttp2.SettingMaxFrameSize, 16383)},
		"H2-013/MaxFrameSize2e24":  {settings: setting(xhttp2.SettingMaxFrameSize, 1<<24)},
		"H2-014/InitialWindow2e31": {settings: setting(xhttp2.SettingInitialWindowSize, 1<<31)},
		"H2-037/EnablePush2":       {settings: setting(xhttp2.SettingEnablePush, 2)},
		"H2-037/PushPromise": {answer: func(fr *xhttp2.Framer, stream uint32) {
			_ = fr.WritePushPromise(xhttp2.PushPromiseParam{StreamID: stream, PromiseID: 2, BlockFragment: encodeFields(get("/pushed")...), EndHeaders: true})
		}},
		"H2-010/BadIndex": {answer: func(fr *xhttp2.Framer, stream uint32) {
			_ = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte{0xff, 0xff, 0x7f}, EndHeaders: true, EndStream: true})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &http2Backend{settings: c.settings, answer: c.answer}
			if b.answer == nil {
				b.answer = headers(":status", "200")
			}
			tr := NewTransport(nil, nil)
			t.Cleanup(tr.Close)
			to := &exchange.Target{Addr: b.start(t), ConnectTimeout: timeout, IdleTimeout: timeout}
			for n := range int64(2) {
				if stage := attemptStage(t, tr, to, nil); stage == 0 {
					t.Error("the request was answered")
				}
				// A connection may turn out to be broken before it is used.
				if got := b.conns.Load(); got < n+1 || got > (n+1)*maxBroken {
					t.Errorf("%d connections after %d requests", got, n+1)
				}
			}
		})
	}
}

// TestTransport_RequestTrailersOverHTTP2 is the part of H2-035 that HTTP/1.1 has
// an answer of its own to.
func TestTransport_RequestTrailersOverHTTP2(t *testing.T) {
	for name, want := range map[string]bool{
		"X-Sum": true, "X-Forwarded-For": false, "X-Forwarded-Proto": false, "Forwarded": false, "X-Real-Ip": false, "Cookie": false,
	} {
		t.Run("H2-035/"+name, func(t *testing.T) {
			t.Parallel()
			b := &http2Backend{answer: func(*xhttp2.Framer, uint32) {}}
			tr := NewTransport(nil, nil)
			t.Cleanup(tr.Close)
			conn, fr := dialRaw(t, forwarding(t, tr, b.start(t)))
			defer func() { _ = conn.Close() }()
			writeHeaders(t, fr, 1, false, pseudo("POST", "a", "/", "trailer", name+", content-digest")...)
			_ = fr.WriteData(1, false, []byte("hi"))
			writeHeaders(t, fr, 1, true, strings.ToLower(name), "1", "content-digest", "2")
			got := strings.Join(waitFor(t, "trailers", b.fields), " ")
			if has := strings.Contains(got, strings.ToLower(name)); has != want || !strings.Contains(got, "content-digest") {
				t.Errorf("the backend got %q", got)
			}
		})
	}
}

// TestTransport_BackendTakesNoStreams: a request makes a few connections at most,
// and they do not stay.
func TestTransport_BackendTakesNoStreams(t *testing.T) {
	t.Run("H2-015/MaxConcurrentStreams0", func(t *testing.T) {
		b := &http2Backend{settings: []xhttp2.Setting{{ID: xhttp2.SettingMaxConcurrentStreams, Val: 0}}, answer: headers(":status", "200")}
		tr := NewTransport(nil, nil)
		t.Cleanup(tr.Close)
		to := &exchange.Target{Addr: b.start(t), ConnectTimeout: timeout, IdleTimeout: timeout}
		const requests = 20
		for range requests {
			to.Deadline = time.Now().Add(20 * time.Millisecond)
			// A request that is sent before the SETTINGS have come may succeed.
			switch stage := attemptStage(t, tr, to, nil); stage {
			case 0, exchange.StageConnect, exchange.StageTimeout:
			default:
				t.Errorf("stage %d", stage)
			}
		}
		if got := b.conns.Load(); got > requests*maxBarren {
			t.Errorf("%d connections for %d requests", got, requests)
		}
		tr.mu.Lock() // a dial that nobody waits for any more may still be under way
		defer tr.mu.Unlock()
		for _, p := range tr.pools {
			p.mu.Lock()
			if got := len(p.conns); got > maxBarren {
				t.Errorf("%d connections are kept", got)
			}
			p.mu.Unlock()
		}
	})
}
