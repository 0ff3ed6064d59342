// Package bedrock is the provider half of Amazon Bedrock's Converse and
// ConverseStream operations: what Bedrock is sent, what it answers, and the
// signature that it asks for.
//
//	Build <── chat.Request      Decode, Decoder ──> chat.Response, chat.Event
//	Sign: AWS Signature Version 4 over the final request
//
// Source: https://docs.aws.amazon.com/bedrock/latest/APIReference. The package
// imports the standard library, AWS's signer and the packages chat, claude and
// eventstream only.
package bedrock
