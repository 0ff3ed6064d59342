package balance

import "sync/atomic"

// What a Budget allows.
const (
	// requestsPerExtra is how many requests earn one extra attempt: 20 %.
	requestsPerExtra = 5
	// reserve is how many extra attempts can be saved: what is in flight when a
	// backend fails can go elsewhere at once.
	reserve = 250
)

// Budget holds the attempts that are made beyond the first of a request to a
// fifth of the requests, so that a failure is not made worse by repeating
// everything. It begins with a reserve. The zero value is ready; it is safe for
// concurrent use.
type Budget struct {
	// spent is what has been taken and not earned again, in parts of an attempt
	// as many as requestsPerExtra.
	spent atomic.Int64
}

// Earn counts a request.
func (b *Budget) Earn() {
	for {
		spent := b.spent.Load()
		if spent == 0 || b.spent.CompareAndSwap(spent, spent-1) {
			return
		}
	}
}

// Spend takes one extra attempt, if there is one left.
func (b *Budget) Spend() bool {
	for {
		spent := b.spent.Load()
		if spent > (reserve-1)*requestsPerExtra {
			return false
		}
		if b.spent.CompareAndSwap(spent, spent+requestsPerExtra) {
			return true
		}
	}
}
