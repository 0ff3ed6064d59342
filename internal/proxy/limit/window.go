package limit

import (
	"math"
	"math/bits"
	"time"
)

// Window is the span of time that a counter covers: a minute, hour, day or
// month of the calendar in UTC.
//
// A day and a month begin anew. A minute and an hour slide: of what was used in
// the one before, the share still counts that lies less than a window ago, as
// if it had been used evenly. So a caller cannot use two windows' worth at
// once around their border, and nobody waits for the full hour.
type Window uint8

// The windows.
const (
	Minute Window = iota + 1
	Hour
	Day
	Month
)

// Span is one window of the calendar, in Unix seconds: Start is in it, End is
// not.
type Span struct{ Start, End int64 }

// At returns the window that now lies in.
func (w Window) At(now time.Time) Span {
	switch t := now.Unix(); w {
	case Minute, Hour, Day:
		length := w.seconds()
		start := t - t%length
		return Span{start, start + length}
	case Month:
	}
	year, month, _ := now.UTC().Date()
	return Span{
		time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).Unix(),
		time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC).Unix(),
	}
}

// seconds is the length of a window; 0 for a month, which has several.
func (w Window) seconds() int64 {
	switch w {
	case Minute:
		return 60
	case Hour:
		return 60 * 60
	case Day:
		return 24 * 60 * 60
	case Month:
	}
	return 0
}

// Slides says that the window before still counts in part.
func (w Window) Slides() bool { return w == Minute || w == Hour }

// Count is what has been used of a counter: in the current window and in the
// one before.
type Count struct{ Current, Previous int64 }

// Used is what counts of c at now; more than the limit where requests used more
// than they had reserved.
func (w Window) Used(c Count, now time.Time) int64 {
	if !w.Slides() || c.Previous <= 0 {
		return c.Current
	}
	left := w.left(now)
	return add(c.Current, ceil(c.Previous, int64(left), w.seconds()*int64(time.Second)))
}

// left is the rest of the window that now lies in.
func (w Window) left(now time.Time) time.Duration {
	return time.Unix(w.At(now).End, 0).Sub(now)
}

// Wait is how long it takes from now until no more than room is used, if
// nothing else happens.
func (w Window) Wait(c Count, room int64, now time.Time) time.Duration {
	left := w.left(now)
	switch {
	case w.Used(c, now) <= room:
		return 0
	case !w.Slides():
		return left
	}
	length := w.seconds() * int64(time.Second)
	if c.Current <= room { // enough of the window before will have gone
		return left - time.Duration(floor(room-c.Current, length, c.Previous))
	}
	return left + time.Duration(length-floor(max(room, 0), length, c.Current))
}

// Reset is how long it takes from now until nothing counts any more.
func (w Window) Reset(c Count, now time.Time) time.Duration {
	switch left := w.left(now); {
	case c.Current > 0 && w.Slides():
		return left + time.Duration(w.seconds())*time.Second
	case c.Current > 0, c.Previous > 0 && w.Slides():
		return left
	}
	return 0
}

// floor is a*b/c, rounded down, without overflow in between; a, b ≥ 0, c > 0.
func floor(a, b, c int64) int64 {
	q, _ := muldiv(a, b, c)
	return q
}

// ceil is a*b/c, rounded up.
func ceil(a, b, c int64) int64 {
	q, r := muldiv(a, b, c)
	if r > 0 {
		q = add(q, 1)
	}
	return q
}

func muldiv(a, b, c int64) (q int64, r uint64) {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi >= uint64(c) {
		return math.MaxInt64, 0
	}
	u, r := bits.Div64(hi, lo, uint64(c))
	return int64(min(u, math.MaxInt64)), r
}

// add is a+b, at most the greatest int64; a ≥ 0.
func add(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
