// Package llm stands between an exchange and the pure translators of
// internal/ai: it turns a client's request into the one that a provider gets,
// and the provider's answer into the client's.
//
//	exchange ──Parse──> Call ──Prepare──> exchange for the provider
//	exchange <─Answer── Attempt <──────── answer of the provider
//
// A request carries to a provider what the translation made, the provider's
// own credential and a few harmless fields: nothing by which a client could
// choose another key, account or host.
//
// This package must not import net/http and holds no connection.
package llm
