package balance

import (
	"math/bits"
	"sync/atomic"
)

// Weighted chooses among a few things by weight. The choices follow a
// low-discrepancy sequence (multiples of the golden ratio modulo 1): after n
// choices each share is off by O(log n / n), so shares are exact in the long
// run and close to it at once, for any weights. It is safe for concurrent use.
type Weighted struct {
	upTo  []uint64 // cumulative weights
	total uint64
	step  atomic.Uint64
	start uint64
}

// NewWeighted returns a chooser among len(weights) things. start is any
// number; different ones keep replicas from choosing in step.
func NewWeighted(weights []uint32, start uint64) *Weighted {
	w := &Weighted{upTo: make([]uint64, len(weights)), start: start}
	for i, n := range weights {
		w.total += uint64(n)
		w.upTo[i] = w.total
	}
	return w
}

// golden is 2^64 divided by the golden ratio.
const golden = 0x9E3779B97F4A7C15

// Pick returns an index, or -1 where the sum of the weights is 0.
func (w *Weighted) Pick() int {
	if w.total == 0 {
		return -1
	}
	if len(w.upTo) == 1 {
		return 0
	}
	at, _ := bits.Mul64(w.start+w.step.Add(1)*golden, w.total)
	for i, end := range w.upTo {
		if at < end {
			return i
		}
	}
	return -1
}
