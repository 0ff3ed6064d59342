package fakellm

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"strings"
)

// anthropic is the Messages protocol, version 2023-06-01.
type anthropic struct{}

func (anthropic) name() string { return "anthropic" }

func (anthropic) read(r *http.Request, body []byte) (prompt, error) {
	if err := checkAnthropicHead(r.Header); err != nil {
		return prompt{}, err
	}
	var req anthropicRequest
	if err := decode(body, &req, "%s: Extra inputs are not permitted"); err != nil {
		return prompt{}, err
	}
	p := prompt{model: req.Model, stream: req.Stream}
	if err := req.check(); err != nil {
		return p, err
	}
	req.tell(&p)
	return p, nil
}

// countTokens answers POST /v1/messages/count_tokens.
func (s *Server) countTokens(w http.ResponseWriter, r *http.Request) {
	p, err := s.read(anthropicTokens{}, r)
	if err != nil {
		anthropic{}.fail(w, asFailure(err))
		s.ledger.book("anthropic", p, outcomeRejected, usage{})
		return
	}
	n := 0
	for _, text := range p.said {
		n += len(words(text))
	}
	_ = writeJSON(w, http.StatusOK, map[string]any{"input_tokens": n}) // a client that left needs no answer
	s.ledger.book("anthropic", p, outcomeOK, usage{})
}

// anthropicTokens is the Messages protocol where tokens are counted: nothing is
// said there of the answer.
type anthropicTokens struct{ anthropic }

func (anthropicTokens) read(r *http.Request, body []byte) (prompt, error) {
	if err := checkAnthropicHead(r.Header); err != nil {
		return prompt{}, err
	}
	var req anthropicRequest
	if err := decode(body, &req, "%s: Extra inputs are not permitted"); err != nil {
		return prompt{}, err
	}
	if req.MaxTokens != nil || req.Stream || req.Temperature != nil || req.Metadata != nil || req.StopSequences != nil {
		return prompt{}, refuse("max_tokens: Extra inputs are not permitted")
	}
	req.MaxTokens = new(math.MaxInt) // any budget for thoughts is taken
	p := prompt{model: req.Model}
	if err := req.check(); err != nil {
		return p, err
	}
	req.tell(&p)
	return p, nil
}

// checkAnthropicHead checks the credential and the version.
func checkAnthropicHead(h http.Header) error {
	switch {
	case len(h.Values("X-Api-Key")) != 1:
		return failure{status: http.StatusUnauthorized, message: "x-api-key header is required"}
	case h.Get("X-Api-Key") != AnthropicKey || h.Get("Authorization") != "":
		return failure{status: http.StatusUnauthorized, message: "invalid x-api-key"}
	case h.Get("Anthropic-Version") == "":
		return refuse("anthropic-version: header is required")
	case h.Get("Anthropic-Version") != "2023-06-01":
		return refuse("anthropic-version: %q is not a valid version", h.Get("Anthropic-Version"))
	}
	return nil
}

func (anthropic) head(h http.Header, p prompt, a answer) {
	h.Set("Request-Id", "req_"+a.id)
	if p.stream {
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
	}
}

func (anthropic) fail(w http.ResponseWriter, f failure) { writeFailure(w, f, anthropicError(f)) }

func anthropicError(f failure) map[string]any {
	kind := cmp.Or(anthropicErrors()[f.status], "api_error")
	return map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": f.message}, "request_id": "req_fake"}
}

// anthropicErrors are the types of errors by their status.
func anthropicErrors() map[int]string {
	return map[int]string{
		http.StatusBadRequest:            "invalid_request_error",
		http.StatusUnsupportedMediaType:  "invalid_request_error",
		http.StatusUnauthorized:          "authentication_error",
		http.StatusPaymentRequired:       "billing_error",
		http.StatusForbidden:             "permission_error",
		http.StatusNotFound:              "not_found_error",
		http.StatusRequestEntityTooLarge: "request_too_large",
		http.StatusTooManyRequests:       "rate_limit_error",
		http.StatusGatewayTimeout:        "timeout_error",
		529:                              "overloaded_error",
	}
}

func (anthropic) errorEvent() []byte {
	return sseEvent("error", map[string]any{"type": "error", "error": map[string]any{"type": "overloaded_error", "message": "Overloaded"}}, false).bytes
}

