package capture

import (
	"strings"
	"testing"
)

func TestLook(t *testing.T) {
	for name, c := range map[string]struct {
		head string
		kind Kind
		sure bool
	}{
		"Nothing":          {"", Opaque, false},
		"Request":          {"GET / HTTP/1.1\r\nHost: a\r\n", HTTP1, true},
		"HTTP10":           {"HEAD /a?b=c HTTP/1.0\r\n", HTTP1, true},
		"BareLineFeed":     {"GET / HTTP/1.1\n", HTTP1, true},
		"Asterisk":         {"OPTIONS * HTTP/1.1\r\n", HTTP1, true},
		"MethodWithDash":   {"M-SEARCH * HTTP/1.1\r\n", HTTP1, true},
		"PartOfAMethod":    {"GE", Opaque, false},
		"Method":           {"GET ", Opaque, false},
		"PartOfALine":      {"GET /a HTT", HTTP1, false},
		"LongLine":         {"GET /" + strings.Repeat("a", 4000), HTTP1, false},
		"Preface":          {Preface, HTTP2, true},
		"PrefaceAndMore":   {Preface + "\x00\x00\x00\x04", HTTP2, true},
		"PartOfPreface":    {"PRI * HT", Opaque, false},
		"OtherPreface":     {"PRI * HTTP/3.0\r\n", Opaque, true},
		"ClientHello":      {"\x16\x03\x01\x02\x00\x01", Opaque, true},
		"RedisCommand":     {"*1\r\n$4\r\nPING\r\n", Opaque, true},
		"RedisInline":      {"GET /key\r\n", Opaque, true},
		"Memcached":        {"get a\r\n", Opaque, true},
		"RTSP":             {"OPTIONS * RTSP/1.0\r\n", Opaque, true},
		"SIP":              {"INVITE sip:a@b SIP/2.0\r\n", Opaque, true},
		"Connect":          {"CONNECT a:443 HTTP/1.1\r\n", Opaque, true},
		"AbsoluteURL":      {"GET http://a/ HTTP/1.1\r\n", Opaque, true},
		"LowerCaseMethod":  {"get / HTTP/1.1\r\n", Opaque, true},
		"EndlessMethod":    {strings.Repeat("A", 25), Opaque, true},
		"SpaceFirst":       {" / HTTP/1.1\r\n", Opaque, true},
		"NoVersion":        {"GET /\r\n", Opaque, true},
		"VersionOnly":      {"GET * HTTP/1.\r\n", Opaque, true},
		"PostgresStartup":  {"\x00\x00\x00\x08\x04\xd2\x16\x2f", Opaque, true},
		"SSHClient":        {"SSH-2.0-OpenSSH_9.2\r\n", Opaque, true},
		"LineOfNoEndpoint": {"PRI\r\n", Opaque, true},
	} {
		t.Run(name, func(t *testing.T) {
			if kind, sure := Look([]byte(c.head)); kind != c.kind || sure != c.sure {
				t.Errorf("Look(%q) = %d, %t; want %d, %t", c.head, kind, sure, c.kind, c.sure)
			}
		})
	}
}

// FuzzLook holds what a reader in pieces relies on: once it is sure, what
// comes next makes no difference, and only an HTTP request is HTTP.
func FuzzLook(f *testing.F) {
	for _, head := range []string{"GET / HTTP/1.1\r\n\r\n", Preface, "PRI * HTTP/2.0\r\n\r\nSM", "\x16\x03\x01", "OPTIONS * RTSP/1.0\r\n", ""} {
		f.Add([]byte(head))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		last, settled := Opaque, false
		for n := range len(head) + 1 {
			kind, sure := Look(head[:n])
			if settled && (kind != last || !sure) {
				t.Fatalf("%q: %d, %t after it was surely %d", head[:n], kind, sure, last)
			}
			last, settled = kind, settled || sure
		}
		if last == HTTP1 && !strings.Contains(string(head), " ") || last == HTTP2 && !strings.HasPrefix(string(head), Preface) {
			t.Fatalf("%q is taken for %d", head, last)
		}
	})
}
