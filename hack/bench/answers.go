package main

import (
	"bytes"
	"fmt"
	"strings"
)

// Lengths of bodies, in bytes.
const (
	bodySize   = 600  // of each plain response
	promptSize = 1024 // of the user's message
	answerSize = 400  // of the model's text
)

// answers are the backend's responses: whole ones, made beforehand.
type answers struct{ plain, openAI, anthropic, bedrock []byte }

func newAnswers() answers {
	text := strings.Repeat("Gateways answer. ", answerSize/17)
	return answers{
		plain: response("text/plain", strings.Repeat("x", bodySize)),
		openAI: response("application/json", fmt.Sprintf(`{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,`+
			`"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":%q,"refusal":null},`+
			`"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":200,"completion_tokens":80,"total_tokens":280}}`, text)),
		anthropic: response("application/json", fmt.Sprintf(`{"id":"msg_1","type":"message","role":"assistant","model":"bench",`+
			`"content":[{"type":"text","text":%q}],"stop_reason":"end_turn","stop_sequence":null,`+
			`"usage":{"input_tokens":200,"output_tokens":80}}`, text)),
		bedrock: response("application/json", fmt.Sprintf(`{"output":{"message":{"role":"assistant","content":[{"text":%q}]}},`+
			`"stopReason":"end_turn","usage":{"inputTokens":200,"outputTokens":80,"totalTokens":280},"metrics":{"latencyMs":1}}`, text)),
	}
}

func response(kind, body string) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", kind, len(body), body)
}

// to returns the response to a request for path, by the API that it is of.
func (a answers) to(path []byte) []byte {
	switch {
	case bytes.HasSuffix(path, []byte("/chat/completions")):
		return a.openAI
	case bytes.HasSuffix(path, []byte("/messages")):
		return a.anthropic
	case bytes.HasSuffix(path, []byte("/converse")):
		return a.bedrock
	}
	return a.plain
}

// prompt is the body of a chat completions request.
func prompt(stream bool) string {
	question := strings.Repeat("What does a gateway do? ", promptSize/24)
	return fmt.Sprintf(`{"model":"bench","messages":[{"role":"system","content":"Be brief."},`+
		`{"role":"user","content":%q}],"max_tokens":256,"temperature":0.2,"stream":%t}`, question, stream)
}
