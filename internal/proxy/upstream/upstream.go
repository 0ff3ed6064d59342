// Package upstream keeps the clusters of a proxy.
package upstream

// Lease is the use of one endpoint by one attempt.
type Lease struct{}

// Done ends the use.
func (l *Lease) Done(failed bool) {}
