package runtime

import (
	"errors"
	"math"
	"sync/atomic"

	"github.com/citoroute/citoroute/internal/proxy/exchange"
)

const (
	// bodyCost is how many bytes of memory a byte of an LLM request's body
	// takes: as it came, as it is understood, and as the provider gets it.
	bodyCost = 3
	// defaultMemory is what the bodies of LLM requests may take where nobody
	// says, in bytes.
	defaultMemory = 1 << 30
)

// memory bounds what the bodies of all LLM requests take at once.
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

// take says false, and takes nothing, where n more bytes are too many.
func (m *memory) take(n int64) bool {
	if m.used.Add(n) > m.limit {
		m.used.Add(-n)
		return false
	}
	return true
}

func (m *memory) give(n int64) { m.used.Add(-n) }

// errMemory ends the reading of a body that there is no memory for.
var errMemory = errors.New("no memory is left for the request body")

// meteredBody is the body of an LLM request while it is read into memory. It is
// charged for the bytes that come, not for those that are announced, so that a
// client that sends nothing keeps nobody out.
type meteredBody struct {
	exchange.Body
	st *state
}

// Read implements io.Reader.
func (b *meteredBody) Read(p []byte) (int, error) {
	n, err := b.Body.Read(p)
	cost := int64(n) * bodyCost
	if !b.st.rt.memory.take(cost) {
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

// fits says whether a body of that length can ever be taken, alone.
func (m *memory) fits(length int64) bool {
	return length < math.MaxInt64/bodyCost && length*bodyCost <= m.limit
}