// signature is what the fake signs its thinking with, and demands back.
const signature = "ZmFrZS1zaWduYXR1cmU="

func (anthropic) unary(p prompt, a answer) any {
	content := []any{}
	if len(a.thinking) > 0 {
		content = append(content, map[string]any{"type": "thinking", "thinking": strings.Join(a.thinking, ""), "signature": signature})
	}
	if len(a.text) > 0 {
		content = append(content, map[string]any{"type": "text", "text": strings.Join(a.text, "")})
	}
	for _, c := range a.calls {
		content = append(content, map[string]any{"type": "tool_use", "id": "toolu_" + c.id, "name": c.name, "input": json.RawMessage(strings.Join(c.arguments, ""))})
	}
	m := anthropicMessage(p, a, a.usage.output)
	m["content"], m["stop_reason"] = content, anthropicReason(a.reason)
	return m
}

func anthropicMessage(p prompt, a answer, output int) map[string]any {
	return map[string]any{
		"id": "msg_" + a.id, "type": "message", "role": "assistant", "model": p.model,
		"content": []any{}, "stop_reason": nil, "stop_sequence": nil, "usage": anthropicUsage(a.usage, output),
	}
}

func anthropicReason(r reason) string {
	return [...]string{reasonStop: "end_turn", reasonLength: "max_tokens", reasonTools: "tool_use"}[r]
}

// anthropicUsage: input_tokens does not include what came from the cache.
func anthropicUsage(u usage, output int) map[string]any {
	return map[string]any{
		"input_tokens": u.input - u.cached, "cache_read_input_tokens": u.cached, "cache_creation_input_tokens": 0,
		"output_tokens": output, "service_tier": "standard",
	}
}

func (anthropic) events(p prompt, a answer) []event {
	var s anthropicStream
	s.start(p, a)
	s.thinking(a.thinking)
	if len(a.text) > 0 {
		s.block(map[string]any{"type": "text", "text": ""}, pieces("text_delta", "text", a.text))
	}
	for _, c := range a.calls {
		start := map[string]any{"type": "tool_use", "id": "toolu_" + c.id, "name": c.name, "input": map[string]any{}}
		s.block(start, pieces("input_json_delta", "partial_json", c.arguments))
	}
	s.end(a)
	return s.out
}

// anthropicStream collects the events of an answer.
type anthropicStream struct {
	out   []event
	index int // of the content block
}

func (s *anthropicStream) add(kind string, content bool, data map[string]any) {
	data["type"] = kind
	s.out = append(s.out, sseEvent(kind, data, content))
}

func (s *anthropicStream) start(p prompt, a answer) {
	s.add("message_start", false, map[string]any{"message": anthropicMessage(p, a, 1)})
	begun := a.usage
	begun.output, begun.reasoning = 1, 0
	s.out[0].reports = &begun
}

func (s *anthropicStream) thinking(from []string) {
	if len(from) == 0 {
		return
	}
	deltas := pieces("thinking_delta", "thinking", from)
	deltas = append(deltas, map[string]any{"type": "signature_delta", "signature": signature})
	s.block(map[string]any{"type": "thinking", "thinking": "", "signature": ""}, deltas)
}

// block adds a content block; after the start of the first there is a ping.
func (s *anthropicStream) block(start map[string]any, deltas []map[string]any) {
	s.add("content_block_start", false, map[string]any{"index": s.index, "content_block": start})
	if s.index == 0 {
		s.add("ping", false, map[string]any{})
	}
	for _, d := range deltas {
		s.add("content_block_delta", true, map[string]any{"index": s.index, "delta": d})
	}
	s.add("content_block_stop", false, map[string]any{"index": s.index})
	s.index++
}

func (s *anthropicStream) end(a answer) {
	s.add("message_delta", false, map[string]any{
		"delta": map[string]any{"stop_reason": anthropicReason(a.reason), "stop_sequence": nil},
		"usage": map[string]any{"output_tokens": a.usage.output},
	})
	s.out[len(s.out)-1].reports = &a.usage
	s.add("message_stop", false, map[string]any{})
}

// pieces makes a delta of each piece.
func pieces(kind, field string, from []string) []map[string]any {
	out := make([]map[string]any, 0, len(from))
	for _, s := range from {
		out = append(out, map[string]any{"type": kind, field: s})
	}
	return out
}
