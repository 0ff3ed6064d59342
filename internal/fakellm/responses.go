package fakellm

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
)

// responses is OpenAI's Responses protocol. Nothing is stored: a request holds
// its whole conversation.
type responses struct{ openAI }

func (responses) read(r *http.Request, body []byte) (prompt, error) {
	if err := bearer(r); err != nil {
		return prompt{}, err
	}
	var req responsesRequest
	if err := decode(body, &req, "Unknown parameter: '%s'."); err != nil {
		return prompt{}, err
	}
	p := prompt{model: req.Model, stream: req.Stream}
	if err := req.check(); err != nil {
		return p, err
	}
	req.tell(&p)
	return p, json.Unmarshal(body, &p.repeated)
}

// errorEvent has no place in the stream's order: its number is 0.
func (responses) errorEvent() []byte {
	return sseEvent("error", map[string]any{
		"type": "error", "sequence_number": 0, "param": nil,
		"code": "server_error", "message": "The server had an error while processing your request.",
	}, false).bytes
}

func (responses) unary(p prompt, a answer) any {
	out := make([]any, 0, 2)
	for _, it := range responsesItems(p, a) {
		out = append(out, it.whole)
	}
	return responsesEnd(p, a, out)
}

// responsesBegun is a response of which nothing is there yet. It repeats what the
// request said.
func responsesBegun(p prompt, a answer) map[string]any {
	r := map[string]any{
		"id": "resp_" + a.id, "object": "response", "created_at": created, "status": "in_progress", "model": p.model,
		"output": []any{}, "error": nil, "incomplete_details": nil, "usage": nil, "access_programs": nil,
		"background": false, "service_tier": "default", "previous_response_id": nil,
	}
	defaults := map[string]any{
		"instructions": nil, "max_output_tokens": nil, "metadata": map[string]any{}, "parallel_tool_calls": true,
		"reasoning": map[string]any{"effort": nil, "summary": nil}, "temperature": 1, "top_p": 1, "truncation": "disabled",
		"text": map[string]any{"format": map[string]any{"type": "text"}}, "tool_choice": "auto", "tools": []any{},
	}
	for name := range defaults {
		if said, ok := p.repeated[name]; ok && !isNull(said) {
			defaults[name] = said
		}
	}
	maps.Copy(r, defaults)
	return r
}

// responsesEnd is the whole response.
func responsesEnd(p prompt, a answer, output []any) map[string]any {
	r := responsesBegun(p, a)
	r["status"], r["output"], r["usage"] = responsesStatus(a), output, responsesUsage(a.usage)
	if a.reason == reasonLength {
		r["incomplete_details"] = map[string]any{"reason": "max_output_tokens"}
	}
	return r
}

func responsesStatus(a answer) string {
	if a.reason == reasonLength {
		return "incomplete"
	}
	return "completed"
}

func responsesUsage(u usage) map[string]any {
	return map[string]any{
		"input_tokens": u.input, "input_tokens_details": map[string]any{"cached_tokens": u.cached, "cache_write_tokens": 0},
		"output_tokens": u.output, "output_tokens_details": map[string]any{"reasoning_tokens": u.reasoning},
		"total_tokens": u.input + u.output,
	}
}

// responsesItem is an item of the output: as it begins, as it is in the end, and
// the pieces that it comes in.
type responsesItem struct {
	begun, whole map[string]any
	pieces       []string
	spoken       responsesPart
}

// responsesPart is how an item's text is spoken of in a stream.
type responsesPart struct {
	// part is the name of the events of the item's part, "" for an item without
	// parts; text that of the events of its text, field their member.
	part, text, field string
	// members are further members of all these events.
	members map[string]any
	// wrap returns the part that holds a text.
	wrap func(string) map[string]any
}

func responsesItems(p prompt, a answer) []responsesItem {
	var out []responsesItem
	if len(a.thinking) > 0 {
		out = append(out, responsesThoughts(p, a))
	}
	if len(a.text) > 0 {
		out = append(out, responsesMessage(a))
	}
	for _, c := range a.calls {
		out = append(out, responsesCall(c))
	}
	return out
}

