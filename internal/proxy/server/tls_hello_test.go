package server

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/citoroute/citoroute/internal/ir"
)

// Rows of section 3a of the security catalogue: what a ClientHello may say, and
// which listener speaks then.

// hello is a ClientHello of TLS 1.2, in which the server's certificate is not
// encrypted, so that the answer shows who speaks.
type hello struct {
	version uint16
	ciphers []uint16
	exts    []extension
}

type extension struct {
	kind uint16
	body []byte
}

// newHello has the server names in an extension each.
func newHello(names ...string) *hello {
	h := &hello{version: tls.VersionTLS12, ciphers: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}, exts: []extension{
		{10, []byte{0, 2, 0, 23}},       // supported_groups: P-256
		{11, []byte{1, 0}},              // ec_point_formats: uncompressed
		{13, []byte{0, 2, 4, 3}},        // signature_algorithms: ECDSA with P-256
		{0x5a5a, nil},                   // GREASE (RFC 8701)
		{0xfe0d, make([]byte, 64)},      // encrypted_client_hello that nobody can open
		{43, []byte{2, 3, 3}},           // supported_versions: TLS 1.2
		{0xff01, []byte{0}},             // renegotiation_info
		{0x1234, []byte("unknown ext")}, // no known extension
	}}
	for _, name := range names {
		h.exts = append(h.exts, extension{0, serverNameList(name)})
	}
	return h
}

func serverNameList(names ...string) []byte {
	var list []byte
	for _, name := range names {
		list = append(binary.BigEndian.AppendUint16(append(list, 0), uint16(len(name))), name...)
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(list))), list...)
}

// bytes is the hello in one record.
func (h *hello) bytes() []byte {
	var exts []byte
	for _, e := range h.exts {
		exts = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(exts, e.kind), uint16(len(e.body)))
		exts = append(exts, e.body...)
	}
	body := append(binary.BigEndian.AppendUint16(nil, h.version), make([]byte, 32)...) // random
	body = append(body, 0)                                                             // no session
	body = binary.BigEndian.AppendUint16(body, uint16(2*len(h.ciphers)))
	for _, c := range h.ciphers {
		body = binary.BigEndian.AppendUint16(body, c)
	}
	body = append(body, 1, 0) // no compression
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(exts))), exts...)
	message := append([]byte{1, 0, byte(len(body) >> 8), byte(len(body))}, body...)
	return record(22, tls.VersionTLS10, message)
}

func record(kind byte, version uint16, body []byte) []byte {
	out := binary.BigEndian.AppendUint16([]byte{kind}, version)
	return append(binary.BigEndian.AppendUint16(out, uint16(len(body))), body...)
}

// answered sends bytes and returns what comes back until the server has said
// hello or closed. It is "" for a close, "alert 112" for an alert, else the
// names of the certificate.
func answered(t *testing.T, at string, send []byte) string {
	t.Helper()
	conn := dial(t, at)
	go func() { _, _ = conn.Write(send) }()
	var head [5]byte
	var flight []byte
	for {
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return ""
		}
		body := make([]byte, binary.BigEndian.Uint16(head[3:]))
		if _, err := io.ReadFull(conn, body); err != nil {
			t.Fatalf("record of type %d: %v", head[0], err)
		}
		if head[0] == 21 {
			return tls.AlertError(body[1]).Error()
		}
		flight = append(flight, body...)
		for _, name := range []string{"exact.test", "*.wild.test", "any.test"} {
			if bytes.Contains(flight, []byte(name)) {
				_ = conn.Close()
				return name
			}
		}
	}
}

// threeListeners are by exact name, wildcard and no name at all.
func threeListeners(t *testing.T) string {
	t.Helper()
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	apply(t, srv, httpsListener("exact", "exact.test", "exact"), ca.secret("exact", "exact.test"),
		httpsListener("wild", "*.wild.test", "wild"), ca.secret("wild", "*.wild.test"),
		httpsListener("any", "", "any"), ca.secret("any", "any.test"))
	return addr(t, srv, 443)
}

const (
	decodeError  = "tls: error decoding message"
	unrecognized = "tls: unrecognized name"
)

