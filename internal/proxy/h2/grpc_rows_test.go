package h2

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// grpcRequest are the fields of a call, and more.
func grpcRequest(path string, more ...string) []string {
	return append([]string{
		":method", "POST", ":scheme", "http", ":authority", "a", ":path", path, "content-type", "application/grpc", "te", "trailers",
	}, more...)
}

// answering is a raw backend that answers the head of each request.
func answering(t *testing.T, answer func(fr *xhttp2.Framer, request *xhttp2.MetaHeadersFrame)) string {
	t.Helper()
	return rawBackend(t, func(fr *xhttp2.Framer, f xhttp2.Frame) {
		if h, ok := f.(*xhttp2.MetaHeadersFrame); ok {
			answer(fr, h)
		}
	})
}

// head writes fields on a stream, as a backend that asks nobody whether it may.
func head(fr *xhttp2.Framer, stream uint32, end bool, fields ...string) {
	_ = fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: stream, BlockFragment: encodeFields(fields...), EndHeaders: true, EndStream: end})
}

// received is what a client gets on its stream: a line for each frame, with the
// fields that gRPC is about.
func received(t *testing.T, fr *xhttp2.Framer) string {
	t.Helper()
	var lines []string
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			t.Fatalf("after %q: %v", lines, err)
		}
		end := false
		switch f := f.(type) {
		case *xhttp2.MetaHeadersFrame:
			lines, end = append(lines, "HEADERS"+grpcFields(f.Fields)), f.StreamEnded()
		case *xhttp2.DataFrame:
			if len(f.Data()) > 0 {
				lines = append(lines, "DATA "+string(f.Data()))
			}
			end = f.StreamEnded()
		case *xhttp2.RSTStreamFrame:
			return strings.Join(append(lines, fmt.Sprint("RST ", f.ErrCode)), "\n")
		}
		if end {
			return strings.Join(append(lines, "END"), "\n")
		}
	}
}

