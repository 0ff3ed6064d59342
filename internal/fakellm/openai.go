package fakellm

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/sse"
)

// created is the time stamp of every answer: 2026-01-01T00:00:00Z.
const created = 1767225600

// openAI is the Chat Completions protocol.
type openAI struct{}

func (openAI) name() string { return "openai" }

func (openAI) read(r *http.Request, body []byte) (prompt, error) {
	if err := bearer(r); err != nil {
		return prompt{}, err
	}
	var req openAIRequest
	if err := decode(body, &req, "Unrecognized request argument supplied: %s"); err != nil {
		return prompt{}, err
	}
	p := prompt{model: req.Model, stream: req.Stream}
	if err := req.check(); err != nil {
		return p, err
	}
	req.tell(&p)
	return p, nil
}

// bearer checks the credential.
func bearer(r *http.Request) error {
	fields := r.Header.Values("Authorization")
	if len(fields) != 1 || fields[0] == "" {
		return failure{status: http.StatusUnauthorized, message: "You didn't provide an API key."}
	}
	if fields[0] != "Bearer "+OpenAIKey {
		return failure{status: http.StatusUnauthorized, message: "Incorrect API key provided.", code: "invalid_api_key"}
	}
	return nil
}

func (openAI) head(h http.Header, p prompt, a answer) {
	h.Set("X-Request-Id", "req_"+a.id)
	h.Set("Openai-Processing-Ms", "1")
	if p.stream {
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
	}
}

func (openAI) fail(w http.ResponseWriter, f failure) { writeFailure(w, f, openAIError(f)) }

// writeFailure answers with a failure, in the provider's form unless it is
// ordered to be plain.
func writeFailure(w http.ResponseWriter, f failure, form any) {
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.retryAfter))
	}
	if f.plain {
		http.Error(w, "upstream trouble: "+f.message, f.status)
		return
	}
	_ = writeJSON(w, f.status, form) // a client that left needs no answer
}

func openAIError(f failure) map[string]any {
	var code any
	if f.code != "" {
		code = f.code
	}
	return map[string]any{"error": map[string]any{"message": f.message, "type": openAIErrorType(f.status), "param": nil, "code": code}}
}

func openAIErrorType(status int) string {
	switch {
	case status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case status < 500:
		return "invalid_request_error"
	}
	return "server_error"
}

func (openAI) errorEvent() []byte {
	b, err := json.Marshal(openAIError(failure{status: http.StatusInternalServerError, message: "The server had an error while processing your request."}))
	if err != nil {
		return nil
	}
	return sse.Append(nil, "", b)
}

func (openAI) unary(p prompt, a answer) any {
	return map[string]any{
		"id": "chatcmpl-" + a.id, "object": "chat.completion", "created": created, "model": p.model,
		"choices": []any{map[string]any{"index": 0, "message": openAIAnswer(a), "logprobs": nil, "finish_reason": openAIReason(a.reason)}},
		"usage":   openAIUsage(a.usage), "service_tier": "default", "system_fingerprint": "fp_fake",
	}
}

func openAIAnswer(a answer) map[string]any {
	message := map[string]any{"role": "assistant", "content": nil, "refusal": nil, "annotations": []any{}}
	if len(a.text) > 0 {
		message["content"] = strings.Join(a.text, "")
	}
	if len(a.calls) > 0 {
		message["tool_calls"] = openAICalls(a.calls)
	}
	return message
}

func openAICalls(calls []call) []any {
	out := make([]any, 0, len(calls))
	for _, c := range calls {
		out = append(out, map[string]any{
			"id": c.id, "type": "function",
			"function": map[string]any{"name": c.name, "arguments": strings.Join(c.arguments, "")},
		})
	}
	return out
}

func openAIReason(r reason) string {
	return [...]string{reasonStop: "stop", reasonLength: "length", reasonTools: "tool_calls"}[r]
}

func openAIUsage(u usage) map[string]any {
	return map[string]any{
		"prompt_tokens": u.input, "completion_tokens": u.output, "total_tokens": u.input + u.output,
		"prompt_tokens_details":     map[string]any{"cached_tokens": u.cached, "audio_tokens": 0},
		"completion_tokens_details": map[string]any{"reasoning_tokens": u.reasoning, "audio_tokens": 0, "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0},
	}
}

func (openAI) events(p prompt, a answer) []event {
	s := &openAIStream{p: p, a: a}
	s.add(false, map[string]any{"role": "assistant", "content": "", "refusal": nil}, nil)
	for _, t := range a.text {
		s.add(true, map[string]any{"content": t}, nil)
	}
	for i, c := range a.calls {
		s.call(i, c)
	}
	s.add(false, map[string]any{}, openAIReason(a.reason))
	if p.usageEvent {
		s.usage()
	}
	return append(s.out, event{bytes: []byte("data: [DONE]\n\n")})
}

// openAIStream collects the events of an answer.
type openAIStream struct {
	p   prompt
	a   answer
	out []event
}

func (s *openAIStream) add(content bool, delta map[string]any, finish any) {
	chunk := openAIChunk(s.p, s.a)
	chunk["choices"] = []any{map[string]any{"index": 0, "delta": delta, "logprobs": nil, "finish_reason": finish}}
	if s.p.usageEvent {
		chunk["usage"] = nil
	}
	s.out = append(s.out, sseEvent("", chunk, content))
}

func (s *openAIStream) call(index int, c call) {
	s.add(true, openAICall(index, map[string]any{"id": c.id, "type": "function"}, map[string]any{"name": c.name, "arguments": ""}), nil)
	for _, piece := range c.arguments {
		s.add(true, openAICall(index, nil, map[string]any{"arguments": piece}), nil)
	}
}

func (s *openAIStream) usage() {
	chunk := openAIChunk(s.p, s.a)
	chunk["choices"], chunk["usage"] = []any{}, openAIUsage(s.a.usage)
	ev := sseEvent("", chunk, false)
	ev.reports = &s.a.usage
	s.out = append(s.out, ev)
}

func openAIChunk(p prompt, a answer) map[string]any {
	return map[string]any{
		"id": "chatcmpl-" + a.id, "object": "chat.completion.chunk", "created": created, "model": p.model,
		"service_tier": "default", "system_fingerprint": "fp_fake",
	}
}

// openAICall is the delta of one piece of a tool call.
func openAICall(index int, first, function map[string]any) map[string]any {
	piece := map[string]any{"index": index, "function": function}
	maps.Copy(piece, first)
	return map[string]any{"tool_calls": []any{piece}}
}

func sseEvent(name string, data any, content bool) event {
	b, err := json.Marshal(data)
	if err != nil {
		b = fmt.Appendf(nil, `{"error":%q}`, err)
	}
	return event{bytes: sse.Append(nil, name, b), content: content}
}
