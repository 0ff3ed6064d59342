// Package capture finds out what a redirected connection is: where it was
// going, and what its client speaks.
//
// It imports no Kubernetes package.
package capture
