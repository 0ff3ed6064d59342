package llm

import (
	"unsafe"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// Memory is what the bodies of one exchange are put into: fresh memory for each
// of them would drive everything else out of the processor's caches. Its zero
// value is ready. It may be used for the next exchange when [Memory.Keep] says
// so and this one has finished.
type Memory struct {
	request, wire, answer, reply []byte

	attempt  Attempt // the first one
	attempts int
}

// maxKept is the largest body whose memory is kept, in bytes.
const maxKept = 64 << 10

// Keep readies m for the next exchange. It says false for one whose memory must
// not be used again: of several attempts one might still have its own in hand.
func (m *Memory) Keep() bool {
	again := m.attempts <= 1
	m.attempt, m.attempts = Attempt{}, 0
	for _, b := range [...]*[]byte{&m.request, &m.wire, &m.answer, &m.reply} {
		if cap(*b) > maxKept {
			*b = nil
		}
	}
	return again
}

// Fill reads the body of a request into r: see [upstream.Replay.Fill].
func (m *Memory) Fill(r *upstream.Replay, body exchange.Body, length int64, limit int) error {
	if err := r.Fill(m.request, body, length, limit); err != nil {
		return err
	}
	m.hold(&m.request, r.Bytes())
	return nil
}

// forAttempt returns what an attempt may use: the first one all of m, which may
// be nil.
func (m *Memory) forAttempt() *Memory {
	if m == nil {
		return &Memory{}
	}
	if m.attempts++; m.attempts > 1 {
		return &Memory{}
	}
	return m
}

// hold keeps the memory of a body in place of that in to, unless it is one
// that is kept elsewhere, like that of a request which is relayed unchanged.
func (m *Memory) hold(to *[]byte, body []byte) {
	for _, b := range [...]*[]byte{&m.request, &m.wire, &m.answer, &m.reply} {
		if b != to && unsafe.SliceData(*b) == unsafe.SliceData(body) {
			return
		}
	}
	*to = body[:0]
}
