package fakellm

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// prompt is what the fake understands of a request, whatever its protocol.
type prompt struct {
	model  string
	stream bool
	// said is all text that counts as input; text is the last user message.
	said []string
	text string
	// results are the tool results that came last.
	results []string
	tools   []tool
	choice  toolChoice
	think   bool
	// maxTokens limits the answer; 0 is no limit.
	maxTokens int
	// usageEvent says that an OpenAI stream shall end with a usage event.
	usageEvent bool
	// summary and proof say that OpenAI shall tell its thoughts, and add what
	// proves them.
	summary, proof bool
	// repeated is what a response of OpenAI's may repeat of its request.
	repeated map[string]json.RawMessage
}

type tool struct {
	name   string
	schema json.RawMessage
}

// toolChoice says whether tools are to be called: none forbids it, force
// demands it, name demands that one.
type toolChoice struct {
	none, force bool
	name        string
}

// reason is why an answer ended, in words that each protocol has its own for.
type reason int

const (
	reasonStop reason = iota
	reasonLength
	reasonTools
)

// answer is a response, whatever its protocol. Its pieces are the events of a
// stream.
type answer struct {
	id       string
	thinking []string
	text     []string
	calls    []call
	reason   reason
	usage    usage
}

type call struct {
	id, name string
	// arguments are pieces of one JSON object.
	arguments []string
}

// usage counts tokens. A token of the fake is a word.
type usage struct {
	input, cached     int // cached is part of input
	output, reasoning int // reasoning is part of output
}

// respond makes up the answer to p. n numbers the answer.
func respond(p prompt, o Orders, n int64) (answer, error) {
	a := answer{id: fmt.Sprintf("fake-%d", n)}
	for _, s := range p.said {
		a.usage.input += len(words(s))
	}
	a.usage.cached = min(o.Cached, a.usage.input)
	if p.think || o.Think {
		a.thinking = words("Someone said something. I repeat it.")
		a.usage.reasoning = len(a.thinking)
	}
	tools, err := calls(p, o)
	if err != nil {
		return answer{}, err
	}
	if len(tools) > 0 {
		a.call(tools, n)
	} else {
		a.say(p)
	}
	a.usage.output += len(a.text) + a.usage.reasoning
	return a, nil
}

// call has the answer call tools.
func (a *answer) call(tools []tool, n int64) {
	a.reason = reasonTools
	for i, t := range tools {
		a.calls = append(a.calls, call{id: fmt.Sprintf("call_%d_%d", n, i), name: t.name, arguments: arguments(t.schema)})
		a.usage.output += len(a.calls[i].arguments)
	}
}

// say has the answer repeat what the tools or the user said.
func (a *answer) say(p prompt) {
	a.text = words("You said: " + p.text)
	if len(p.results) > 0 {
		a.text = words("The tools said: " + strings.Join(p.results, ", "))
	}
	if p.maxTokens > 0 && len(a.text) > p.maxTokens {
		a.text = a.text[:p.maxTokens]
		a.reason = reasonLength
	}
}

// calls returns the tools to call.
func calls(p prompt, o Orders) ([]tool, error) {
	var out []tool
	for _, name := range wanted(p, o) {
		i := slices.IndexFunc(p.tools, func(t tool) bool { return t.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no tool %q", name)
		}
		out = append(out, p.tools[i])
	}
	return out, nil
}

// wanted names the tools to call: those ordered, or the one that the request
// demands.
func wanted(p prompt, o Orders) []string {
	switch {
	case p.choice.none:
		return nil
	case len(p.results) > 0 && p.choice.name == "":
		return nil // the tools have answered: do not ask again
	case len(o.Tools) > 0:
		return o.Tools
	case p.choice.name != "":
		return []string{p.choice.name}
	case p.choice.force && len(p.tools) > 0:
		return []string{p.tools[0].name}
	}
	return nil
}

// words splits a text into pieces that join to it again, one per word.
func words(s string) []string {
	var out []string
	start, inWord := 0, false
	for i, r := range s {
		space := r == ' ' || r == '\n' || r == '\t'
		if space && inWord {
			out, start, inWord = append(out, s[start:i]), i, false
		}
		if !space {
			inWord = true
		}
	}
	if start < len(s) {
		out = append(out, s[start:])
	}
	return out
}

// arguments makes up arguments that fit the schema, in pieces.
func arguments(schema json.RawMessage) []string {
	b, err := json.Marshal(example(schema))
	if err != nil || string(b) == "null" || string(b) == "{}" {
		return []string{"{}"}
	}
	half := len(b) / 2
	return []string{string(b[:half]), string(b[half:])}
}

// example returns a value that fits a JSON schema, as far as the schema is plain.
func example(schema json.RawMessage) any {
	var s struct {
		Type       string                     `json:"type"`
		Enum       []any                      `json:"enum"`
		Properties map[string]json.RawMessage `json:"properties"`
		Items      json.RawMessage            `json:"items"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return "text"
	}
	if len(s.Enum) > 0 {
		return s.Enum[0]
	}
	switch s.Type {
	case "integer", "number":
		return 1
	case "boolean":
		return true
	case "array":
		return []any{example(s.Items)}
	case "object", "":
		return exampleObject(s.Properties)
	}
	return "text"
}

// exampleObject has every property; it marshals with sorted keys.
func exampleObject(properties map[string]json.RawMessage) map[string]any {
	out := make(map[string]any, len(properties))
	for name, property := range properties {
		out[name] = example(property)
	}
	return out
}
