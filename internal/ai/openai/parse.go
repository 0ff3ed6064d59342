package openai

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"slices"
	"strings"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

// ParseChat reads the body of a chat completions request, which [Head.Scan] has
// passed, into out, which is empty, for a provider that speaks another protocol.
// It keeps body. The error is a *chat.Error that names the parameter.
func ParseChat(body []byte, out *chat.Request) error {
	in, err := chatRequestJSON.Borrow(body)
	if err != nil {
		return chat.BadJSON(err)
	}
	defer in.Return()
	out.Source = body
	return in.Value.request(out)
}

// request makes out the request. Nothing of it is in the memory of in.
func (in *chatRequest) request(out *chat.Request) error {
	out.Model, out.TopK, out.Thinking, out.User = strings.Clone(in.Model), clone(in.TopK), present(in.Thinking), in.User
	if out.User == "" {
		out.User = in.SafetyIdentifier
	}
	out.IgnoreIf(in.SafetyIdentifier != "" && in.SafetyIdentifier != out.User, "safety_identifier")
	if in.ServiceTier != nil {
		out.ServiceTier = *in.ServiceTier
	}
	if err := parseAnswer(in, out); err != nil {
		return err
	}
	if err := parseTools(in, out); err != nil {
		return err
	}
	if err := parseMessages(in, out); err != nil {
		return err
	}
	return parseRest(in, out)
}

// clone returns a copy of what p points to; nil for nil.
func clone[T any](p *T) *T {
	if p == nil {
		return nil
	}
	return new(*p)
}

// parseAnswer reads how the answer is to be.
func parseAnswer(in *chatRequest, out *chat.Request) error {
	if err := parseLimits(in, out); err != nil {
		return err
	}
	if err := parseSampling(in, out); err != nil {
		return err
	}
	if err := parseStream(in, out); err != nil {
		return err
	}
	return parseFormat(in, out)
}

func parseLimits(in *chatRequest, out *chat.Request) error {
	if in.N != nil && *in.N != 1 {
		return chat.Unsupported("n", "only 1 is possible with this provider")
	}
	name, limit := "max_completion_tokens", in.MaxCompletionTokens
	if limit == nil {
		name, limit = "max_tokens", in.MaxTokens
	}
	if limit != nil {
		if *limit < 1 {
			return chat.Invalid(name, "must be 1 or more, not %d", *limit)
		}
		out.MaxTokens = *limit
	}
	for _, m := range in.Modalities {
		if m != "text" {
			return chat.Unsupported("modalities", "%q is not possible with this provider, only text is", m)
		}
	}
	if present(in.Audio) != nil {
		return chat.Unsupported("audio", "audio is not possible with this provider")
	}
	return nil
}

func parseSampling(in *chatRequest, out *chat.Request) error {
	if t := in.Temperature; t != nil && (*t < 0 || *t > 2) {
		return chat.Invalid("temperature", "must be from 0 to 2, not %v", *t)
	}
	if p := in.TopP; p != nil && (*p < 0 || *p > 1) {
		return chat.Invalid("top_p", "must be from 0 to 1, not %v", *p)
	}
	out.Temperature, out.TopP = clone(in.Temperature), clone(in.TopP)
	switch stop := present(in.Stop); {
	case stop == nil:
	case stop.Kind() == '"':
		var s string
		if err := json.Unmarshal(stop, &s); err != nil {
			return chat.BadJSON(err)
		}
		out.Stop = []string{s}
	default:
		if err := json.Unmarshal(stop, &out.Stop); err != nil {
			return chat.Invalid("stop", "must be a string or a list of strings")
		}
	}
	out.Effort = value(in.ReasoningEffort)
	return chat.CheckEffort("reasoning_effort", out.Effort)
}

func parseStream(in *chatRequest, out *chat.Request) error {
	out.Stream = in.Stream != nil && *in.Stream
	if in.StreamOptions == nil {
		return nil
	}
	if !out.Stream {
		return chat.Invalid("stream_options", "is only allowed when stream is true")
	}
	return out.IgnoreMembers("stream_options", in.StreamOptions.Rest, "stream_options.include_obfuscation")
}

func parseFormat(in *chatRequest, out *chat.Request) error {
	const at = "response_format"
	f := in.ResponseFormat
	if f == nil {
		return nil
	}
	if err := out.IgnoreMembers(at, f.Rest); err != nil {
		return err
	}
	switch out.IgnoreIf(f.JSONSchema != nil && f.Type != "json_schema", at+".json_schema"); f.Type {
	case "text":
	case "json_object":
		out.Format.Kind = chat.FormatJSON
	case "json_schema":
		if f.JSONSchema == nil || f.JSONSchema.Schema.Kind() != '{' {
			return chat.Invalid("response_format.json_schema", "needs a schema that is an object")
		}
		if f.JSONSchema.Name == "" {
			return chat.Invalid("response_format.json_schema.name", "is required")
		}
		s := f.JSONSchema
		out.Format = chat.Format{Kind: chat.FormatSchema, Name: s.Name, Description: s.Description, Schema: s.Schema, Strict: clone(s.Strict)}
		return out.IgnoreMembers(at+".json_schema", s.Rest)
	default:
		return chat.Invalid("response_format.type", "%q is not one of text, json_object, json_schema", f.Type)
	}
	return nil
}

// onlyOpenAI are the parameters that change an answer and that no other
// provider knows: they are dropped, and the client is told so, unless they
// hold the value that changes nothing.
var onlyOpenAI = map[string][]string{
	"frequency_penalty": {"0", "0.0"},
	"presence_penalty":  {"0", "0.0"},
	"logit_bias":        {"{}"},
	"logprobs":          {"false"},
	"top_logprobs":      {"0"},
	"store":             {"false"},
	"metadata":          {"{}"},
}

// changesNothing says that a parameter has the value that it has where it is not
// there.
func changesNothing(name string, v jsontext.Value) bool {
	return v.Kind() == 'n' || slices.Contains(onlyOpenAI[name], string(chat.Compact(v)))
}

func parseRest(in *chatRequest, out *chat.Request) error {
	members, err := names(in.Rest)
	if err != nil {
		return err
	}
	for name, value := range members {
		if strings.EqualFold(name, "model") || strings.EqualFold(name, "stream") {
			return chat.Invalid("", "unknown parameter %q: parameter names are lower case", name)
		}
		if changesNothing(name, value) {
			continue
		}
		if err := out.TakeUnknown(name, value); err != nil {
			return err
		}
	}
	slices.Sort(out.Ignored)
	return nil
}

// names returns the members of an object that was kept raw.
func names(rest jsontext.Value) (map[string]jsontext.Value, error) {
	if len(rest) == 0 {
		return nil, nil
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(rest, &members); err != nil {
		return nil, chat.BadJSON(err)
	}
	return members, nil
}

// present returns v, or nil for an absent or null member.
func present(v jsontext.Value) jsontext.Value {
	if len(v) == 0 || v.Kind() == 'n' {
		return nil
	}
	return v
}
