package h1

import (
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// sender writes a request body anew in our own framing.
type sender struct {
	body    exchange.Body
	trailer *exchange.Header
	chunked bool
	left    int64 // of a body that is not chunked
	ended   bool
}

func newSender(q *exchange.Request) sender {
	s := sender{body: q.Body, trailer: &q.Trailer, left: q.ContentLength, chunked: q.ContentLength == exchange.Unknown}
	s.ended = q.Body == nil || q.ContentLength == 0
	return s
}

// fill appends to out, within its capacity, what the body has without waiting,
// or what comes first where wait is set.
func (s *sender) fill(out []byte, wait bool) ([]byte, error) {
	for !s.ended {
		before := 0
		if s.chunked {
			before = chunkHead
		}
		p := out[:cap(out)][min(len(out)+before, cap(out)):]
		p = p[:max(len(p)-chunkTail, 0)]
		if len(p) < minRead || !wait && s.body.Buffered() == 0 {
			return out, nil
		}
		wait = false
		n, err := s.body.Read(p)
		if s.chunked {
			out = appendChunk(out, n)
		} else {
			n = int(min(int64(n), s.left))
			out = out[:len(out)+n]
			s.left -= int64(n)
		}
		s.ended = err == io.EOF && s.chunked || !s.chunked && s.left == 0
		switch {
		case s.ended && s.chunked:
			out = append(appendTrailer(append(out, "0\r\n"...), s.trailer), "\r\n"...)
		case s.ended:
		case err == io.EOF:
			return out, io.ErrUnexpectedEOF
		case err != nil:
			return out, err
		}
	}
	return out, nil
}

// upload sends the rest of a request body on its own goroutine, so that the
// response may come at any time.
type upload struct {
	sender
	link    *link
	timeout time.Duration
	// last is set when only the final write is outstanding.
	last atomic.Bool
	// failed is why the body could not be read.
	failed atomic.Pointer[error]
	// What follows is valid when done is closed.
	whole    bool // everything was sent
	panicked any  // what it panicked with, and where
	done     chan struct{}
}

func (u *upstream) startUpload(s sender) {
	up := &upload{sender: s, link: &u.link, timeout: u.transport.opt.WriteTimeout, done: make(chan struct{})}
	u.upload = up
	go up.run()
}

func (up *upload) run() {
	defer close(up.done)
	defer func() {
		if v := recover(); v != nil {
			up.panicked = fmt.Sprintf("%v\n%s", v, debug.Stack())
			up.link.reset()
		}
	}()
	mem := largeBuffers.Get().(*[largeBuffer]byte)
	defer largeBuffers.Put(mem)
	for !up.ended {
		out, err := up.fill(mem[:0], true)
		if err != nil {
			// Not a byte more, and no proper end: the backend must not take
			// the body for complete.
			up.failed.Store(&err)
			up.link.reset()
			return
		}
		up.last.Store(up.ended)
		if up.link.write(out, up.timeout) != nil {
			return // the backend may have answered all the same
		}
	}
	up.whole = true
}

func (up *upload) clientError() error {
	if err := up.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// join waits for the end of the upload and says whether everything was sent. A
// body that is still arriving when the response is over is given up, with both
// connections. It panics with what the upload has panicked with: that is to end
// the connection of the client, and not the process.
func (up *upload) join(u *upstream) bool {
	whole := up.finish(u)
	select {
	case <-up.done:
		if up.panicked != nil {
			panic(up.panicked)
		}
	default:
	}
	return whole
}

func (up *upload) finish(u *upstream) bool {
	select {
	case <-up.done:
		return up.whole
	default:
	}
	if up.last.Load() {
		// The backend has most likely got the last byte: it did answer.
		select {
		case <-up.done:
			return up.whole
		case <-time.After(100 * time.Millisecond):
		}
	}
	stopper, ok := u.client.(exchange.BodyStopper)
	if ok {
		stopper.StopBody()
	}
	u.link.reset()
	if ok {
		<-up.done
	}
	return false
}

// appendRequest writes a request head. It says whether that is sound.
func appendRequest(b []byte, q *exchange.Request, expect bool) ([]byte, bool) {
	b = append(append(append(b, q.Method...), ' '), q.Path...)
	if q.HasQuery {
		b = append(append(b, '?'), q.Query...)
	}
	target := b
	b = append(append(append(b, " HTTP/1.1\r\nHost: "...), q.Authority...), "\r\n"...)
	b, lines, _ := appendFields(b, &q.Header)
	lines += 3 // request line, Host, empty line
	switch {
	case q.Upgrade != "":
		b = append(append(append(b, "Connection: Upgrade\r\nUpgrade: "...), q.Upgrade...), "\r\n"...)
		lines += 2
	case q.Body != nil && q.ContentLength == exchange.Unknown:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
		lines++
	case q.Body != nil && q.ContentLength > 0 || q.Method == "POST" || q.Method == "PUT" || q.Method == "PATCH":
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, max(q.ContentLength, 0), 10), "\r\n"...)
		lines++
	}
	if expect {
		b = append(b, "Expect: 100-continue\r\n"...)
		lines++
	}
	b = append(b, "\r\n"...)
	return b, sound(b, lines) && isToken(q.Method) && soundTarget(target[len(q.Method)+1:])
}

// soundTarget says whether a target keeps the request line in three parts.
func soundTarget(target []byte) bool {
	for _, c := range target {
		if charClass[c]&classTarget == 0 {
			return false
		}
	}
	return len(target) > 0 && (target[0] == '/' || string(target) == "*")
}
