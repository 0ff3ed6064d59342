// Package ai and the packages below it translate between LLM protocols. They
// are pure and streaming: bytes in, bytes out, with no HTTP server, no proxy
// types, no clock and no Kubernetes. They import the standard library and, for
// signing, the AWS SDK.
//
//	client protocol ──parse──> chat.Request ──build──> provider protocol
//	client protocol <─encode── chat.Event   <─decode── provider protocol
//
// Package chat is the model in the middle, so that every client protocol
// (OpenAI chat completions and responses, Anthropic messages) meets every
// provider (OpenAI, Anthropic, Bedrock) through one pair of functions each.
// Where both sides speak the same protocol nothing is translated: the bytes
// are forwarded, and only read for what must be counted.
package ai
