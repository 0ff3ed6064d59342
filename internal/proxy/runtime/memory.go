package runtime

import (
	"errors"
	"math"
	"sync/atomic"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

const (
	// bodyCost is how many bytes of memory a byte of a whole body takes, of an
	// LLM request or its answer: as it came, as it is understood, and as it goes
	// on.
	bodyCost = 3
	// defaultMemory is what these bodies may take where nobody says, in bytes.
	defaultMemory = 1 << 30
)

// memory bounds what the whole bodies of all LLM requests and their answers take
// at once.
type memory struct {
	limit int64 // bytes
	used  atomic.Int64
}

func newMemory(limit int64) *memory {
	if limit <= 0 {
		limit = defaultMemory
	}
	return &memory{limit: limit}
}

// forRequests is how much may be in use when a request takes some. The rest is
// left to answers: it is better to refuse a request than what was paid for.
func (m *memory) forRequests() int64 { return m.limit - m.limit/4 }

// take says false, and takes nothing, where n more bytes are more than most.
func (m *memory) take(n, most int64) bool {
	if m.used.Add(n) > most {
		m.used.Add(-n)
		return false
	}
	return true
}

func (m *memory) give(n int64) { m.used.Add(-n) }

// errMemory ends the reading of a body that there is no memory for.
var errMemory = errors.New("no memory is left for the body")

// meteredBody is a body while it is read into memory. It is charged for the
// bytes that come, not for those that are announced, so that who sends nothing
// keeps nobody out.
type meteredBody struct {
	exchange.Body
	st   *state
	most int64 // bytes that may be in use
	full bool  // there was no memory for it
	free bool  // what comes is kept no more
}

// Read implements io.Reader.
func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.Body.Read(p)
	if b.free {
		return n, err
	}
	cost := int64(n) * bodyCost
	if !b.st.rt.memory.take(cost, b.most) {
		b.full = true
		return 0, errMemory
	}
	b.st.held += cost
	return n, err
}

// release gives back what the bodies of the exchange took.
func (st *state) release() {
	st.rt.memory.give(st.held)
	st.held = 0
}

// fits says whether the body of a request of that length can ever be taken,
// alone.
func (m *memory) fits(length int64) bool {
	return length < math.MaxInt64/bodyCost && length*bodyCost <= m.forRequests()
}
