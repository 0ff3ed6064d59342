package h1

import (
	"sync"

	"github.com/citoroute/citoroute/internal/poison"
)

const (
	smallBuffer = 4 << 10
	largeBuffer = 32 << 10
)

// The pools hold pointers to arrays, so that putting one back allocates nothing.
var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// arena is memory that is given out piece by piece and taken back as a whole.
type arena struct {
	small []*[smallBuffer]byte
}

// lend returns n bytes or a little more.
func (a *arena) lend(n int) []byte {
	if n > smallBuffer {
		return make([]byte, n)
	}
	b := smallBuffers.Get().(*[smallBuffer]byte)
	a.small = append(a.small, b)
	return b[:]
}

func (a *arena) release() {
	for i, b := range a.small {
		poison.Bytes(b[:])
		smallBuffers.Put(b)
		a.small[i] = nil
	}
	a.small = a.small[:0]
}
