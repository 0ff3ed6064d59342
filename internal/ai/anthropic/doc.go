// Package anthropic is Anthropic's Messages protocol, both halves: what
// Anthropic is sent and answers, and what its clients send us and get from us.
//
//	Build  <── chat.Request      Decode, Decoder ──> chat.Response, chat.Event
//	Parse  ──> chat.Request      Encode, Encoder <── chat.Response, chat.Event
//
// Source: https://docs.anthropic.com/en/api/messages. The package imports the
// standard library and the packages chat, claude and sse only.
package anthropic
