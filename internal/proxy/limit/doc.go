// Package limit keeps callers of LLM routes within what they may use: numbers
// of requests, tokens and money within windows of time.
//
// What a request will use is known only when it is over. So it takes what it
// may use beforehand, and gives back, or owes, the difference afterwards:
//
//	Request ──Reserve──> Store: every counter has room, or none is touched
//	actual  ──Settle───> Store: the difference, never below zero
//
// A counter can be overrun only by what requests use beyond their reservation,
// and only by those that were let in: see docs/limits.md.
//
// The package is pure but for its stores: time is an argument. [Memory] counts
// in this process; package limit/redis counts for several.
package limit
