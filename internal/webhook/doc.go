// Package webhook answers API servers that ask about objects before they keep
// them: it decodes the object, calls a pure package, and encodes its answer.
//
// It holds no client: what it answers follows from the request alone.
package webhook
