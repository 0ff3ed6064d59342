package exchange

// Lender may be implemented by a Client: memory for the time of one exchange,
// so that a Transport's strings can stay valid as long as the exchange's own.
type Lender interface {
	// Lend returns n bytes, not cleared, that are the borrower's until
	// Handler.Finish has returned.
	Lend(n int) []byte
}

// BodyStopper may be implemented by a Client whose Request.Body may be read on
// another goroutine than the one that serves the exchange.
type BodyStopper interface {
	// StopBody has a waiting Read of the Request.Body return an error, and every
	// later one. The client's connection cannot be kept afterwards unless the
	// body had ended.
	StopBody()
}
