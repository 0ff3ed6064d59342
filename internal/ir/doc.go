// Package ir is the intermediate representation: what a proxy must do, as
// plain structs with JSON tags. It is the one vocabulary shared by gateway,
// mesh and standalone mode, by the translator that writes it and by the data
// plane that runs it.
//
// A node's configuration is a set of named [Resource] values of a few types:
//
//	Listener ── bound by ──> Route ── forwards to ──> Backend ── resolves to ──> Endpoints
//	    │                      │                         │
//	    └── certificates ──────┴──── policies ───────────┴── credentials ──> Secret, Policy
//
// References between resources are by name only, so every resource can be
// sent, hashed and replaced by itself. An invalid rule is represented as a
// direct response, so the proxy has no notion of "invalid".
//
// This package imports the standard library only.
package ir
