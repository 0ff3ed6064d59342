package limit

import "time"

// Key names a counter. It stays the same as long as what is counted does.
type Key struct {
	// Limit names the limit: see [Limit.ID].
	Limit string
	// Consumer and Route say whose counter it is; either may be empty.
	Consumer, Route string
}

// Charge is an amount that a request takes from a counter.
type Charge struct {
	Key    Key
	Window Window
	// Most is how much may be used within the window.
	Most int64
	// Amount is from 0 to Most.
	Amount int64
	// Start is the window that the amount was taken from, in Unix seconds; set
	// by Reserve.
	Start int64
	// Count is how the counter stood: after the charge where all were taken,
	// else without; set by Reserve.
	Count Count
}

// Change corrects a counter for what has been used.
type Change struct {
	Key    Key
	Window Window
	// Start is the window to correct, in Unix seconds. A window that no longer
	// counts is left alone.
	Start int64
	// Delta is added. A counter does not go below zero.
	Delta int64
}

// Store holds counters. Its methods are safe for concurrent use.
type Store interface {
	// Reserve takes every charge, or none: that is what it returns. It takes
	// them where each counter has room for its charge. An error says that the
	// counters could not be reached.
	Reserve(charges []Charge, now time.Time) (taken bool, err error)
	// Settle makes changes.
	Settle(changes []Change, now time.Time) error
}

// fits says whether a charge has room on a counter.
func (c *Charge) fits(now time.Time) bool {
	return add(c.Window.Used(c.Count, now), c.Amount) <= c.Most
}

// wait is how long it takes until the charge has room, if nothing else happens.
func (c *Charge) wait(now time.Time) time.Duration {
	return c.Window.Wait(c.Count, c.Most-c.Amount, now)
}
