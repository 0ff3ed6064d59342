// Package router finds the rule of a request by the precedence of Gateway API.
//
//	hostname    exact, then wildcards by labels, then any
//	  path      exact (hash) > longest prefix (hash per segment) > regular expressions > "/"
//	    leaf    method > number of headers > number of query parameters
//	            > oldest route > namespace/name > order in the route
//
// When no rule of the most specific hostname fits, the next less specific one
// is tried. A lookup allocates nothing and costs O(labels + path segments +
// rules that differ only in what a leaf compares).
//
// Tables are persistent: [Table.Edit] makes a new one that shares whatever did
// not change, so replacing one route among many costs what its entries cost,
// and readers of the old table are not disturbed.
//
// # What is compared
//
// Hosts are compared without regard to case, port and one trailing dot. Paths
// are compared in the form that [CleanPath] gives them, which is also what is
// forwarded: route and backend see the same. The place of regular expressions
// is ours to choose; they go before the prefix "/", which says nothing of the
// path, so that a catch-all rule does not hide them.
//
// This package must not import net/http, nor know what its values mean.
package router
