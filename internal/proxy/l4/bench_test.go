package l4

import (
	"io"
	"net"
	"testing"
)

// joined returns the ends of two connections that are joined.
func joined(b *testing.B) (client, backend *net.TCPConn) {
	b.Helper()
	client, left := pair(b)
	right, backend := pair(b)
	go Join(left, right)
	return client, backend
}

// BenchmarkJoin_RoundTrip sends a little there and back.
func BenchmarkJoin_RoundTrip(b *testing.B) {
	client, backend := joined(b)
	go func() { _, _ = io.Copy(backend, backend) }()
	message := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Write(message); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, message); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkJoin_Download sends much one way.
func BenchmarkJoin_Download(b *testing.B) {
	client, backend := joined(b)
	piece := make([]byte, 1<<20)
	go func() {
		for {
			if _, err := backend.Write(piece); err != nil {
				return
			}
		}
	}()
	into := make([]byte, len(piece))
	b.SetBytes(int64(len(into)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.ReadFull(client, into); err != nil {
			b.Fatal(err)
		}
	}
}
