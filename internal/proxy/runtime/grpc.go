package runtime

import (
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// isGRPC says whether the client speaks gRPC, which takes what a call came to
// from grpc-status: gRPC over HTTP/2, "Requests". gRPC-Web is something else.
func isGRPC(req *exchange.Request) bool {
	if req.Proto != exchange.HTTP2 {
		return false
	}
	kind, _ := req.Header.Get("Content-Type")
	const name = "application/grpc"
	if len(kind) < len(name) || !exchange.EqualFold(kind[:len(name)], name) {
		return false
	}
	return len(kind) == len(name) || strings.IndexByte("+; ", kind[len(name)]) >= 0
}

// writeGRPC makes an answer of the proxy's own with this HTTP status one for a
// gRPC client: "Trailers-Only", which has no body. The record keeps the HTTP
// status, which says more.
func (st *state) writeGRPC(ex *exchange.Exchange, status int, text string) {
	resp := &ex.Response
	resp.Status, resp.Body, resp.ContentLength = 200, nil, 0
	resp.Header.Set("Content-Type", "application/grpc")
	resp.Header.Set("Grpc-Status", strconv.Itoa(grpcCode(status)))
	if text != "" {
		resp.Header.Set("Grpc-Message", percentEncoded(text))
	}
	st.own = status
}

// Codes of gRPC that the proxy answers with.
const (
	grpcUnknown          = 2
	grpcPermissionDenied = 7
	grpcUnimplemented    = 12
	grpcInternal         = 13
	grpcUnavailable      = 14
	grpcUnauthenticated  = 16
)

// grpcCode is what a gRPC client makes of an HTTP status by itself
// (http-grpc-status-mapping).
func grpcCode(status int) int {
	switch status {
	case 400:
		return grpcInternal
	case 401:
		return grpcUnauthenticated
	case 403:
		return grpcPermissionDenied
	case 404:
		return grpcUnimplemented
	case 429, 502, 503, 504:
		return grpcUnavailable
	}
	return grpcUnknown
}

// percentEncoded is text as grpc-message has it: bytes other than printable
// ASCII, and the percent sign, are escaped.
func percentEncoded(text string) string {
	const digits = "0123456789ABCDEF"
	var out strings.Builder
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '%' {
			out.Write([]byte{'%', digits[c>>4], digits[c&15]})
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}
