package llm

import (
	"sync"
	"unsafe"

	"github.com/citoroute/citoroute/internal/ai"
	"github.com/citoroute/citoroute/internal/poison"
	"github.com/citoroute/citoroute/internal/proxy/exchange"
	"github.com/citoroute/citoroute/internal/proxy/upstream"
)

// Memory is what the bodies of one exchange are put into: fresh memory for each
// of them would drive everything else out of the processor's caches. Its zero
// value is ready. It may be used for the next exchange when [Memory.Keep] says
// so and this one has finished.
type Memory struct {
	request, wire []byte
	late          *late // nil until there is an answer

	call     Call
	attempt  Attempt // the first one
	attempts int
}

// late is what an answer is put into. It is taken when that comes and not with the
// request: what another exchange has just given back is still in the caches.
type late struct{ answer, reply []byte }

// lates are those that nobody uses.
var lates = sync.Pool{New: func() any { return new(late) }}

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
	m.attempt = Attempt{}
	m.attempts = 0
	trim(&m.request, &m.wire)
	if again {
		poison.Bytes(m.request)
		poison.Bytes(m.wire)
	}
	if again && m.late != nil {
		poison.Bytes(m.late.answer)
		poison.Bytes(m.late.reply)
		trim(&m.late.answer, &m.late.reply)
		lates.Put(m.late)
	}
	m.late = nil
	return again
}

// trim drops memory that is too large to be kept.
func trim(all ...*[]byte) {
	for _, b := range all {
		if cap(*b) > maxKept {
			*b = nil
		}
	}
}

// forAnswer returns what an answer is put into.
func (m *Memory) forAnswer() *late {
	if m.late == nil {
		m.late = lates.Get().(*late) //nolint:forcetypeassert // the pool holds nothing else.
	}
	return m.late
}

// Fill reads the body of a request into r: see [upstream.Replay.Fill].
func (m *Memory) Fill(r *upstream.Replay, body exchange.Body, length int64, limit int) error {
	if err := r.Fill(m.request, body, length, limit); err != nil {
		return err
	}
	m.hold(&m.request, r.Bytes())
	return nil
}

// Parse reads a request body, which it keeps, into m, where there is one call at a
// time; translate says that its provider is likely to speak another protocol. The
// error is a *chat.Error.
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

// hold keeps the memory of a body in place of that in to, unless it is one that is
// kept elsewhere, like that of a request which is relayed unchanged.
func (m *Memory) hold(to *[]byte, body []byte) {
	kept := [...]*[]byte{&m.request, &m.wire, nil, nil}
	if m.late != nil {
		kept[2], kept[3] = &m.late.answer, &m.late.reply
	}
	for _, b := range kept {
		if b != nil && b != to && unsafe.SliceData(*b) == unsafe.SliceData(body) {
			return
		}
	}
	*to = body[:0]
}
