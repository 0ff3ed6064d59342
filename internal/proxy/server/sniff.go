package server

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/capture"
)

// preface is what an HTTP/2 client with prior knowledge begins with.
const preface = capture.Preface

// sniffSize is how much sniff reads at most: a small request's head.
const sniffSize = 2 << 10

// sniff reads from a cleartext client until it is clear whether it speaks
// HTTP/2. head is all that was read. idle limits the wait for the first byte,
// header that for the rest of a preface.
func sniff(conn net.Conn, idle, header time.Duration) (head []byte, http2 bool, err error) {
	head = make([]byte, 0, sniffSize)
	until := time.Now().Add(idle)
	for {
		if err := conn.SetReadDeadline(until); err != nil {
			return nil, false, fmt.Errorf("arm the header timeout: %w", err)
		}
		n, err := conn.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
		switch {
		case strings.HasPrefix(string(head), preface):
			return head, true, conn.SetReadDeadline(time.Time{})
		case !strings.HasPrefix(preface, string(head)):
			return head, false, conn.SetReadDeadline(time.Time{})
		case err != nil:
			return nil, false, err
		}
		if len(head) == n { // the first ones: the rest has its time as a whole
			until = time.Now().Add(header)
		}
	}
}

// headConn is a connection of which head was already read.
type headConn struct {
	net.Conn
	head []byte
}

// Read implements net.Conn.
func (c *headConn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
