// Package status computes the status of objects. [Compute] is pure: the old
// object, what translation found and what only the running system knows go in,
// the object with its new status comes out. Conditions start from defaults and
// findings override them; entries of other controllers are kept, and so is the
// transition time of a condition that did not change.
//
// The package must not import client-go, controller-runtime, a logger or the
// network, and must not ask for the time.
package status