// grpcFields are in the order of their names: the library has none.
func grpcFields(fields []hpack.HeaderField) string {
	var out []string
	for _, f := range fields {
		if f.Name == ":status" || strings.HasPrefix(f.Name, "grpc-") {
			out = append(out, " "+f.Name+"="+f.Value)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// TestGRPC_BackendsAnswers: WG-012 and WG-014, both hops on the wire.
func TestGRPC_BackendsAnswers(t *testing.T) {
	const ok = "HEADERS :status=200\n"
	for name, c := range map[string]struct {
		answer func(fr *xhttp2.Framer, id uint32)
		want   string
	}{
		"WG-012/TrailersOnly": {func(fr *xhttp2.Framer, id uint32) {
			head(fr, id, true, ":status", "200", "content-type", "application/grpc", "grpc-status", "5", "grpc-message", "none")
		}, "HEADERS :status=200 grpc-message=none grpc-status=5\nEND"},
		"WG-012/Trailers": {func(fr *xhttp2.Framer, id uint32) {
			head(fr, id, false, ":status", "200")
			_ = fr.WriteData(id, false, []byte("m"))
			head(fr, id, true, "grpc-status", "9", "grpc-status-details-bin", "AA==")
		}, ok + "DATA m\nHEADERS grpc-status-details-bin=AA== grpc-status=9\nEND"},
		"WG-012/Status503": {func(fr *xhttp2.Framer, id uint32) { head(fr, id, true, ":status", "503") }, "HEADERS :status=503\nEND"},
		"WG-012/NoGRPCStatus": {func(fr *xhttp2.Framer, id uint32) {
			head(fr, id, false, ":status", "200")
			_ = fr.WriteData(id, true, []byte("m"))
		}, ok + "DATA m\nEND"},
		"WG-012/ResetInTheStream": {func(fr *xhttp2.Framer, id uint32) {
			head(fr, id, false, ":status", "200")
			_ = fr.WriteData(id, false, []byte("m"))
			_ = fr.WriteRSTStream(id, xhttp2.ErrCodeInternal)
		}, ok + "DATA m\nRST INTERNAL_ERROR"},
		"WG-012/GoAwayInTheStream": {func(fr *xhttp2.Framer, id uint32) {
			head(fr, id, false, ":status", "200")
			_ = fr.WriteGoAway(id, xhttp2.ErrCodeNo, nil)
			_ = fr.WriteData(id, false, []byte("m"))
			head(fr, id, true, "grpc-status", "0")
		}, ok + "DATA m\nHEADERS grpc-status=0\nEND"},
		"WG-012/ResetAtOnce": {func(fr *xhttp2.Framer, id uint32) {
			_ = fr.WriteRSTStream(id, xhttp2.ErrCodeInternal)
		}, "HEADERS :status=502\nEND"},
		"WG-014/Encoded": {func(fr *xhttp2.Framer, id uint32) {
			head(fr, id, true, ":status", "200", "grpc-status", "2", "grpc-message", "a%0D%0Ab %zz % %C3%BC")
		}, "HEADERS :status=200 grpc-message=a%0D%0Ab %zz % %C3%BC grpc-status=2\nEND"},
		"WG-014/LineBreakInHead": {func(fr *xhttp2.Framer, id uint32) {
			head(fr, id, true, ":status", "200", "grpc-status", "2", "grpc-message", "a\r\ngrpc-status: 0")
		}, "HEADERS :status=502\nEND"},
		"WG-014/LineBreakInTrailer": {func(fr *xhttp2.Framer, id uint32) {
			head(fr, id, false, ":status", "200")
			_ = fr.WriteData(id, false, []byte("m"))
			head(fr, id, true, "grpc-status", "2", "grpc-message", "a\r\ngrpc-status: 0")
		}, ok + "DATA m\nRST INTERNAL_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := proxy(t, answering(t, func(fr *xhttp2.Framer, h *xhttp2.MetaHeadersFrame) { c.answer(fr, h.StreamID) }))
			conn, fr := dialRaw(t, addr)
			defer func() { _ = conn.Close() }()
			writeHeaders(t, fr, 1, true, grpcRequest("/a.S/M")...)
			if got := received(t, fr); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

// TestGRPC_RequestsPass: WG-013 and WG-015. What is between client and backend
// stays as it is, and te is kept: backends refuse calls without it.
func TestGRPC_RequestsPass(t *testing.T) {
	got := make(chan map[string]string, 1)
	addr := proxy(t, answering(t, func(fr *xhttp2.Framer, h *xhttp2.MetaHeadersFrame) {
		fields := make(map[string]string)
		for _, f := range h.Fields {
			fields[f.Name] = f.Value
		}
		got <- fields
		head(fr, h.StreamID, true, ":status", "200", "grpc-status", "0")
	}))
	for name, timeout := range map[string]string{
		"WG-013/Greatest": "99999999H", "WG-013/Negative": "-1S", "WG-013/NoUnit": "1x", "WG-013/TooManyDigits": "1234567890S",
	} {
		t.Run(name, func(t *testing.T) {
			conn, fr := dialRaw(t, addr)
			defer func() { _ = conn.Close() }()
			writeHeaders(t, fr, 1, true, grpcRequest("/a.S/M", "grpc-timeout", timeout, "grpc-encoding", "gzip")...)
			if answer := received(t, fr); answer != "HEADERS :status=200 grpc-status=0\nEND" {
				t.Errorf("answered %q", answer)
			}
			fields := <-got
			if fields["grpc-timeout"] != timeout || fields["grpc-encoding"] != "gzip" {
				t.Errorf("the backend got %v", fields)
			}
			if fields["te"] != "trailers" {
				t.Errorf("WG-015: te is %q", fields["te"])
			}
		})
	}
}

// TestGRPC_LengthsAreNotBelieved is WG-016: messages that are said to be long,
// or to be compressed, are passed on as they come.
func TestGRPC_LengthsAreNotBelieved(t *testing.T) {
	for name, prefix := range map[string]string{
		"WG-016/FourGiB": "\x00\xff\xff\xff\xff", "WG-016/Compressed": "\x01\x00\x00\x00\x10\x1f\x8b\x08", "WG-016/PartOfAPrefix": "\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			addr := proxy(t, rawBackend(t, func(fr *xhttp2.Framer, f xhttp2.Frame) {
				if d, ok := f.(*xhttp2.DataFrame); ok { // the request goes on, and so does the answer
					head(fr, d.StreamID, false, ":status", "200")
					_ = fr.WriteData(d.StreamID, false, d.Data())
				}
			}))
			conn, fr := dialRaw(t, addr)
			defer func() { _ = conn.Close() }()
			writeHeaders(t, fr, 1, false, grpcRequest("/a.S/M")...)
			if err := fr.WriteData(1, false, []byte(prefix)); err != nil {
				t.Fatal(err)
			}
			for got := ""; got != prefix; {
				f, err := fr.ReadFrame()
				if err != nil {
					t.Fatalf("after %q: %v", got, err)
				}
				if d, ok := f.(*xhttp2.DataFrame); ok {
					got += string(d.Data())
				}
			}
		})
	}
}

// TestServer_ExtendedConnect is WG-008: WebSocket over HTTP/2 is not announced,
// and whoever asks for it all the same is refused.
func TestServer_ExtendedConnect(t *testing.T) {
	addr, _ := front(t, handler{serve: func(ex *exchange.Exchange) {
		t.Errorf("served as %s %s", ex.Request.Method, ex.Request.Path)
		_, _ = io.Copy(io.Discard, ex.Request.Body)
	}})
	for name, protocol := range map[string]string{"WG-008/WebSocket": "websocket", "WG-008/Other": "connect-udp", "WG-008/Empty": ""} {
		t.Run(name, func(t *testing.T) {
			conn, fr := dialRaw(t, addr)
			defer func() { _ = conn.Close() }()
			writeHeaders(t, fr, 1, false, ":method", "CONNECT", ":scheme", "http", ":authority", "a", ":path", "/ws",
				":protocol", protocol, "sec-websocket-version", "13")
			for {
				f, err := fr.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				switch f := f.(type) {
				case *xhttp2.SettingsFrame:
					if v, ok := f.Value(xhttp2.SettingEnableConnectProtocol); ok && v != 0 {
						t.Error("extended CONNECT is announced")
					}
				case *xhttp2.RSTStreamFrame:
					return
				case *xhttp2.MetaHeadersFrame:
					if f.PseudoValue("status") < "400" {
						t.Errorf("answered %s", f.PseudoValue("status"))
					}
					return
				case *xhttp2.GoAwayFrame:
					return
				}
			}
		})
	}
}

// TestServer_GRPCPathWithoutSlash is WG-011: such a path never comes to a policy.
func TestServer_GRPCPathWithoutSlash(t *testing.T) {
	addr, _ := front(t, handler{serve: func(ex *exchange.Exchange) { t.Errorf("served as %s", ex.Request.Path) }})
	for name, path := range map[string]string{"WG-011/NoSlash": "svc/m", "WG-011/Absolute": "http://a/svc/m", "WG-011/Dot": "./svc/m"} {
		t.Run(name, func(t *testing.T) {
			conn, fr := dialRaw(t, addr)
			defer func() { _ = conn.Close() }()
			writeHeaders(t, fr, 1, true, grpcRequest(path)...)
			if got := received(t, fr); !strings.HasPrefix(got, "RST ") && !strings.HasPrefix(got, "HEADERS :status=400") {
				t.Errorf("got %q", got)
			}
		})
	}
}
