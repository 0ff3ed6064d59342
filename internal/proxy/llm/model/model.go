// Package model compares the names of models with patterns. It imports the
// standard library only.
package model

import "strings"

// Match says whether name fits pattern, in which "*" stands for any
// characters, also none. Case counts.
func Match(pattern, name string) bool {
	head, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == name
	}
	name, ok := strings.CutPrefix(name, head)
	if !ok {
		return false
	}
	for {
		part, after, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(name, part)
		}
		at := strings.Index(name, part)
		if at < 0 {
			return false
		}
		name, rest = name[at+len(part):], after
	}
}

// Specific says how closely a pattern describes a name: of two that fit, the
// one with the greater number is meant.
func Specific(pattern string) int {
	wild := strings.Count(pattern, "*")
	if wild == 0 {
		return 2*len(pattern) + 1 // an exact name before any pattern of its length
	}
	return 2 * (len(pattern) - wild)
}
