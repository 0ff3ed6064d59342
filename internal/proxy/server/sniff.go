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

// sniff reads from a cleartext client, whose first bytes may have been read, until
// it is clear whether it speaks HTTP/2. head is all that was read. idle limits the
// wait for the first byte, header that for the rest of a preface.
func sniff(conn net.Conn, first []byte, idle, header time.Duration) (head []byte, http2 bool, err error) {
	head = append(make([]byte, 0, sniffSize), first...)
	until, begun := time.Now().Add(idle), false
	for {
		switch {
		case strings.HasPrefix(string(head), preface):
			return head, true, conn.SetReadDeadline(time.Time{})
		case !strings.HasPrefix(preface, string(head)):
			return head, false, conn.SetReadDeadline(time.Time{})
		case err != nil:
			return nil, false, err
		case len(head) > 0 && !begun: // the rest has its time as a whole
			until, begun = time.Now().Add(header), true
		}
		if err := conn.SetReadDeadline(until); err != nil {
			return nil, false, fmt.Errorf("arm the header timeout: %w", err)
		}
		var n int
		n, err = conn.Read(head[len(head):cap(head)])
		head = head[:len(head)+n]
	}
}
