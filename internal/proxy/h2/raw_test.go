package h2

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// dialRaw opens an HTTP/2 connection frame by frame.
func dialRaw(t *testing.T, addr string, settings ...xhttp2.Setting) (net.Conn, *xhttp2.Framer) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(timeout))
	if _, err := conn.Write([]byte(xhttp2.ClientPreface)); err != nil {
		t.Fatal(err)
	}
	fr := newFramer(conn)
	if err := fr.WriteSettings(settings...); err != nil {
		t.Fatal(err)
	}
	return conn, fr
}

func newFramer(conn net.Conn) *xhttp2.Framer {
	fr := xhttp2.NewFramer(conn, conn)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	return fr
}

func writeHeaders(t *testing.T, fr *xhttp2.Framer, stream uint32, end bool, fields ...string) {
	t.Helper()
	if err := fr.WriteHeaders(xhttp2.HeadersFrameParam{
		StreamID: stream, BlockFragment: encodeFields(fields...), EndHeaders: true, EndStream: end,
	}); err != nil {
		t.Fatal(err)
	}
}

func encodeFields(fields ...string) []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		_ = enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}

func readHeaders(t *testing.T, fr *xhttp2.Framer) map[string]string {
	t.Helper()
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := f.(*xhttp2.MetaHeadersFrame); ok {
			out := make(map[string]string)
			for _, field := range h.Fields {
				out[field.Name] = field.Value
			}
			return out
		}
	}
}

// rawBackend hands every frame that comes to f.
func rawBackend(t *testing.T, f func(*xhttp2.Framer, xhttp2.Frame)) string {
	t.Helper()
	ln := listen(t)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go serveRaw(conn, f)
		}
	}()
	return ln.Addr().String()
}

func serveRaw(conn net.Conn, f func(*xhttp2.Framer, xhttp2.Frame)) { serveRawWith(conn, nil, f) }

func serveRawWith(conn net.Conn, settings []xhttp2.Setting, f func(*xhttp2.Framer, xhttp2.Frame)) {
	defer func() { _ = conn.Close() }()
	if _, err := conn.Read(make([]byte, len(xhttp2.ClientPreface))); err != nil {
		return
	}
	fr := newFramer(conn)
	_ = fr.WriteSettings(settings...)
	for {
		frame, err := fr.ReadFrame()
		if err != nil {
			return
		}
		if s, ok := frame.(*xhttp2.SettingsFrame); ok && !s.IsAck() {
			_ = fr.WriteSettingsAck()
		}
		f(fr, frame)
	}
}

// attemptStage sends one request to a backend and returns the failure's stage, or 0.
func attemptStage(t *testing.T, tr *Transport, to *exchange.Target, body exchange.Body) exchange.Stage {
	t.Helper()
	ex := &exchange.Exchange{Client: nobody{}}
	ex.Request = exchange.Request{Method: "GET", Scheme: "http", Authority: "a", Path: "/", Body: body}
	if body != nil {
		ex.Request.ContentLength = exchange.Unknown
	}
	err := tr.RoundTrip(ex, to)
	if err == nil {
		if b := ex.Response.Body; b != nil {
			_ = b.Close()
		}
		return 0
	}
	f, ok := errors.AsType[*exchange.Failure](err)
	if !ok {
		t.Fatalf("%v is no *exchange.Failure", err)
	}
	return f.Stage
}

// nobody is a client that never leaves.
type nobody struct{}

func (nobody) Interim(int, *exchange.Header) error { return nil }
func (nobody) OnCancel(func()) (stop func())       { return func() {} }

func TestTransport_FailureStages(t *testing.T) {
	silent := func(*xhttp2.Framer, xhttp2.Frame) {}
	on := func(do func(fr *xhttp2.Framer, id uint32)) func(*xhttp2.Framer, xhttp2.Frame) {
		return func(fr *xhttp2.Framer, f xhttp2.Frame) {
			if h, ok := f.(*xhttp2.MetaHeadersFrame); ok {
				do(fr, h.StreamID)
			}
		}
	}
	for name, c := range map[string]struct {
		backend  func(*xhttp2.Framer, xhttp2.Frame)
		deadline time.Duration
		want     exchange.Stage
	}{
		"NoHeadBeforeTheDeadline": {silent, 50 * time.Millisecond, exchange.StageTimeout},
		"RefusedStream": {
			on(func(fr *xhttp2.Framer, id uint32) { _ = fr.WriteRSTStream(id, xhttp2.ErrCodeRefusedStream) }),
			timeout, exchange.StageConnect,
		},
		"GoAwayWithoutTheStream": {
			on(func(fr *xhttp2.Framer, _ uint32) { _ = fr.WriteGoAway(0, xhttp2.ErrCodeNo, nil) }),
			timeout, exchange.StageConnect,
		},
		"Reset": {
			on(func(fr *xhttp2.Framer, id uint32) { _ = fr.WriteRSTStream(id, xhttp2.ErrCodeInternal) }),
			timeout, exchange.StageAwait,
		},
		"BadStatus": {
			on(func(fr *xhttp2.Framer, id uint32) {
				_ = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: encodeFields(":status", "abc"), EndHeaders: true, EndStream: true})
			}),
			timeout, exchange.StageHead,
		},
	} {
		t.Run(name, func(t *testing.T) {
			tr := NewTransport(nil, nil)
			t.Cleanup(tr.Close)
			to := &exchange.Target{Addr: rawBackend(t, c.backend), ConnectTimeout: timeout, Deadline: time.Now().Add(c.deadline)}
			if got := attemptStage(t, tr, to, nil); got != c.want {
				t.Errorf("stage %d, want %d", got, c.want)
			}
		})
	}
	t.Run("NobodyListens", func(t *testing.T) {
		ln := listen(t)
		_ = ln.Close()
		tr := NewTransport(nil, nil)
		if got := attemptStage(t, tr, &exchange.Target{Addr: ln.Addr().String(), ConnectTimeout: timeout}, nil); got != exchange.StageConnect {
			t.Errorf("stage %d, want %d", got, exchange.StageConnect)
		}
		if len(tr.pools) != 0 {
			t.Error("the pool of an address that nobody listens on stays")
		}
	})
}

func many(n int) []string {
	fields := make([]string, 0, 2*n)
	for range n {
		fields = append(fields, "x", "y")
	}
	return fields
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
func (zeros) Buffered() int              { return 1 }
func (zeros) Close() error               { return nil }

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"/a?b", "*", "/%2F", "a b", "/\\", "/#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if validTarget(s) && strings.ContainsAny(s, " #\t\r\n\x00\x7f") {
			t.Errorf("%q passed as a target", s)
		}
	})
}
