package fakellm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// responsesInput is an item of the input of a request, of any type.
type responsesInput struct {
	Type      string          `json:"type"`
	ID        *string         `json:"id"`
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	CallID    string          `json:"call_id"`
	Name      string          `json:"name"`
	Arguments *string         `json:"arguments"`
	Output    json.RawMessage `json:"output"`
	Summary   json.RawMessage `json:"summary"`
}

// responsesKind is what items of one type may have, and how their IDs begin.
type responsesKind struct {
	prefix  string
	members []string
}

func responsesKinds() map[string]responsesKind {
	return map[string]responsesKind{
		"message":              {"msg", []string{"type", "id", "status", "role", "content", "phase"}},
		"reasoning":            {"rs", []string{"type", "id", "status", "summary", "content", "encrypted_content"}},
		"function_call":        {"fc", []string{"type", "id", "status", "call_id", "name", "arguments", "namespace"}},
		"function_call_output": {"fc", []string{"type", "id", "status", "call_id", "output"}},
	}
}

// checkInput reads the input and checks its items and their order.
func (r *responsesRequest) checkInput() error {
	if text, ok := asString(r.Input); ok {
		r.items = []responsesInput{{Type: "message", Role: "user", Content: r.Input}}
		if text == "" {
			return refuse("Invalid 'input': empty string.")
		}
		return nil
	}
	var items []json.RawMessage
	if json.Unmarshal(r.Input, &items) != nil || len(items) == 0 {
		return refuse("Missing required parameter: 'input'.")
	}
	for i, raw := range items {
		it, err := readResponsesInput(fmt.Sprintf("input[%d]", i), raw)
		if err != nil {
			return err
		}
		r.items = append(r.items, it)
	}
	return r.checkOrder()
}

func readResponsesInput(at string, raw json.RawMessage) (responsesInput, error) {
	var it responsesInput
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || json.Unmarshal(raw, &it) != nil {
		return it, refuse("Invalid type for '%s': expected an object with members of the right types.", at)
	}
	if it.Type == "" {
		it.Type = "message"
	}
	kind, ok := responsesKinds()[it.Type]
	if !ok {
		return it, refuse("Invalid value: '%s' for '%s.type'. The fake knows messages, reasoning and function calls.", it.Type, at)
	}
	for name := range members {
		if !slices.Contains(kind.members, name) {
			return it, refuse("Unknown parameter: '%s.%s'.", at, name)
		}
	}
	if it.ID != nil && !strings.HasPrefix(*it.ID, kind.prefix) {
		return it, refuse("Invalid '%s.id': '%s'. Expected an ID that begins with '%s'.", at, *it.ID, kind.prefix)
	}
	return it, it.check(at)
}

func (it responsesInput) check(at string) error {
	switch it.Type {
	case "message":
		return it.checkMessage(at)
	case "reasoning":
		if it.ID == nil || isNull(it.Summary) {
			return refuse("Missing required parameter: '%s.id' or '%s.summary'.", at, at)
		}
		return nil
	case "function_call":
		if it.Name == "" || it.Arguments == nil {
			return refuse("Missing required parameter: '%s.name' or '%s.arguments'.", at, at)
		}
	case "function_call_output":
		if isNull(it.Output) {
			return refuse("Missing required parameter: '%s.output'.", at)
		}
		if err := checkResponsesParts(at+".output", it.Output, "input_text", "input_image", "input_file"); err != nil {
			return err
		}
	}
	if it.CallID == "" || len(it.CallID) > 64 {
		return refuse("Invalid '%s.call_id': expected a string with a length of 1 to 64.", at)
	}
	return nil
}

func (it responsesInput) checkMessage(at string) error {
	switch it.Role {
	case "system", "developer", "user":
		return checkResponsesParts(at+".content", it.Content, "input_text", "input_image", "input_file")
	case "assistant":
		return checkResponsesParts(at+".content", it.Content, "output_text", "refusal")
	}
	return refuse("Invalid value: '%s'. Supported values are: 'assistant', 'system', 'developer', and 'user'.", it.Role)
}

// checkResponsesParts checks content, which is a string or a list of parts.
func checkResponsesParts(at string, raw json.RawMessage, kinds ...string) error {
	if _, ok := asString(raw); ok {
		return nil
	}
	var parts []map[string]json.RawMessage
	if isNull(raw) || json.Unmarshal(raw, &parts) != nil {
		return refuse("Invalid type for '%s': expected one of an array of objects or string.", at)
	}
	members := map[string][]string{
		"input_text": {"text"}, "output_text": {"text", "annotations", "logprobs"}, "refusal": {"refusal"},
		"input_image": {"image_url", "file_id", "detail"}, "input_file": {"file_data", "file_url", "file_id", "filename", "detail"},
	}
	for i, p := range parts {
		kind, _ := asString(p["type"])
		if !slices.Contains(kinds, kind) {
			return refuse("Invalid value: '%s'. Supported values are: '%s'.", kind, strings.Join(kinds, "', '"))
		}
		for name := range p {
			if name != "type" && name != "prompt_cache_breakpoint" && !slices.Contains(members[kind], name) {
				return refuse("Unknown parameter: '%s[%d].%s'.", at, i, name)
			}
		}
	}
	return nil
}

// checkOrder: every call has its result after it, every result its call before
// it, and thoughts have after them what they led to.
func (r *responsesRequest) checkOrder() error {
	called, answered := map[string]bool{}, map[string]bool{}
	for i, it := range r.items {
		switch {
		case it.Type == "function_call":
			called[it.CallID] = true
		case it.Type == "function_call_output" && !called[it.CallID]:
			return refuse("No tool call found for function call output with call_id %s.", it.CallID)
		case it.Type == "function_call_output":
			answered[it.CallID] = true
		case it.Type == "reasoning" && !r.leadsOn(i):
			return refuse("Item '%s' of type 'reasoning' was provided without its required following item.", *it.ID)
		}
	}
	for _, it := range r.items {
		if it.Type == "function_call" && !answered[it.CallID] {
			return refuse("No tool output found for function call %s.", it.CallID)
		}
	}
	return nil
}

// leadsOn says whether item i is followed by something of the model's own.
func (r *responsesRequest) leadsOn(i int) bool {
	if i+1 >= len(r.items) {
		return false
	}
	next := r.items[i+1]
	return next.Type == "reasoning" || next.Type == "function_call" || next.Role == "assistant"
}

func (it responsesInput) tell(p *prompt) {
	texts := openAIMessage{Content: it.Content}.texts()
	if it.Type == "function_call_output" {
		texts = openAIMessage{Content: it.Output}.texts()
		p.results = append(p.results, strings.Join(texts, " "))
	}
	p.said = append(p.said, texts...)
	if it.Role == "user" {
		p.text, p.results = strings.Join(texts, " "), nil
	}
}
