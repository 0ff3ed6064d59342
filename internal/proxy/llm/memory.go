package llm

import (
	"unsafe"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// Memory is what the bodies of one exchange are put into: fresh memory for each
// of them would drive everything else out of the processor's caches. Its zero
// value is ready. It may be used for the next exchange when [Memory.Keep] says
// so and this one has finished.
type Memory struct {
	request, wire, answer, reply []byte

	call     Call
	attempt  Attempt // the first one
	attempts int
}

// maxKept is the largest body whose memory is kept, in bytes.
const maxKept = 64 << 10

// Keep readies m for the next exchange. It says false for one whose memory must
// not be used again: of several attempts one might still have its own in hand.
func (m *Memory) Keep() bool {
	again := m.attempts <= 1
	if again {
		m.call.Reset()
		m.call.protocol, m.call.betas, m.call.memory = "", "", nil
	}
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

// Parse reads a request body into m: see the function of that name. There is one
// call at a time.
func (m *Memory) Parse(p ai.Protocol, body []byte, translate bool) (*Call, error) {
	c := &m.call
	c.protocol, c.memory = p, m
	if translate {
		return c, c.ReadToTranslate(p, body)
	}
	return c, c.Read(p, body)
}

// forAttempt returns what an attempt may use: the first one all of m.
func (m *Memory) forAttempt() *Memory {
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
