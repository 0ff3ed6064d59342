package llm

import (
	"math/bits"
	"time"
)

// PaceBuckets is how many buckets a [Pace] has besides the last.
const PaceBuckets = 14

// finestPace is the upper bound of the first bucket of a Pace.
const finestPace = 10 * time.Millisecond

// Pace is how the pieces of a stream came: a histogram of the time from each to
// the next, in little memory however long the stream is. A piece is what came
// at once.
type Pace struct {
	// Counts are the times up to [PaceBound] of their index; the last are longer
	// than all of those.
	Counts [PaceBuckets + 1]uint32
	// Sum is all of the times together.
	Sum time.Duration

	last time.Time
}

// PaceBound is the upper bound of a bucket, included: 10 ms, doubling, by the
// semantic conventions for gen_ai.client.operation.time_per_output_chunk.
func PaceBound(bucket int) time.Duration { return finestPace << bucket }

// piece notes that a piece came at a time.
func (p *Pace) piece(at time.Time) {
	if !p.last.IsZero() {
		d := max(at.Sub(p.last), 0)
		bucket := bits.Len64(uint64(max(d-1, 0) / finestPace))
		p.Counts[min(bucket, PaceBuckets)]++
		p.Sum += d
	}
	p.last = at
}
