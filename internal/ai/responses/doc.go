// Package responses is the client half of OpenAI's Responses protocol, for
// text, tools, reasoning and streams: what clients send us and get from us when
// the provider speaks another protocol. Nothing is stored between requests, so
// a request must carry its whole conversation.
//
//	Parse ──> chat.Request      Encode, Encoder <── chat.Response, chat.Event
//
// Source: https://platform.openai.com/docs/api-reference/responses. The package
// imports the standard library and the packages chat, openai and sse only.
package responses
