// Package openai is OpenAI's chat completions protocol, both halves: what
// clients send us and get from us, and what OpenAI itself is sent and answers.
//
//	ParseChat  ──> chat.Request      EncodeChat, ChatEncoder <── chat.Response, chat.Event
//	BuildChat  <── chat.Request      DecodeChat, ChatDecoder ──> chat.Response, chat.Event
//	Edit: a request to OpenAI itself, byte for byte but for a few members
//
// Source: https://platform.openai.com/docs/api-reference/chat. The package
// imports the standard library and package chat only.
package openai
