// Package expiry tells until when the certificates of a configuration are
// valid. It knows no clock: who asks has one.
//
// The package must not import k8s.io or sigs.k8s.io.
package expiry
