package openai

import (
	"encoding/json/jsontext"
	json "encoding/json/v2"
	"slices"
	"strconv"

	"github.com/citoroute/citoroute/internal/ai/chat"
)

func parseTools(in *chatRequest, out *chat.Request) error {
	for i, t := range in.Tools {
		at := "tools[" + strconv.Itoa(i) + "]"
		if t.Type != "function" {
			return chat.Unsupported(at+".type", "%q is not possible with this provider, only function is", t.Type)
		}
		if t.Function == nil {
			return chat.Invalid(at+".function", "is required")
		}
		parsed, err := parseFunction(at+".function", t.Function)
		if err != nil {
			return err
		}
		if err := out.IgnoreMembers("tools", t.Rest); err != nil {
			return err
		}
		if err := out.IgnoreMembers("tools.function", t.Function.Rest); err != nil {
			return err
		}
		parsed.Cache = present(t.CacheControl)
		out.Tools = append(out.Tools, parsed)
	}
	for i := range in.Functions {
		parsed, err := parseFunction("functions["+strconv.Itoa(i)+"]", &in.Functions[i])
		if err != nil {
			return err
		}
		if err := out.IgnoreMembers("functions", in.Functions[i].Rest); err != nil {
			return err
		}
		out.Tools = append(out.Tools, parsed)
	}
	if in.ParallelToolCalls != nil && len(out.Tools) > 0 {
		out.ParallelTools = clone(in.ParallelToolCalls)
	}
	if len(in.Functions) > 0 {
		out.ParallelTools = new(bool) // an answer has room for one function call
	}
	return parseToolChoice(in, out)
}

func parseFunction(at string, f *function) (chat.Tool, error) {
	if f.Name == "" {
		return chat.Tool{}, chat.Invalid(at+".name", "is required")
	}
	schema := present(f.Parameters)
	if schema != nil && schema.Kind() != '{' {
		return chat.Tool{}, chat.Invalid(at+".parameters", "must be a JSON schema object")
	}
	return chat.Tool{Name: f.Name, Description: f.Description, Schema: schema, Strict: clone(f.Strict)}, nil
}

func parseToolChoice(in *chatRequest, out *chat.Request) error {
	name, raw := "tool_choice", present(in.ToolChoice)
	if raw == nil {
		name, raw = "function_call", present(in.FunctionCall)
	}
	if raw == nil {
		return nil
	}
	if len(out.Tools) == 0 {
		return chat.Invalid(name, "is only allowed when tools are given")
	}
	if raw.Kind() == '"' {
		var mode string
		if err := json.Unmarshal(raw, &mode); err != nil {
			return chat.BadJSON(err)
		}
		return namedMode(name, mode, out)
	}
	var choice toolChoice
	if err := json.Unmarshal(raw, &choice); err != nil {
		return chat.Invalid(name, "must be a mode, a function or a list of allowed tools")
	}
	if err := choice.ignore(name, out); err != nil {
		return err
	}
	if choice.AllowedTools != nil {
		return allowed(name+".allowed_tools", choice.AllowedTools, out)
	}
	called := choice.Function.Name
	if name == "function_call" {
		called = choice.Name
	}
	if !has(out.Tools, called) {
		return chat.Invalid(name, "names the tool %q, which is not among the tools", called)
	}
	out.ToolChoice.Mode, out.ToolChoice.Name = chat.ToolsNamed, called
	return nil
}

// toolChoice is a tool_choice or function_call that is an object.
type toolChoice struct {
	Type     string `json:"type"`
	Name     string `json:"name"`
	Function struct {
		Name string         `json:"name"`
		Rest jsontext.Value `json:",embed"`
	} `json:"function"`
	AllowedTools *allowedTools  `json:"allowed_tools"`
	Rest         jsontext.Value `json:",embed"`
}

type allowedTools struct {
	Mode  string         `json:"mode"`
	Tools []tool         `json:"tools"`
	Rest  jsontext.Value `json:",embed"`
}

// ignore notes what a choice has that is not understood.
func (c *toolChoice) ignore(at string, out *chat.Request) error {
	if err := out.IgnoreMembers(at, c.Rest); err != nil {
		return err
	}
	if c.AllowedTools != nil {
		return out.IgnoreMembers(at+".allowed_tools", c.AllowedTools.Rest)
	}
	return out.IgnoreMembers(at+".function", c.Function.Rest)
}

func allowed(at string, in *allowedTools, out *chat.Request) error {
	out.ToolChoice.Allowed = []string{}
	for _, t := range in.Tools {
		if t.Function == nil || !has(out.Tools, t.Function.Name) {
			return chat.Invalid(at+".tools", "names a tool that is not among the tools")
		}
		out.ToolChoice.Allowed = append(out.ToolChoice.Allowed, t.Function.Name)
	}
	return namedMode(at+".mode", in.Mode, out)
}

func namedMode(at, mode string, out *chat.Request) error {
	switch mode {
	case "auto":
		out.ToolChoice.Mode = chat.ToolsAuto
	case "none":
		out.ToolChoice.Mode = chat.ToolsNone
	case "required":
		out.ToolChoice.Mode = chat.ToolsRequired
	default:
		return chat.Invalid(at, "%q is not one of none, auto, required", mode)
	}
	return nil
}

func has(tools []chat.Tool, name string) bool {
	return slices.ContainsFunc(tools, func(t chat.Tool) bool { return t.Name == name })
}