func TestHello_ServerNames(t *testing.T) {
	at := threeListeners(t)
	twoEntries := newHello()
	twoEntries.exts = append(twoEntries.exts, extension{0, serverNameList("exact.test", "any.test")})
	for row, c := range map[string]struct {
		hello *hello
		want  string
	}{
		"TL-006 none":                {newHello(), "any.test"},
		"TL-006 empty":               {newHello(""), decodeError},
		"TL-006 address":             {newHello("127.0.0.1"), "any.test"},
		"TL-006 trailing dot":        {newHello("exact.test."), decodeError},
		"TL-006 capitals":            {newHello("EXact.TEST"), "exact.test"},
		"TL-006 255 bytes":           {newHello(strings.Repeat("a.", 123) + "wild.test"), "*.wild.test"},
		"TL-006 10,000 bytes":        {newHello(strings.Repeat("a.", 5000) + "wild.test"), "*.wild.test"},
		"TL-006 60,000 bytes":        {newHello(strings.Repeat("a.", 30000) + "wild.test"), "tls: record overflow"},
		"TL-006 NUL behind the name": {newHello("exact.test\x00.evil.test"), "any.test"},
		"TL-006 NUL at the end":      {newHello("exact.test\x00"), "any.test"},
		"TL-006 non-ASCII":           {newHello("ex\u00e4ct.test"), "any.test"},
		"TL-006 Kelvin sign":         {newHello("\u212a.wild.test"), "*.wild.test"},
		"TL-006 two entries":         {twoEntries, decodeError},
		"TL-006 two extensions":      {newHello("exact.test", "any.test"), decodeError},
		"TL-008 wildcard":            {newHello("a.wild.test"), "*.wild.test"},
		"TL-008 many labels":         {newHello("a.b.c.wild.test"), "*.wild.test"},
		"TL-008 bare domain":         {newHello("wild.test"), "any.test"},
		"TL-008 no label":            {newHello(".wild.test"), "any.test"},
		"TL-008 the wildcard itself": {newHello("*.wild.test"), "*.wild.test"},
		"TL-011 ECH and GREASE":      {newHello("exact.test"), "exact.test"}, // newHello has both
	} {
		t.Run(row, func(t *testing.T) {
			if got := answered(t, at, c.hello.bytes()); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestHello_Records is what comes before, beside or instead of a hello.
func TestHello_Records(t *testing.T) {
	at := threeListeners(t)
	good := newHello("exact.test").bytes()
	version := func(v uint16) []byte { return record(22, v, good[5:]) }
	var cut []byte
	for _, b := range good[5:] {
		cut = append(cut, record(22, tls.VersionTLS10, []byte{b})...)
	}
	scsv, old := newHello("exact.test"), newHello("exact.test")
	scsv.version, scsv.ciphers = tls.VersionTLS11, append(scsv.ciphers, tls.TLS_FALLBACK_SCSV)
	old.version, old.exts = tls.VersionTLS11, slices.DeleteFunc(old.exts, func(e extension) bool { return e.kind == 43 })
	scsv.exts = old.exts
	weak := newHello("exact.test")
	weak.ciphers = []uint16{tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA, 0x0003, 0x0000} // among them export and NULL
	static := newHello("exact.test")
	static.ciphers = []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	warning := record(21, tls.VersionTLS10, []byte{1, 90})
	for row, c := range map[string]struct {
		send []byte
		want string
	}{
		"TL-001 whole":               {good, "exact.test"},
		"TL-002 one byte per record": {cut, "exact.test"},
		"TL-003 16 MiB announced":    {[]byte{22, 3, 1, 0, 9, 1, 0xff, 0xff, 0xff, 3, 3, 0, 0, 0}, "tls: internal error"},
		"TL-004 record of TLS 1.0":   {version(tls.VersionTLS10), "exact.test"},
		"TL-004 record of TLS 1.2":   {version(tls.VersionTLS12), "exact.test"},
		"TL-004 record of TLS 1.3":   {version(tls.VersionTLS13), "exact.test"},
		"TL-004 empty records":       {bytes.Repeat(record(22, tls.VersionTLS10, nil), 100), "tls: unexpected message"},
		"TL-004 ChangeCipherSpec":    {record(20, tls.VersionTLS10, []byte{1}), ""},
		"TL-004 application data":    {record(23, tls.VersionTLS10, []byte("GET /")), ""},
		"TL-004 fatal alert":         {append(record(21, tls.VersionTLS10, []byte{2, 40}), good...), ""},
		"TL-004 SSL 2":               {[]byte{0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, 1, 0, 0x80}, "tls: protocol version not supported"},
		"TL-017 TLS 1.1":             {old.bytes(), "tls: protocol version not supported"},
		"TL-017 FALLBACK_SCSV":       {scsv.bytes(), "tls: protocol version not supported"},
		"TL-017 RC4, 3DES, export":   {weak.bytes(), "tls: handshake failure"},
		"TL-017 static RSA and CBC":  {static.bytes(), "tls: handshake failure"},
		"TL-019 a few warnings":      {append(bytes.Repeat(warning, 3), good...), "exact.test"},
		"TL-019 warnings":            {append(bytes.Repeat(warning, 100), good...), "tls: unexpected message"},
	} {
		t.Run(row, func(t *testing.T) {
			if got := answered(t, at, c.send); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestHello_OneMeaningOfAName is rows TL-007, TL-009, TL-010 and TL-034: no way
// to write a server name or host leads a client past what its listener demands.
// Who has shaken hands with one listener gets nothing of another.
func TestHello_OneMeaningOfAName(t *testing.T) {
	ca, clients := newAuthority(t), newAuthority(t)
	srv, _ := start(t, Options{})
	strict, open, wild := httpsListener("strict", "strict.test", "s"), httpsListener("open", "", "s"), httpsListener("wild", "*.strict.test", "s")
	strict.TLS.ClientValidation = &ir.ClientValidation{CAs: []string{"ca"}}
	wild.TLS.ClientValidation = strict.TLS.ClientValidation
	resources := []ir.Resource{strict, open, wild, ca.secret("s", "strict.test"), &ir.Secret{Name: "ca", CA: clients.PEM()}}
	for _, l := range []*ir.Listener{strict, open, wild} {
		r := answer(l, 200, l.Name)
		r.Name = l.Name
		resources = append(resources, r)
	}
	apply(t, srv, resources...)
	at := addr(t, srv, 443)
	for row, c := range map[string]struct {
		sni, host string
		want      int // 0: no handshake
	}{
		"TL-007 its own name":     {"strict.test", "strict.test", 0},
		"TL-007 capitals":         {"STRICT.test", "strict.test", 0},
		"TL-007 port":             {"strict.test:1", "strict.test", 0},
		"TL-007 dot and port":     {"strict.test.:1", "strict.test", 0},
		"TL-007 empty port":       {"strict.test:", "strict.test", 0},
		"TL-007 wildcard, port":   {"A.Strict.test:1", "a.strict.test", 0},
		"TL-007 wildcard":         {"A.Strict.TEST", "a.strict.test", 0},
		"TL-009 no name":          {"", "strict.test", 421},
		"TL-009 another name":     {"x.test", "strict.test", 421},
		"TL-009 host in capitals": {"x.test", "STRICT.test", 421},
		"TL-009 host with dot":    {"x.test", "strict.test.", 421},
		"TL-009 host with port":   {"x.test", "strict.test:443", 421},
		"TL-009 wildcard":         {"x.test", "A.Strict.test.", 421},
		"TL-010 same listener":    {"x.test", "y.test", 200},
	} {
		t.Run(row, func(t *testing.T) {
			for name, set := range map[string]func(*http.Protocols){"HTTP1": http1, "HTTP2": func(p *http.Protocols) { p.SetHTTP2(true) }} {
				config := &tls.Config{InsecureSkipVerify: true, ServerName: c.sni, MinVersion: tls.VersionTLS12}
				cl := client(t, config, at, set)
				first, status := "y.test", 0
				if c.want == 0 {
					first = c.host
				}
				for _, host := range []string{first, c.host} { // on one connection
					got, err := askHost(t, cl, at, host)
					if err != nil && c.want != 0 {
						t.Fatalf("%s: %v", name, err)
					}
					status = got
				}
				if status != c.want {
					t.Errorf("%s: status %d, want %d", name, status, c.want)
				}
			}
		})
	}
}

// askHost asks for a host on a connection that need not be made for it.
func askHost(t *testing.T, c *http.Transport, at, host string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+at+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	resp, err := c.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func TestHello_ALPN(t *testing.T) {
	ca := newAuthority(t)
	srv, _ := start(t, Options{})
	l := httpsListener("l", "a.test", "s")
	apply(t, srv, l, answer(l, 200, "yes"), ca.secret("s", "a.test"))
	at := addr(t, srv, 443)
	const none = "tls: no application protocol"
	const http11, preface = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	for row, c := range map[string]struct {
		offer      []string
		say        string
		err, reply string // what the answer begins with
		not        string // what it must not have
	}{
		"TL-012 none":                {nil, http11, "", "HTTP/1.1 200 ", ""},
		"TL-012 http/1.1":            {[]string{"http/1.1"}, http11, "", "HTTP/1.1 200 ", ""},
		"TL-012 unknown beside":      {[]string{"smtp", "http/1.1"}, http11, "", "HTTP/1.1 200 ", ""},
		"TL-012 unknown":             {[]string{"smtp"}, http11, none, "", ""},
		"TL-012 http/1.0":            {[]string{"http/1.0"}, http11, none, "", ""},
		"TL-012 60,000 bytes":        {slices.Repeat([]string{strings.Repeat("x", 250)}, 240), http11, none, "", ""},
		"TL-013 h2, speaks HTTP/1.1": {[]string{"h2"}, http11, "", "", "HTTP/1.1"},
		"TL-013 1.1, speaks HTTP/2":  {[]string{"http/1.1"}, preface, "", "HTTP/1.1 ", "\x00\x00\x00\x04\x01"},
		"TL-013 none, speaks HTTP/2": {nil, preface, "", "HTTP/1.1 ", "\x00\x00\x00\x04\x01"},
		"TL-014 acme-tls/1":          {[]string{"acme-tls/1"}, http11, none, "", ""},
	} {
		t.Run(row, func(t *testing.T) {
			config := clientTLS(ca)
			config.ServerName, config.NextProtos = "a.test", c.offer
			conn := tls.Client(dial(t, at), config)
			err := conn.HandshakeContext(t.Context())
			if alert, _ := errors.AsType[*net.OpError](err); c.err != "" {
				if alert == nil || alert.Err.Error() != c.err {
					t.Errorf("got %v, want %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.WriteString(conn, c.say)
			got, err := io.ReadAll(conn)
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				t.Error("the connection stays open")
			}
			if !strings.HasPrefix(string(got), c.reply) || c.not != "" && strings.Contains(string(got), c.not) {
				t.Errorf("got %q", got)
			}
		})
	}
}
