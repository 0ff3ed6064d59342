package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

// streamClient is a stream as the exchange.Client of its exchange.
type streamClient stream

// Interim implements exchange.Client.
func (c *streamClient) Interim(status int, fields *exchange.Header) error {
	if status < 102 || status > 199 {
		return fmt.Errorf("status %d is not an interim one", status)
	}
	h := c.w.Header()
	addTo(h, fields)
	c.w.WriteHeader(status)
	clear(h)
	return c.r.Context().Err()
}

// OnCancel implements exchange.Client.
func (c *streamClient) OnCancel(f func()) (stop func()) {
	done := make(chan struct{})
	unwatch := context.AfterFunc(c.r.Context(), func() {
		defer close(done)
		f()
	})
	return func() {
		if !unwatch() {
			<-done
		}
	}
}

// StopBody implements exchange.BodyStopper.
func (c *streamClient) StopBody() { _ = c.r.Body.Close() }

// errFinished is what a reader gets that comes after its exchange.
var errFinished = errors.New("the exchange has ended")

// requestBody is the body of a stream's request. A transport may still read
// it, on another goroutine, when the exchange has ended: then it gets an
// error, and touches the exchange no more.
type requestBody struct {
	stream *stream

	mu       sync.Mutex // held while reading
	received int64
	finished bool
}

// Read implements exchange.Body.
func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.finished {
		return 0, errFinished
	}
	st := b.stream
	stalled := time.AfterFunc(st.idle, func() { st.expire(st.control.SetReadDeadline) })
	n, err := st.r.Body.Read(p)
	stalled.Stop()
	b.received += int64(n)
	if errors.Is(err, io.EOF) {
		addTrailer(&st.ex.Request.Trailer, st.r.Trailer)
		st.r.Trailer = nil // a second EOF brings no second trailer
	}
	return n, err
}

// Buffered implements exchange.Body. The library does not say how much it
// holds.
func (b *requestBody) Buffered() int { return 0 }

// Close implements exchange.Body.
func (b *requestBody) Close() error {
	return b.stream.r.Body.Close()
}

// finish ends every Read, now and later, and returns the bytes received.
func (b *requestBody) finish() int64 {
	if b.stream == nil {
		return 0
	}
	_ = b.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finished = true
	return b.received
}
