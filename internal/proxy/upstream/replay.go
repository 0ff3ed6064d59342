package upstream

import (
	"errors"
	"io"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// Replay is a body that was read into memory, as far as it fits, so that it
// can be sent more than once. It implements exchange.Body.
type Replay struct {
	head []byte
	pos  int
	rest exchange.Body // what did not fit; nil: head is all
}

// firstRead is how much memory a body gets on its word alone, in bytes. It gets
// more as it comes.
const firstRead = 64 << 10

// NewReplay reads at most limit bytes of body, and closes it where that was
// all. An error is one of the client.
func NewReplay(body exchange.Body, length int64, limit int) (*Replay, error) {
	r := new(Replay)
	if err := r.Fill(nil, body, length, limit); err != nil {
		return nil, err
	}
	return r, nil
}

// Fill makes r what NewReplay returns, in mem where that has room for a body of
// this length.
func (r *Replay) Fill(mem []byte, body exchange.Body, length int64, limit int) error {
	size := 4096
	if length >= 0 {
		size = int(min(length, int64(limit)))
	}
	if size = min(size, limit); cap(mem) <= min(size, firstRead) {
		mem = make([]byte, 0, min(size, firstRead)+1)
	}
	*r = Replay{head: mem[:0], rest: body}
	for len(r.head) <= limit {
		switch full := len(r.head) == cap(r.head); {
		case full && len(r.head) < size:
			r.head = append(make([]byte, 0, min(size, 4*len(r.head))+1), r.head...)
		case full:
			r.head = append(r.head, 0)[:len(r.head)]
		}
		n, err := body.Read(r.head[len(r.head):min(cap(r.head), limit+1)])
		r.head = r.head[:len(r.head)+n]
		if errors.Is(err, io.EOF) {
			r.rest = nil
			_ = body.Close() // the whole body is here
			return nil
		}
		if err != nil {
			return &exchange.Failure{Stage: exchange.StageClient, Err: err}
		}
	}
	return nil
}

// Whole says that the body fits: it can be rewound.
func (r *Replay) Whole() bool { return r.rest == nil }

// Rewind begins anew. It is only for a whole body.
func (r *Replay) Rewind() { r.pos = 0 }

// Bytes is what is in memory.
func (r *Replay) Bytes() []byte { return r.head }

// Copy returns a body of its own with the same bytes. It is only for a whole
// body.
func (r *Replay) Copy() *Replay { return &Replay{head: append([]byte(nil), r.head...)} }

// NewBody returns a body of these bytes, which it keeps.
func NewBody(b []byte) *Replay { return new(Replay).Hold(b) }

// Hold makes r a body of these bytes, which it keeps, and returns it.
func (r *Replay) Hold(b []byte) *Replay {
	*r = Replay{head: b}
	return r
}

// Read implements io.Reader.
func (r *Replay) Read(p []byte) (int, error) {
	if r.pos < len(r.head) {
		n := copy(p, r.head[r.pos:])
		r.pos += n
		return n, nil
	}
	if r.rest == nil {
		return 0, io.EOF
	}
	return r.rest.Read(p)
}

// Buffered implements exchange.Body.
func (r *Replay) Buffered() int {
	if n := len(r.head) - r.pos; n > 0 || r.rest == nil {
		return n
	}
	return r.rest.Buffered()
}

// Close implements exchange.Body.
func (r *Replay) Close() error {
	if r.rest != nil {
		return r.rest.Close()
	}
	return nil
}
