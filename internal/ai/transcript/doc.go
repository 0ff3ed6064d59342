// Package transcript puts down what was said in a request and in its answer, for
// a log: within bounds, and with what must not be in a log taken out. It uses
// the names and the form of OpenTelemetry's semantic conventions for generative
// AI: gen_ai.system_instructions, gen_ai.input.messages and
// gen_ai.output.messages.
//
//	request body ──────────┐
//	answer, or its stream ─┴─> messages ──redact──> JSON members
//
// It reads the bodies of every client protocol by their members alone, and
// leaves out what it does not know: what was said to the provider already is
// nothing to refuse here.
//
// It imports the standard library and packages of internal/ai.
package transcript
