package h1

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// row is one input of the catalogue of hostile and odd HTTP/1.1 and what must
// come of it, on both sides of the gateway. See testdata/rows/README.md.
type row struct {
	name     string
	send     string
	client   string // exact answer, without Date
	data     string // with client, which is a head then: what the chunks after it hold
	refuse   int    // or: refused with this status
	backend  string // exact bytes the backend gets
	pieces   bool   // with aborted: the data may have been sent on before
	aborted  bool   // the backend gets at most that, and then a broken connection
	joined   string // or: a chunked request with this data and no trailer
	respond  string
	hangUp   bool // the backend closes after its response
	closed   bool // the gateway closes the backend's connection
	whole    bool // not cut into pieces: too long for that
	response bool // the response is cut, not the request
}

// TestH1 runs every row whole and cut into pieces of 1, 2 and 3 bytes.
func TestH1(t *testing.T) {
	rows := readRows(t)
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			for piece := range 4 {
				if r.whole && piece > 0 {
					break
				}
				t.Run(fmt.Sprintf("Pieces%d", piece), r.run(piece))
			}
		})
	}
	for name, test := range scenarios() {
		t.Run(name, test)
	}
}

func (r *row) run(piece int) func(t *testing.T) {
	return func(t *testing.T) {
		b := newBed(t, r.script, func(b *bed, _ *Options) {
			if r.response {
				b.backend.cut(piece)
			}
		})
		if r.response {
			piece = 0
		}
		got := b.roundTrip(t, r.send, piece, r.refuse == 0)
		want := r.client
		if r.refuse != 0 {
			want = refusal(r.refuse)
		}
		if r.data != "" {
			if rest, ok := strings.CutPrefix(got, want); ok {
				got, want = dechunked(rest), r.data
			}
		}
		if got != want {
			t.Errorf("client got  %q\nclient want %q", short(got), short(want))
		}
		r.checkBackend(t, b.backend)
	}
}

func (r *row) script(c *recorded) {
	for n := 1; c.awaitRequests(n); n++ {
		send(c, r.respond, c.piece)
		if r.hangUp {
			_ = c.CloseWrite()
			return
		}
	}
}

func (r *row) checkBackend(t *testing.T, b *recorder) {
	t.Helper()
	if r.backend != "" && !r.aborted {
		b.awaitBytes(len(r.backend))
	}
	if r.closed || r.aborted {
		for _, c := range b.all() {
			c.awaitEnd()
		}
	}
	if r.joined != "" {
		b.awaitEnding("0\r\n\r\n")
	}
	got := b.bytes()
	switch {
	case r.joined != "":
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		if strings.HasSuffix(head, "Transfer-Encoding: chunked") && dechunked(body) == r.joined {
			return
		}
	case r.pieces:
		if countRequests(got) == 0 && !strings.HasSuffix(got, "\r\n0\r\n\r\n") {
			return
		}
	case r.aborted:
		if strings.HasPrefix(r.backend, got) {
			return
		}
	case got == r.backend:
		return
	}
	t.Errorf("backend got  %q\nbackend want %q", short(got), short(r.backend))
}

// dechunked is the data of a chunked body as this package writes them: without
// extensions and trailers, to its very end.
func dechunked(s string) (data string) {
	for {
		size, rest, ok := strings.Cut(s, "\r\n")
		n, err := strconv.ParseUint(size, 16, 31)
		if !ok || err != nil || int(n)+2 > len(rest) || rest[n:n+2] != "\r\n" {
			return "malformed: " + s
		}
		data += rest[:n]
		if s = rest[n+2:]; n == 0 {
			return data + s
		}
	}
}

// refusal is the whole answer to a malformed request, without Date.
func refusal(status int) string {
	c := &serverConn{server: &Server{}}
	return undated(string(c.appendRefusal(nil, status)))
}

func short(s string) string {
	if len(s) > 600 {
		return fmt.Sprintf("%s… (%d bytes) …%s", s[:300], len(s), s[len(s)-100:])
	}
	return s
}

func readRows(t testing.TB) (rows []*row) {
	t.Helper()
	files, err := filepath.Glob("testdata/rows/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no rows", err)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		for n := 1; lines.Scan(); n++ {
			if rows, err = readLine(rows, lines.Text()); err != nil {
				t.Fatalf("%s:%d: %v", file, n, err)
			}
		}
		_ = f.Close()
	}
	return rows
}

func readLine(rows []*row, line string) ([]*row, error) {
	key, value, _ := strings.Cut(line, " ")
	if key == "" || key == "#" {
		return rows, nil
	}
	if key == "==" {
		return append(rows, &row{name: value, respond: okResponse}), nil
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%q before the first row", key)
	}
	r := rows[len(rows)-1]
	text, err := unescape(value)
	switch key {
	case ">":
		r.send += text
	case "<":
		r.client += text
	case "data":
		r.data = text
	case "!":
		r.refuse, err = strconv.Atoi(value)
	case "^":
		r.backend += text
	case "~":
		if !r.response {
			r.respond, r.response = "", true
		}
		r.respond += text
	case "aborted":
		r.aborted = true
		if value == "pieces" {
			r.pieces = true
		}
	case "joined":
		r.joined = text
	case "hangs-up":
		r.hangUp = true
	case "closed":
		r.closed = true
	case "whole":
		r.whole = true
	default:
		err = fmt.Errorf("unknown key %q", key)
	}
	return rows, err
}

var repetition = regexp.MustCompile(`\{([^{}]+)\*(\d+)\}`)

// unescape reads Go escapes, {text*n} for n times text and names of whole
// responses.
func unescape(s string) (string, error) {
	s = strings.NewReplacer(
		"{ok}", okResponse,
		"{ok close}", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
		"{none}", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"{502}", "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
		"{400 close}", "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
		"{400}", refusal(400),
	).Replace(s)
	s = strings.NewReplacer("\r", `\r`, "\n", `\n`, `"`, `\"`).Replace(s)
	text, err := strconv.Unquote(`"` + s + `"`)
	if err != nil {
		return "", fmt.Errorf("%w in %q", err, s)
	}
	return repetition.ReplaceAllStringFunc(text, func(m string) string {
		part := repetition.FindStringSubmatch(m)
		n, _ := strconv.Atoi(part[2])
		return strings.Repeat(part[1], n)
	}), nil
}

// awaitBytes waits until the connections together got n bytes.
func (r *recorder) awaitBytes(n int) {
	for limit := time.Now().Add(patience); len(r.bytes()) < n && time.Now().Before(limit); {
		for _, c := range r.all() {
			have := len(c.bytes())
			c.awaitChange(have)
		}
	}
}

// awaitEnding waits until the first connection got something that ends so.
func (r *recorder) awaitEnding(suffix string) {
	for limit := time.Now().Add(patience); !strings.HasSuffix(r.bytes(), suffix) && time.Now().Before(limit); {
		for _, c := range r.all() {
			c.awaitChange(len(c.bytes()))
		}
	}
}

// awaitChange waits briefly for more than n bytes.
func (c *recorded) awaitChange(n int) {
	timer := time.AfterFunc(10*time.Millisecond, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.change.Broadcast()
	})
	defer timer.Stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.got.Len() <= n && !c.ended {
		c.change.Wait()
	}
}

// CloseWrite ends the backend's sending direction.
func (c *recorded) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return io.ErrClosedPipe
}
