package fakellm

import (
	"encoding/json"
	"net/http"
	"strings"
)

// anthropic is the Messages protocol, version 2023-06-01.
type anthropic struct{}

func (anthropic) name() string { return "anthropic" }

func (anthropic) read(r *http.Request, body []byte) (prompt, error) {
	switch {
	case len(r.Header.Values("X-Api-Key")) != 1:
		return prompt{}, failure{status: http.StatusUnauthorized, message: "x-api-key header is required"}
	case r.Header.Get("X-Api-Key") != AnthropicKey || r.Header.Get("Authorization") != "":
		return prompt{}, failure{status: http.StatusUnauthorized, message: "invalid x-api-key"}
	case r.Header.Get("Anthropic-Version") == "":
		return prompt{}, refuse("anthropic-version: header is required")
	case r.Header.Get("Anthropic-Version") != "2023-06-01":
		return prompt{}, refuse("anthropic-version: %q is not a valid version", r.Header.Get("Anthropic-Version"))
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

func (anthropic) head(h http.Header, p prompt, a answer) {
	h.Set("Request-Id", "req_"+a.id)
	if p.stream {
		h.Set("Content-Type", "text/event-stream; charset=utf-8")
		h.Set("Cache-Control", "no-cache")
	}
}

func (anthropic) fail(w http.ResponseWriter, f failure) { writeFailure(w, f, anthropicError(f)) }

func anthropicError(f failure) map[string]any {
	kind := "api_error"
	switch f.status {
	case http.StatusBadRequest, http.StatusUnsupportedMediaType:
		kind = "invalid_request_error"
	case http.StatusUnauthorized:
		kind = "authentication_error"
	case http.StatusPaymentRequired:
		kind = "billing_error"
	case http.StatusForbidden:
		kind = "permission_error"
	case http.StatusNotFound:
		kind = "not_found_error"
	case http.StatusRequestEntityTooLarge:
		kind = "request_too_large"
	case http.StatusTooManyRequests:
		kind = "rate_limit_error"
	case http.StatusGatewayTimeout:
		kind = "timeout_error"
	case 529:
		kind = "overloaded_error"
	}
	return map[string]any{"type": "error", "error": map[string]any{"type": kind, "message": f.message}, "request_id": "req_fake"}
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
	var out []event
	add := func(kind string, content bool, data map[string]any) {
		data["type"] = kind
		out = append(out, sseEvent(kind, data, content))
	}
	add("message_start", false, map[string]any{"message": anthropicMessage(p, a, 1)})
	begun := a.usage
	begun.output, begun.reasoning = 1, 0
	out[0].reports = &begun
	index := 0
	block := func(start map[string]any, deltas []map[string]any) {
		add("content_block_start", false, map[string]any{"index": index, "content_block": start})
		if index == 0 {
			add("ping", false, map[string]any{})
		}
		for _, d := range deltas {
			add("content_block_delta", true, map[string]any{"index": index, "delta": d})
		}
		add("content_block_stop", false, map[string]any{"index": index})
		index++
	}
	if len(a.thinking) > 0 {
		deltas := pieces("thinking_delta", "thinking", a.thinking)
		deltas = append(deltas, map[string]any{"type": "signature_delta", "signature": signature})
		block(map[string]any{"type": "thinking", "thinking": "", "signature": ""}, deltas)
	}
	if len(a.text) > 0 {
		block(map[string]any{"type": "text", "text": ""}, pieces("text_delta", "text", a.text))
	}
	for _, c := range a.calls {
		start := map[string]any{"type": "tool_use", "id": "toolu_" + c.id, "name": c.name, "input": map[string]any{}}
		block(start, pieces("input_json_delta", "partial_json", c.arguments))
	}
	add("message_delta", false, map[string]any{
		"delta": map[string]any{"stop_reason": anthropicReason(a.reason), "stop_sequence": nil},
		"usage": map[string]any{"output_tokens": a.usage.output},
	})
	out[len(out)-1].reports = &a.usage
	add("message_stop", false, map[string]any{})
	return out
}

// pieces makes a delta of each piece.
func pieces(kind, field string, from []string) []map[string]any {
	out := make([]map[string]any, 0, len(from))
	for _, s := range from {
		out = append(out, map[string]any{"type": kind, field: s})
	}
	return out
}
