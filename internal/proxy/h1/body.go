package h1

import (
	"io"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// window is the unread part of a connection's read buffer, buf[r:w]. What is
// below base belongs to the strings of the exchange and is not overwritten.
type window struct {
	buf        []byte
	base, r, w int
}

func (in *window) bytes() []byte { return in.buf[in.r:in.w] }
func (in *window) len() int      { return in.w - in.r }

// rewind makes the most of the space once everything is read.
func (in *window) rewind() {
	if in.r == in.w {
		in.r, in.w = in.base, in.base
	}
}

// framing is how the end of a body is known (RFC 9112 section 6.3).
type framing uint8

const (
	framedNone framing = iota
	framedLength
	framedChunked
	framedClose
)

// bodyReader reads a body of either direction out of a window.
type bodyReader struct {
	in *window
	// wait reads from the connection at least one byte.
	wait func(p []byte) (int, error)
	// room makes space in an empty window.
	room    func()
	framing framing
	left    int64 // with framedLength
	chunk   chunkDecoder
	trailer *exchange.Header
	err     error // what every further Read returns
	read    int64 // bytes returned so far
}

func (b *bodyReader) reset(f framing, length int64, trailer *exchange.Header) {
	b.framing, b.left, b.trailer, b.err, b.read = f, length, trailer, nil, 0
	if f == framedChunked {
		b.chunk.reset()
	}
}

// Read implements exchange.Body. The end comes along with the last bytes where
// it is already known.
func (b *bodyReader) Read(p []byte) (n int, err error) {
	for n == 0 && b.err == nil && len(p) > 0 {
		n = b.take(p)
		if n == 0 && b.err == nil {
			n = b.receive(p)
		}
	}
	b.read += int64(n)
	return n, b.err
}

// Buffered implements exchange.Body.
func (b *bodyReader) Buffered() int {
	if b.err != nil {
		return 0
	}
	switch b.framing {
	case framedLength:
		return int(min(int64(b.in.len()), b.left))
	case framedChunked:
		if b.step(); b.chunk.state == chunkData {
			return int(min(int64(b.in.len()), b.chunk.left))
		}
		return 0
	default:
		return b.in.len()
	}
}

// take copies what is in the window.
func (b *bodyReader) take(p []byte) (n int) {
	if b.framing == framedChunked {
		return b.takeChunked(p)
	}
	from := b.in.bytes()
	if b.framing == framedLength {
		from = from[:min(int64(len(from)), b.left)]
	}
	n = copy(p, from)
	b.in.r += n
	b.consumed(n)
	return n
}

// takeChunked joins the data of as many chunks as are there.
func (b *bodyReader) takeChunked(p []byte) (n int) {
	for {
		b.step()
		if b.err != nil || b.chunk.state != chunkData || n == len(p) {
			return n
		}
		from := b.in.bytes()
		m := copy(p[n:], from[:min(int64(len(from)), b.chunk.left)])
		if m == 0 {
			return n
		}
		b.in.r += m
		n += m
		b.consumed(m)
	}
}

// step reads framing up to the next data.
func (b *bodyReader) step() {
	used, err := b.chunk.step(b.in.bytes())
	b.in.r += used
	switch {
	case err != nil:
		b.err = err
	case b.chunk.state == chunkDone:
		b.chunk.trailer(b.trailer)
		b.err = io.EOF
	}
}

// consumed accounts for n bytes of data.
func (b *bodyReader) consumed(n int) {
	switch b.framing {
	case framedLength:
		if b.left -= int64(n); b.left == 0 {
			b.err = io.EOF
		}
	case framedChunked:
		if b.chunk.left -= int64(n); b.chunk.left == 0 && n > 0 {
			b.chunk.state = chunkDataCR
		}
	}
}

// receive waits for bytes: those that can only be data go right into p.
func (b *bodyReader) receive(p []byte) (n int) {
	limit := int64(len(p))
	switch {
	case b.framing == framedLength:
		limit = min(limit, b.left)
	case b.framing == framedChunked && b.chunk.state == chunkData:
		limit = min(limit, b.chunk.left)
	case b.framing == framedChunked:
		limit = 0
	}
	// A short wait into the window takes the framing after the data along.
	if limit > 0 && (b.framing != framedChunked || limit >= 2<<10) {
		n, err := b.wait(p[:limit])
		b.consumed(n)
		b.failed(err)
		return n
	}
	b.room()
	n, err := b.wait(b.in.buf[b.in.w:])
	b.in.w += n
	b.failed(err)
	return 0
}

// failed turns the end of the connection into the end of the body only where
// that is how the body is framed.
func (b *bodyReader) failed(err error) {
	switch {
	case err == nil || b.err != nil:
	case err == io.EOF && b.framing != framedClose:
		b.err = io.ErrUnexpectedEOF
	default:
		b.err = err
	}
}
