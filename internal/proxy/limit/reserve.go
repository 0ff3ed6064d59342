package limit

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// Reservation is what a request has taken until it is over. The zero value is
// ready, and so is one after Settle.
type Reservation struct {
	charges []Charge
	limits  []*Limit // of charges
	groups  []group
	changes []Change
	lost    error
}

// group is the charges of one store.
type group struct {
	store Store
	end   int  // where the charges of the next group begin
	open  bool // requests pass while the store cannot be reached
	taken bool
}

// Refusal is why a request may not be put to a provider now.
type Refusal struct {
	// Limit is the one that has no room, for the longest time.
	Limit *Limit
	// RetryAfter is when it has, if nothing else happens; 0: never, because the
	// prompt alone is more than the limit allows.
	RetryAfter time.Duration
}

// Error names the limit.
func (r *Refusal) Error() string {
	if r.RetryAfter == 0 {
		return fmt.Sprintf("the request is larger than limit %s of policy %s", r.Limit.Name, r.Limit.Policy)
	}
	return fmt.Sprintf("limit %s of policy %s is used up", r.Limit.Name, r.Limit.Policy)
}

// Errors of Reserve besides a [*Refusal].
var (
	// ErrNoPrice says that a budget would have to count what has no price.
	ErrNoPrice = errors.New("a budget applies, and the price of this model is not known")
	// ErrStore says that counters cannot be reached.
	ErrStore = errors.New("the limits can not be checked")
)

// Reserve takes what a request may use from every counter of the policies that
// apply to it; or, with an error, from none. Settle must follow in both cases.
func (r *Reservation) Reserve(policies []*Policy, req *Request, now time.Time) error {
	for i, p := range policies {
		if slices.ContainsFunc(policies[:i], func(q *Policy) bool { return q.Store == p.Store }) {
			continue
		}
		g := group{store: p.Store, open: true}
		begin := len(r.charges)
		for _, q := range policies[i:] {
			if q.Store != p.Store {
				continue
			}
			before := len(r.charges)
			if err := r.add(q, req); err != nil {
				return err
			}
			g.open = g.open && (q.Open || len(r.charges) == before)
		}
		if g.end = len(r.charges); g.end > begin {
			r.groups = append(r.groups, g)
		}
	}
	return r.take(now)
}

// add notes what a request takes by the limits of one policy.
func (r *Reservation) add(p *Policy, req *Request) error {
	usage := req.Usage(p.MaxOutput)
	for i := range p.Limits {
		l := &p.Limits[i]
		if !l.applies(req) {
			continue
		}
		least, err := l.amount(req, chat.Usage{Prompt: usage.Prompt})
		if err != nil {
			return err
		}
		if least > l.Amount {
			return &Refusal{Limit: l}
		}
		amount, err := l.amount(req, usage)
		if err != nil {
			return err
		}
		r.limits = append(r.limits, l)
		r.charges = append(r.charges, Charge{
			Key: l.key(req), Window: l.Window, Most: l.Amount, Amount: min(amount, l.Amount),
		})
	}
	return nil
}

// amount is how much of the limit's unit a usage is.
func (l *Limit) amount(req *Request, u chat.Usage) (int64, error) {
	if l.Unit != Cost {
		return AmountsOf(u, 0)[l.Unit], nil
	}
	if cost, ok := req.Cost(u); ok {
		return cost, nil
	}
	return 0, ErrNoPrice
}

// take puts the charges to the stores, one after the other, and gives back
// what was taken where a later one refuses.
func (r *Reservation) take(now time.Time) error {
	begin := 0
	for i := range r.groups {
		g := &r.groups[i]
		charges := r.charges[begin:g.end]
		begin = g.end
		taken, err := g.store.Reserve(charges, now)
		g.taken = taken && err == nil
		switch {
		case g.taken:
		case err == nil:
			refusal := r.refusal(begin-len(charges), g.end, now)
			r.settle(Amounts{}, now)
			return refusal
		default:
			r.lost = err
			for j := range charges {
				charges[j].Start = 0 // nobody knows how it stands
			}
			if !g.open {
				r.settle(Amounts{}, now)
				return fmt.Errorf("%w: %w", ErrStore, err)
			}
		}
	}
	return nil
}

// refusal returns the charge that has to wait longest, of those from begin to end.
func (r *Reservation) refusal(begin, end int, now time.Time) *Refusal {
	out := &Refusal{Limit: r.limits[begin]}
	for i := begin; i < end; i++ {
		if wait := r.charges[i].wait(now); wait > out.RetryAfter {
			out.Limit, out.RetryAfter = r.limits[i], wait
		}
	}
	out.RetryAfter = max(out.RetryAfter, time.Second)
	return out
}

// Settle corrects what was taken to what was used, and forgets the
// reservation. What was not used goes back to the window that it was taken
// from; what was used beyond counts in the window of now. The error is why a
// store could not be reached, at that or by Reserve.
func (r *Reservation) Settle(used Amounts, now time.Time) error {
	r.settle(used, now)
	lost := r.lost
	clear(r.charges)
	clear(r.limits)
	clear(r.groups)
	clear(r.changes)
	*r = Reservation{charges: r.charges[:0], limits: r.limits[:0], groups: r.groups[:0], changes: r.changes[:0]}
	return lost
}

func (r *Reservation) settle(used Amounts, now time.Time) {
	begin := 0
	for i := range r.groups {
		g := &r.groups[i]
		first := begin
		if begin = g.end; !g.taken {
			continue
		}
		g.taken = false
		r.changes = r.changes[:0]
		for j := first; j < g.end; j++ {
			c := &r.charges[j]
			change := Change{Key: c.Key, Window: c.Window, Start: c.Start, Delta: max(used[r.limits[j].Unit], 0) - c.Amount}
			if change.Delta > 0 {
				change.Start = c.Window.At(now).Start
			}
			if change.Delta != 0 {
				r.changes = append(r.changes, change)
			}
		}
		if len(r.changes) == 0 {
			continue
		}
		if err := g.store.Settle(r.changes, now); err != nil {
			r.lost = err
		}
	}
}

// Taken says that the request has reserved something.
func (r *Reservation) Taken() bool {
	return slices.ContainsFunc(r.groups, func(g group) bool { return g.taken })
}

// Standing is how a limit stands after a request was let in or refused.
type Standing struct {
	Limit     *Limit
	Remaining int64
	// Reset is how long it takes until nothing is used, if nothing else happens.
	Reset time.Duration
}

// Standing returns the limit with the least left, of those that count one of
// these units; ok is false where there is none. It is known between Reserve and
// Settle.
func (r *Reservation) Standing(now time.Time, of ...Unit) (s Standing, ok bool) {
	for i := range r.charges {
		c, l := &r.charges[i], r.limits[i]
		if c.Start == 0 || !slices.Contains(of, l.Unit) {
			continue // a store that was not asked, or did not answer
		}
		left := max(c.Most-c.Window.Used(c.Count, now), 0)
		if !ok || left < s.Remaining {
			s, ok = Standing{Limit: l, Remaining: left, Reset: c.Window.Reset(c.Count, now)}, true
		}
	}
	return s, ok
}
