package fakellm

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/citoroute/citoroute/internal/ai/eventstream"
)

// bedrock is the Converse protocol of Amazon Bedrock.
type bedrock struct {
	now    func() time.Time
	stream bool
}

func (bedrock) name() string { return "bedrock" }

func (b bedrock) read(r *http.Request, body []byte) (prompt, error) {
	if err := authenticate(r, body, b.now()); err != nil {
		return prompt{}, err
	}
	var req converseRequest
	if err := decode(body, &req, extraneous); err != nil {
		return prompt{}, err
	}
	p := prompt{model: r.PathValue("id"), stream: b.stream}
	if err := req.check(); err != nil {
		return p, err
	}
	req.tell(&p)
	return p, nil
}

// authenticate checks who calls Bedrock: by an API key or by a signature, never
// by both.
func authenticate(r *http.Request, body []byte, now time.Time) error {
	if len(r.Header.Values("Authorization")) > 1 {
		return unsigned("AccessDeniedException", "There are two Authorization fields.")
	}
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return checkSignature(r, body, bedrockService, now)
	}
	for _, name := range []string{"X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"} {
		if r.Header.Get(name) != "" {
			return unsigned("AccessDeniedException", "There is an API key, and with "+name+" a part of a signature.")
		}
	}
	if key != BedrockAPIKey {
		return unsigned("AccessDeniedException", "Authentication failed: Please make sure your API Key is valid.")
	}
	return nil
}

func (bedrock) head(h http.Header, p prompt, a answer) {
	h.Set("X-Amzn-Requestid", a.id)
	if p.stream {
		h.Set("Content-Type", "application/vnd.amazon.eventstream")
	}
}

func (bedrock) fail(w http.ResponseWriter, f failure) {
	kind := f.code
	if kind == "" {
		kind = exceptionOf(f.status)
	}
	w.Header().Set("X-Amzn-Errortype", kind+":http://internal.amazon.com/coral/com.amazon.bedrock/")
	w.Header().Set("X-Amzn-Requestid", "fake-error")
	writeFailure(w, f, map[string]any{"message": f.message})
}

// exceptionOf is the exception that Bedrock sends with a status.
func exceptionOf(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusUnsupportedMediaType:
		return "ValidationException"
	case http.StatusForbidden, http.StatusUnauthorized:
		return "AccessDeniedException"
	case http.StatusNotFound:
		return "ResourceNotFoundException"
	case http.StatusRequestTimeout:
		return "ModelTimeoutException"
	case http.StatusFailedDependency:
		return "ModelErrorException"
	case http.StatusTooManyRequests:
		return "ThrottlingException"
	case http.StatusServiceUnavailable:
		return "ServiceUnavailableException"
	}
	return "InternalServerException"
}

func (bedrock) errorEvent() []byte {
	headers := []eventstream.Header{
		{Name: ":exception-type", Value: "throttlingException"},
		{Name: ":content-type", Value: "application/json"},
		{Name: ":message-type", Value: "exception"},
	}
	return eventstream.Append(nil, headers, []byte(`{"message":"Too many tokens, please wait before trying again."}`))
}

func (bedrock) unary(_ prompt, a answer) any {
	return map[string]any{
		"output":     map[string]any{"message": map[string]any{"role": "assistant", "content": bedrockContent(a)}},
		"stopReason": bedrockReason(a.reason),
		"usage":      bedrockUsage(a.usage),
		"metrics":    map[string]any{"latencyMs": 1},
	}
}

func bedrockContent(a answer) []any {
	content := []any{}
	if len(a.thinking) > 0 {
		content = append(content, map[string]any{"reasoningContent": map[string]any{
			"reasoningText": map[string]any{"text": strings.Join(a.thinking, ""), "signature": signature},
		}})
	}
	if len(a.text) > 0 {
		content = append(content, map[string]any{"text": strings.Join(a.text, "")})
	}
	for _, c := range a.calls {
		content = append(content, map[string]any{"toolUse": map[string]any{
			"toolUseId": "tooluse_" + c.id, "name": c.name, "input": json.RawMessage(strings.Join(c.arguments, "")),
		}})
	}
	return content
}

func bedrockReason(r reason) string {
	return [...]string{reasonStop: "end_turn", reasonLength: "max_tokens", reasonTools: "tool_use"}[r]
}

// bedrockUsage: inputTokens does not include what came from the cache.
func bedrockUsage(u usage) map[string]any {
	return map[string]any{
		"inputTokens": u.input - u.cached, "outputTokens": u.output, "totalTokens": u.input + u.output,
		"cacheReadInputTokens": u.cached, "cacheWriteInputTokens": 0,
	}
}

func (bedrock) events(_ prompt, a answer) []event {
	var s bedrockStream
	s.add("messageStart", false, map[string]any{"role": "assistant"})
	s.thinking(a.thinking)
	s.text(a.text)
	for _, c := range a.calls {
		s.call(c)
	}
	s.add("messageStop", false, map[string]any{"stopReason": bedrockReason(a.reason)})
	s.add("metadata", false, map[string]any{"usage": bedrockUsage(a.usage), "metrics": map[string]any{"latencyMs": 1}})
	s.out[len(s.out)-1].reports = &a.usage
	return s.out
}

// bedrockStream collects the events of an answer.
type bedrockStream struct {
	out   []event
	index int // of the content block
}

func (s *bedrockStream) add(kind string, content bool, data map[string]any) {
	data["p"] = "abcdefghijklmnopqrstuvwxyz"[:len(s.out)%26] // padding, as Bedrock sends it
	s.out = append(s.out, frame(kind, data, content))
}

// block adds the deltas of a content block and its end.
func (s *bedrockStream) block(deltas []map[string]any) {
	for _, d := range deltas {
		s.add("contentBlockDelta", true, map[string]any{"contentBlockIndex": s.index, "delta": d})
	}
	s.add("contentBlockStop", false, map[string]any{"contentBlockIndex": s.index})
	s.index++
}

func (s *bedrockStream) thinking(pieces []string) {
	if len(pieces) == 0 {
		return
	}
	s.block(append(wrapped("reasoningContent", "text", pieces), map[string]any{"reasoningContent": map[string]any{"signature": signature}}))
}

func (s *bedrockStream) text(pieces []string) {
	if len(pieces) == 0 {
		return
	}
	var deltas []map[string]any
	for _, t := range pieces {
		deltas = append(deltas, map[string]any{"text": t})
	}
	s.block(deltas)
}

func (s *bedrockStream) call(c call) {
	s.add("contentBlockStart", false, map[string]any{
		"contentBlockIndex": s.index,
		"start":             map[string]any{"toolUse": map[string]any{"toolUseId": "tooluse_" + c.id, "name": c.name}},
	})
	s.block(wrapped("toolUse", "input", c.arguments))
}

// wrapped makes a delta of each piece: an object in an object.
func wrapped(outer, inner string, pieces []string) []map[string]any {
	var out []map[string]any
	for _, piece := range pieces {
		out = append(out, map[string]any{outer: map[string]any{inner: piece}})
	}
	return out
}

func frame(kind string, data map[string]any, content bool) event {
	payload, err := json.Marshal(data)
	if err != nil {
		payload = nil // maps of strings and numbers always marshal
	}
	headers := []eventstream.Header{
		{Name: ":event-type", Value: kind},
		{Name: ":content-type", Value: "application/json"},
		{Name: ":message-type", Value: "event"},
	}
	return event{bytes: eventstream.Append(nil, headers, payload), content: content}
}
