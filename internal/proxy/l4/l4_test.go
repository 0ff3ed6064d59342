package l4

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// timeout is how long a test waits for what must happen.
const timeout = 10 * time.Second

// hello is the first flight of a client, as records.
func hello(tb testing.TB, name string) []byte {
	tb.Helper()
	client, server := net.Pipe()
	defer func() { _ = client.Close() }()
	go func() {
		_ = tls.Client(client, &tls.Config{ServerName: name, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}).Handshake()
	}()
	head := make([]byte, 5)
	if _, err := io.ReadFull(server, head); err != nil {
		tb.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(head[3:]))
	if _, err := io.ReadFull(server, body); err != nil {
		tb.Fatal(err)
	}
	_ = server.Close()
	return append(head, body...)
}

// refragment cuts the handshake message of a record into records of n bytes.
func refragment(record []byte, n int) []byte {
	var out []byte
	for body := record[5:]; len(body) > 0; {
		part := body[:min(n, len(body))]
		body = body[len(part):]
		out = append(out, record[0], record[1], record[2], byte(len(part)>>8), byte(len(part)))
		out = append(out, part...)
	}
	return out
}

// feed returns a connection from which send comes in pieces of n bytes.
func feed(tb testing.TB, send []byte, n int) net.Conn {
	tb.Helper()
	client, server := net.Pipe()
	_ = server.SetDeadline(time.Now().Add(timeout))
	tb.Cleanup(func() { _ = server.Close() })
	go func() {
		defer func() { _ = client.Close() }()
		for rest := send; len(rest) > 0; {
			m, err := client.Write(rest[:min(n, len(rest))])
			if err != nil {
				return
			}
			rest = rest[m:]
		}
	}()
	return server
}

// TestServerName_HoweverTheHelloIsCut is TL-001 and TL-002.
func TestServerName_HoweverTheHelloIsCut(t *testing.T) {
	whole := hello(t, "A.Example.com")
	for name, c := range map[string]struct {
		send  []byte
		piece int
	}{
		"TL-001 Whole":              {whole, len(whole)},
		"TL-001 OneByteSegments":    {whole, 1},
		"TL-001 SevenByteSegments":  {whole, 7},
		"TL-002 OneByteRecords":     {refragment(whole, 1), 4096},
		"TL-002 FiveByteRecords":    {refragment(whole, 5), 4096},
		"TL-002 HundredByteRecords": {refragment(whole, 100), 33},
	} {
		t.Run(name, func(t *testing.T) {
			got, head, err := ServerName(feed(t, c.send, c.piece))
			if err != nil || got != "a.example.com" {
				t.Fatalf("got %q, %v", got, err)
			}
			if !bytes.HasPrefix(c.send, head) {
				t.Error("the head is not what the client sent")
			}
		})
	}
}

// TestServerName_GivesUp is TL-003, TL-004 and TL-005.
func TestServerName_GivesUp(t *testing.T) {
	whole := hello(t, "a.test")
	long := append([]byte{22, 3, 1, 0, 9, 1, 0xff, 0xff, 0xff}, make([]byte, 5)...) // says 16 MiB
	for name, send := range map[string][]byte{
		"TL-005 PlainHTTP":       []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
		"TL-003 CutOff":          whole[:len(whole)/2],
		"TL-003 LengthOf16MiB":   long,
		"TL-004 EmptyRecords":    bytes.Repeat([]byte{22, 3, 1, 0, 0}, 20000),
		"TL-003 EndlessRecords":  bytes.Repeat([]byte{22, 3, 1, 0, 1, 0}, 20000),
		"TL-004 AlertFirst":      append([]byte{21, 3, 1, 0, 2, 2, 40}, whole...),
		"TL-004 SSLv2":           {0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10},
		"TL-004 Nothing":         {},
		"TL-004 RandomLookalike": append([]byte{22, 3, 1, 2, 0}, make([]byte, 512)...),
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := ServerName(feed(t, send, 4096))
			if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestServerName_NoneIsEmpty(t *testing.T) {
	got, _, err := ServerName(feed(t, hello(t, "127.0.0.1"), 4096)) // an address is no server name
	if err != nil || got != "" {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzServerName(f *testing.F) {
	whole := hello(f, "a.test")
	f.Add(whole)
	f.Add(refragment(whole, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, head, err := ServerName(feed(t, b, 1<<16))
		if err == nil && !bytes.HasPrefix(b, head) {
			t.Error("the head is not what the client sent")
		}
	})
}

// pair is a TCP connection, both ends.
func pair(tb testing.TB) (client, server *net.TCPConn) {
	tb.Helper()
	ln, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	a, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", ln.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	for _, conn := range []net.Conn{a, b} {
		_ = conn.SetDeadline(time.Now().Add(timeout))
		tb.Cleanup(func() { _ = conn.Close() })
	}
	return a.(*net.TCPConn), b.(*net.TCPConn)
}

func TestJoin_HandsOnEachEnd(t *testing.T) {
	client, a := pair(t)
	b, backend := pair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		Join(a, b)
	}()
	_, _ = io.WriteString(client, "question")
	_ = client.CloseWrite()
	if got, err := io.ReadAll(backend); err != nil || string(got) != "question" {
		t.Fatalf("the backend got %q, %v", got, err)
	}
	_, _ = io.WriteString(backend, "answer") // the other direction is still open
	_ = backend.CloseWrite()
	if got, err := io.ReadAll(client); err != nil || string(got) != "answer" {
		t.Fatalf("the client got %q, %v", got, err)
	}
	select {
	case <-done:
	case <-time.After(timeout):
		t.Error("Join goes on after both ends")
	}
}

func TestJoin_CopiesMuch(t *testing.T) {
	client, a := pair(t)
	b, backend := pair(t)
	go Join(a, b)
	sent := make([]byte, 20<<20)
	for i := range sent {
		sent[i] = byte(i * i >> 7)
	}
	for name, ends := range map[string][2]*net.TCPConn{"Upload": {client, backend}, "Download": {backend, client}} {
		go func() {
			_, _ = ends[0].Write(sent)
			_ = ends[0].CloseWrite()
		}()
		if got, err := io.ReadAll(ends[1]); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%s: %d bytes of %d came, %v", name, len(got), len(sent), err)
		}
	}
}

// TestJoin_HoldsNoPipeInSilence is because a system lets each user have few
// pipes, and a sidecar's user is the same in all pods.
func TestJoin_HoldsNoPipeInSilence(t *testing.T) {
	descriptors := func() int {
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip(err)
		}
		return len(open)
	}
	client, a := pair(t)
	b, backend := pair(t)
	go Join(a, b)
	before := descriptors()
	for _, ends := range [][2]*net.TCPConn{{client, backend}, {backend, client}} {
		_, _ = io.WriteString(ends[0], "hello")
		if _, err := io.ReadFull(ends[1], make([]byte, 5)); err != nil {
			t.Fatal(err)
		}
	}
	if after := descriptors(); after != before {
		t.Errorf("%d descriptors, then %d", before, after)
	}
}

func TestJoin_ResetEndsBoth(t *testing.T) {
	client, a := pair(t)
	b, backend := pair(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		Join(a, b)
	}()
	_ = backend.SetLinger(0)
	_ = backend.Close()
	if _, err := client.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the client got %v, want an end", err)
	}
	_ = client.Close()
	select {
	case <-done:
	case <-time.After(timeout):
		t.Error("Join goes on after a reset")
	}
}
