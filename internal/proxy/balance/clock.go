package balance

import "time"

// started is a constant of the process.
var started = time.Now()

// nanos is t in nanoseconds since 1970, by a clock that nobody sets: what has to
// last for a second lasts that long also where the time of day changes meanwhile.
func nanos(t time.Time) int64 { return started.UnixNano() + int64(t.Sub(started)) }

// timeOf is the time of nanos.
func timeOf(at int64) time.Time { return started.Add(time.Duration(at - started.UnixNano())) }
