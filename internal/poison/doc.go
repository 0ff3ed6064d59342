// Package poison overwrites memory that is given back to be used again, so that
// a test sees it when something still refers to that. It does so in programs that
// are built with the tag poison (make poison), and costs nothing in others.
//
// It imports the standard library only.
package poison
