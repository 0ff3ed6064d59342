// Package mirror is the filter that decides which requests are copied to
// another backend. Sending the copy is the runtime's work.
package mirror

import (
	"fmt"
	"math/bits"
	"sync/atomic"

	"github.com/citoroute/citoroute/internal/ir"
)

// Filter picks a share of requests. It is safe for concurrent use.
type Filter struct {
	numerator, denominator uint64
	step                   atomic.Uint64
}

// New compiles cfg. A denominator of 0 means 100.
func New(cfg ir.Mirror) (*Filter, error) {
	if cfg.Denominator == 0 {
		cfg.Denominator = 100
	}
	if cfg.Numerator > cfg.Denominator {
		return nil, fmt.Errorf("share %d/%d is more than everything", cfg.Numerator, cfg.Denominator)
	}
	return &Filter{numerator: uint64(cfg.Numerator), denominator: uint64(cfg.Denominator)}, nil
}

// Wants says whether the next request is to be copied. The choices are spread
// evenly, and the share of them is exact in the long run.
func (f *Filter) Wants() bool {
	const golden = 0x9E3779B97F4A7C15 // 2^64 divided by the golden ratio
	at, _ := bits.Mul64(f.step.Add(1)*golden, f.denominator)
	return at < f.numerator
}
