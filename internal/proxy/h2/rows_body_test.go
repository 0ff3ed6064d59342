package h2

import (
	"strings"
	"testing"
)

// TestServer_BodyOfAnotherLength: what the client announced and what it sends
// differ. The backend gets no whole request, on a connection that is not used again.
func TestServer_BodyOfAnotherLength(t *testing.T) {
	for name, c := range map[string]struct {
		data   []string // DATA frames, the last with END_STREAM
		broken bool     // the backend's connection ends in the body
	}{
		"H2-033/Fewer":         {[]string{"hel"}, true},
		"H2-033/NoneAfterAll":  {[]string{""}, true},
		"H2-033/More":          {[]string{"hel", "loo"}, true},
		"H2-033/MoreInOneGo":   {[]string{"hellooo"}, true},
		"H2-033/EmptyAtTheEnd": {[]string{"hello", ""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, r := downgrade(t)
			conn, fr := dialRaw(t, addr)
			defer func() { _ = conn.Close() }()
			writeHeaders(t, fr, 1, false, pseudo("POST", "a", "/", "content-length", "5")...)
			for i, data := range c.data {
				if err := fr.WriteData(1, i == len(c.data)-1, []byte(data)); err != nil {
					t.Fatal(err)
				}
			}
			got := outcome(fr, 1)
			if c.broken && got == "200" {
				t.Error("answered with 200")
			}
			if c.broken && strings.Contains(r.bytes(), "POST") {
				if err := waitFor(t, "the end of the backend's connection", r.broke); err == nil {
					t.Error("the backend's connection has ended in order")
				}
			}
			writeHeaders(t, fr, 3, true, get("/after")...)
			if got := outcome(fr, 3); got != "200" {
				t.Errorf("the next request on the connection: %s, want 200", got)
			}
			post, _, _ := strings.Cut(r.bytes(), "GET /after")
			_, body, _ := strings.Cut(post, "\r\n\r\n")
			if missing, ok := strings.CutPrefix("hello", body); !ok || c.broken != (missing != "") {
				t.Errorf("the backend got %q", r.bytes())
			}
		})
	}
}

// TestServer_RequestTrailers are rows about the fields after a body.
func TestServer_RequestTrailers(t *testing.T) {
	const chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
	for name, c := range map[string]struct {
		announced string
		fields    []string
		noEnd     bool
		want      string
		backend   string // what it gets, where that is a whole request
	}{
		"H2-029/PseudoInTrailer":      {"x-sum", []string{"x-sum", "1", ":path", "/"}, false, malformed, ""},
		"H2-035/Pseudo":               {"x-sum", []string{":path", "/b"}, false, malformed, ""},
		"H2-035/Status":               {"x-sum", []string{":status", "200"}, false, malformed, ""},
		"H2-035/ContentLength":        {"x-sum", []string{"content-length", "3"}, false, malformed, ""},
		"H2-035/TransferEncoding":     {"x-sum", []string{"transfer-encoding", "chunked"}, false, malformed, ""},
		"H2-035/Host":                 {"x-sum", []string{"host", "b"}, false, malformed, ""},
		"H2-035/LineInValue":          {"x-sum", []string{"x-sum", "1\r\nx-b: 2"}, false, malformed, ""},
		"H2-035/WithoutEnd":           {"x-sum", []string{"x-sum", "1"}, true, malformed, ""},
		"H2-035/NotAnnounced":         {"x-sum", []string{"x-other", "1"}, false, "200", chunked + "\r\n"},
		"H2-035/Announced":            {"content-digest", []string{"content-digest", "1"}, false, "200", chunked + "Content-Digest: 1\r\n\r\n"},
		"H2-035/AnnouncedLength":      {"content-length", []string{"content-length", "3"}, false, "200", chunked + "\r\n"},
		"H2-035/AnnouncedHost":        {"host", []string{"host", "b"}, false, malformed, ""},
		"H2-035/AnnouncedConnection":  {"connection", []string{"connection", "x"}, false, malformed, ""},
		"H2-035/AnnouncedForwarded":   {"x-forwarded-for", []string{"x-forwarded-for", "1.2.3.4"}, false, "200", chunked + "\r\n"},
		"H2-035/AnnouncedCredentials": {"authorization", []string{"authorization", "x"}, false, malformed, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, r := downgrade(t)
			conn, fr := dialRaw(t, addr)
			defer func() { _ = conn.Close() }()
			writeHeaders(t, fr, 1, false, pseudo("POST", "a", "/", "trailer", c.announced)...)
			if err := fr.WriteData(1, false, []byte("hi")); err != nil {
				t.Fatal(err)
			}
			writeHeaders(t, fr, 1, !c.noEnd, c.fields...)
			if got := outcome(fr, 1); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := r.bytes(); c.backend != "" && got != c.backend || c.backend == "" && strings.Contains(got, "\r\n0\r\n") {
				t.Errorf("the backend got %q, want %q", got, c.backend)
			}
		})
	}
}
