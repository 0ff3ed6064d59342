package h1

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestForward(t *testing.T) {
	tests := map[string]struct{ request, response, backend, client string }{
		"Get": {
			request:  "GET /a?b=c HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nConnection: close\r\n\r\n",
			response: "HTTP/1.1 200 OK\r\nX-B: 2\r\nContent-Length: 2\r\n\r\nok",
			backend:  "GET /a?b=c HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n",
			client:   "HTTP/1.1 200 OK\r\nX-B: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
		},
		"Post": {
			request:  "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
			response: "HTTP/1.1 201 Fine\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1\r\n!\r\n0\r\n\r\n",
			backend:  "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello",
			client:   "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nok!\r\n0\r\n\r\n",
		},
		"Chunked": {
			request:  "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			response: okResponse,
			backend:  "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			client:   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
		},
		"Head": {
			request:  "HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
			response: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
			backend:  "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
			client:   "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, answering(test.response), nil)
			got := b.roundTrip(t, test.request, 0, false)
			if diff := cmp.Diff(test.client, got); diff != "" {
				t.Errorf("client (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.backend, b.backend.bytes()); diff != "" {
				t.Errorf("backend (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLargeBodies(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 64<<10)
	b := newBed(t, func(c *recorded) {
		if c.awaitRequests(1) {
			send(c, "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n"+big, 0)
		}
	}, nil)
	got := b.roundTrip(t, "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 1048576\r\n\r\n"+big, 0, false)
	want := "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\nConnection: close\r\n\r\n" + big
	if got != want {
		t.Errorf("client got %d bytes, want %d", len(got), len(want))
	}
	want = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n" + big
	if got := b.backend.bytes(); got != want {
		t.Errorf("backend got %d bytes, want %d", len(got), len(want))
	}
}