// responsesThoughts tells the thoughts where a summary was asked for, and their
// proof where that was.
func responsesThoughts(p prompt, a answer) responsesItem {
	it := responsesItem{
		begun: map[string]any{"type": "reasoning", "id": "rs_" + a.id, "summary": []any{}},
		spoken: responsesPart{
			part: "response.reasoning_summary_part", text: "response.reasoning_summary_text", field: "text",
			members: map[string]any{"summary_index": 0},
			wrap:    func(s string) map[string]any { return map[string]any{"type": "summary_text", "text": s} },
		},
	}
	it.whole = maps.Clone(it.begun)
	if p.summary {
		it.pieces = a.thinking
		it.whole["summary"] = []any{it.spoken.wrap(strings.Join(a.thinking, ""))}
	}
	if p.proof {
		it.whole["encrypted_content"] = signature
	}
	return it
}

func responsesMessage(a answer) responsesItem {
	it := responsesItem{
		begun:  map[string]any{"type": "message", "id": "msg_" + a.id, "status": "in_progress", "role": "assistant", "content": []any{}},
		pieces: a.text,
		spoken: responsesPart{
			part: "response.content_part", text: "response.output_text", field: "text",
			members: map[string]any{"content_index": 0},
			wrap: func(s string) map[string]any {
				return map[string]any{"type": "output_text", "text": s, "annotations": []any{}, "logprobs": []any{}}
			},
		},
	}
	it.whole = maps.Clone(it.begun)
	it.whole["status"], it.whole["content"] = responsesStatus(a), []any{it.spoken.wrap(strings.Join(a.text, ""))}
	return it
}

func responsesCall(c call) responsesItem {
	it := responsesItem{
		begun:  map[string]any{"type": "function_call", "id": "fc_" + c.id, "status": "in_progress", "call_id": c.id, "name": c.name, "arguments": ""},
		pieces: c.arguments,
		spoken: responsesPart{text: "response.function_call_arguments", field: "arguments"},
	}
	it.whole = maps.Clone(it.begun)
	it.whole["status"], it.whole["arguments"] = "completed", strings.Join(c.arguments, "")
	return it
}

func (responses) events(p prompt, a answer) []event {
	var s responsesStream
	s.add("response.created", false, map[string]any{"response": responsesBegun(p, a)})
	s.add("response.in_progress", false, map[string]any{"response": responsesBegun(p, a)})
	output := make([]any, 0, 2)
	for i, it := range responsesItems(p, a) {
		s.item(i, it)
		output = append(output, it.whole)
	}
	s.add("response."+responsesStatus(a), false, map[string]any{"response": responsesEnd(p, a, output)})
	s.out[len(s.out)-1].reports = &a.usage
	return s.out
}

// responsesStream collects the events of an answer and numbers them.
type responsesStream struct{ out []event }

func (s *responsesStream) add(kind string, content bool, members map[string]any) {
	data := map[string]any{"type": kind, "sequence_number": len(s.out)}
	maps.Copy(data, members)
	s.out = append(s.out, sseEvent(kind, data, content))
}

// item adds the events of item number index.
func (s *responsesStream) item(index int, it responsesItem) {
	s.add("response.output_item.added", false, map[string]any{"output_index": index, "item": it.begun})
	if len(it.pieces) > 0 {
		s.text(map[string]any{"output_index": index, "item_id": it.begun["id"]}, it)
	}
	s.add("response.output_item.done", false, map[string]any{"output_index": index, "item": it.whole})
}

// text adds the events of an item's text; at says which item that is.
func (s *responsesStream) text(at map[string]any, it responsesItem) {
	maps.Copy(at, it.spoken.members)
	with := func(members map[string]any) map[string]any {
		maps.Copy(members, at)
		if it.spoken.text == "response.output_text" && members["part"] == nil {
			members["logprobs"] = []any{}
		}
		return members
	}
	text := strings.Join(it.pieces, "")
	if it.spoken.part != "" {
		s.add(it.spoken.part+".added", false, with(map[string]any{"part": it.spoken.wrap("")}))
	}
	for _, piece := range it.pieces {
		s.add(it.spoken.text+".delta", true, with(map[string]any{"delta": piece}))
	}
	s.add(it.spoken.text+".done", false, with(map[string]any{it.spoken.field: text}))
	if it.spoken.part != "" {
		s.add(it.spoken.part+".done", false, with(map[string]any{"part": it.spoken.wrap(text)}))
	}
}
